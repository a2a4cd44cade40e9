"""Speed, as ratios against what a user would write instead (`peers/`); `python -m benchmarks` measures all of it."""
