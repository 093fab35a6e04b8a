"""Matplotlib's settings on their way from a candidate to its referee, behind a figure.

A figure makes ticks when it is asked for them, and sizes texts, by the settings of that time: so those that
its program changed come along. They are numbers and short texts in the header of the answer, which is JSON.
Only those come that ticks and texts read: none that names a file, a module or a function, none that a
validator runs (`axes.prop_cycle`), and none by which C code divides (`text.hinting_factor`).
"""

import sys
from typing import Any

from xftbench.execution.inside.plain import NotPlain

_BEGINNINGS = (
    "axes.formatter.", "axes.label", "axes.spines.", "axes.title", "font.", "grid.", "legend.", "lines.",
    "xtick.", "ytick.",
)  # fmt: skip
_OTHERS = {
    "axes.autolimit_mode", "axes.axisbelow", "axes.edgecolor", "axes.facecolor", "axes.grid",
    "axes.grid.axis", "axes.grid.which", "axes.linewidth", "axes.unicode_minus", "axes.xmargin",
    "axes.ymargin", "axes.zmargin", "figure.labelsize", "figure.labelweight", "figure.titlesize",
    "figure.titleweight", "polaraxes.grid", "text.antialiased", "text.color", "text.parse_math",
    "xaxis.labellocation", "yaxis.labellocation",
}  # fmt: skip
_SIMPLE = (bool, int, float, str, type(None))
_LONGEST = 100
"""Of a text, and of a list: validators parse texts of some settings as literals."""

_before: dict[str, Any] = {}


def remember() -> None:
    """Note down the settings that a program finds."""
    _before.clear()
    _before.update(_now())


def changed() -> dict[str, Any]:
    """Return the settings that are others now, as JSON has them."""
    return {name: value for name, value in _now().items() if name not in _before or _before[name] != value}


def take(found: object) -> None:
    """Set what a candidate says that its program changed.

    Raises:
        NotPlain: If it can't be set.
    """
    if type(found) is not dict:
        raise NotPlain("settings that are none are not plain data")
    if not found:
        return
    settings = sys.modules["matplotlib"].rcParams
    for name, value in found.items():
        # A colour, a place and a pattern of dashes are tuples where Matplotlib tells them from lists.
        value = tuple(value) if type(value) is list else value
        if not (_may_be_set(name) and name in settings and _is_simple(value)):
            raise NotPlain(f"the setting {name[:80]} is not plain data")
        try:
            settings[name] = value
        except Exception as error:
            raise NotPlain(f"a {name} that can't be set: {type(error).__name__}") from error


def _now() -> dict[str, Any]:
    """Return the settings that may be set and are simple."""
    matplotlib = sys.modules.get("matplotlib")
    found = {}
    for name, value in dict.items(matplotlib.rcParams) if matplotlib else ():
        if _may_be_set(name) and _is_simple(plain := _plain(value)):
            found[name] = list(plain) if type(plain) is tuple else plain
    return found


def _plain(value: Any) -> Any:
    """Return a value with numbers of Python's own: numpy's inherit from these."""
    if isinstance(value, (list, tuple)):
        return tuple(float(part) if isinstance(part, float) else part for part in value)
    return float(value) if isinstance(value, float) else value


def _may_be_set(name: str) -> bool:
    return name.startswith(_BEGINNINGS) or name in _OTHERS


def _is_simple(value: object) -> bool:
    """Return whether something is a number, a short text or a short list of such."""
    parts = value if type(value) is tuple else (value,)
    return len(parts) <= _LONGEST and all(
        type(part) in _SIMPLE and (type(part) is not str or len(part) <= _LONGEST) for part in parts
    )
