"""`python -m figures`: `sharpbounds figure all`, or the figures that are named."""

import sys

from figures.figure_command import figure

if __name__ == "__main__":
    figure(sys.argv[1:] or ["all"], prog_name="python -m figures")
