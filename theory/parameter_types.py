"""What the command line accepts as numbers."""

import click


class _BatchSize(click.ParamType):
    """A batch size: an integer, or `full`."""

    name = "B|full"

    def convert(self, value, param, context):
        if value is None or value == "full":
            return None
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither an integer nor `full`", param, context)


class _Count(click.ParamType):
    """An integer that may be written as 1e9."""

    name = "integer"

    def convert(self, value, param, context):
        try:
            number = float(value)
            if number.is_integer():
                return int(value) if isinstance(value, str) and value.lstrip("+-").isdigit() else int(number)
        except (ValueError, OverflowError):
            pass
        self.fail(f"{value!r} is not an integer", param, context)


class _Numbers(click.ParamType):
    """Numbers separated by commas."""

    name = "float,…"

    def convert(self, value, param, context):
        try:
            return tuple(float(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers separated by commas", param, context)


class NumberOr(click.ParamType):
    """A number, or one word."""

    def __init__(self, word):
        self.word = word
        self.name = f"float|{word}"

    def convert(self, value, param, context):
        if value == self.word or isinstance(value, float):
            return value
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor `{self.word}`", param, context)


COUNT, BATCH_SIZE, NUMBERS = _Count(), _BatchSize(), _Numbers()
