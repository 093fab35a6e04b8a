"""Short texts for the values of a failed check: what was asked, what was expected, what came."""

import reprlib

LONGEST = 300
LONGEST_OF_ERROR = 1000


class _Short(reprlib.Repr):
    """Short texts of values that may be huge."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlong, self.maxstring, self.maxother = 4, 80, 120, 280
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = 16

    def repr_int(self, x: int, level: int) -> str:
        if x.bit_length() > 4000:  # Python refuses to write a number of so many digits
            return f"<a number of {x.bit_length()} bits>"
        return super().repr_int(x, level)

    def repr_float(self, x: float, level: int) -> str:
        return repr(x)


def shown(value: object) -> str:
    """Return a short text for a value."""
    try:
        return _Short().repr(value)[:LONGEST]
    except BaseException:  # noqa: BLE001 - too deep, or whatever: it is only shown
        return f"<{type(value).__name__}>"


def text_of(error: BaseException) -> str:
    """Return an exception's text; what it is of may be too deep, have code that fails, or end the process."""
    try:
        return str(error)[:LONGEST_OF_ERROR]
    except BaseException:  # noqa: BLE001
        return "(a text that can't be shown)"


def call(arguments: tuple[object, ...], keywords: dict[str, object]) -> str:
    """Return a short text for what a function was called with."""
    named = [f"{name}={shown(value)}" for name, value in keywords.items()]
    return ", ".join([*map(shown, arguments), *named])[:LONGEST]
