"""Numbers on the command line, of xft and of xftbench."""

from math import isfinite
from typing import Any

import click

SEED = click.IntRange(0, 2**32 - 1)
"""What every generator of random numbers takes."""


class Number(click.FloatRange):
    """A range of numbers. NaN lies in every range of click's, and infinity in one that is open above."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number, if it is one."""
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number
