"""Exact training dynamics. This package knows no theorem.

`signal_noise` draws problems, `update` holds the rules, `conv` the two-layer convolutional
ReLU network, `run` turns a specification into a result, `store` keeps results.
Importing the package loads neither numba nor scipy; the modules do, when they are used.
"""
