"""Closed forms and the claims about them: one folder per paper, one file per theorem.

`claim` says what a claim is, `verdict` how it is judged, `interval` holds the statistics of judging,
`registry` finds the claims, `check` walks one from its settings to its record. docs/symbols.md has the letters.
"""
