"""What stands on the command line: types of parameters, of xft and of xftbench."""

import os
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


class NamedPath(click.Path):
    """A path that was named: an empty word, as of a variable that is not set, would be the current folder."""

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> str | bytes | os.PathLike[str]:
        """Return the path, if there is one."""
        if value == "":
            self.fail("it is empty; the current folder is '.'", param, ctx)
        return super().convert(value, param, ctx)
