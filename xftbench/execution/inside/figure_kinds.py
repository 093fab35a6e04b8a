"""What a candidate's pickle of figures may name beside plain numbers and texts: what figures consist of.

A figure's parts are of a few families, and some classes of none. Not among them is what reads or runs what it
is given: the settings and their validators, fonts' and TeX's readers, widgets, timers, canvases, renderers.
Whoever adds a class reads its methods first: a part's methods run on attributes that a candidate chose.
"""

import string
import sys
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

from xftbench.execution.inside.plain import NotPlain

_LIBRARIES = ("matplotlib", "mpl_toolkits", "seaborn")

_FAMILIES = (
    ("artist", "Artist"), ("transforms", "TransformNode"), ("path", "Path"), ("ticker", "TickHelper"),
    ("scale", "ScaleBase"), ("colors", "Normalize"), ("colors", "Colormap"), ("units", "AxisInfo"),
    ("units", "ConversionInterface"), ("gridspec", "GridSpecBase"), ("layout_engine", "LayoutEngine"),
    ("container", "Container"), ("legend_handler", "HandlerBase"), ("patches", "BoxStyle"),
    ("patheffects", "AbstractPathEffect"),
)  # fmt: skip
"""Modules of Matplotlib's and classes in them: what inherits from these is a part of figures."""

_ELSEWHERE = ("matplotlib.textpath", "matplotlib.testing", "matplotlib.tests")
"""Modules whose classes are none, whatever they inherit from."""

_STYLES = ("ArrowStyle.", "BoxStyle.", "ConnectionStyle.")
"""Classes of patches in which others stand, which have no base in common."""

_PARTS = {
    (module, name)
    for module, names in {
        "matplotlib.artist": "_XYPair",
        "matplotlib.axes._base": "_TransformedBoundsLocator _process_plot_var_args",
        "matplotlib.axis": "Ticker",
        "matplotlib.category": "UnitData",
        "matplotlib.cbook": "CallbackRegistry Grouper _OrderedSet",
        "matplotlib.cm": "ScalarMappable",
        "matplotlib.colorbar": "Colorbar _ColorbarAxesLocator",
        "matplotlib.dates": "_SwitchableDateConverter rrulewrapper",
        "matplotlib.figure": "SubplotParams _AxesStack",
        "matplotlib.font_manager": "FontProperties",
        "matplotlib.gridspec": "SubplotSpec",
        "matplotlib.legend": "DraggableLegend",
        "matplotlib.markers": "MarkerStyle",
        "matplotlib.offsetbox": "DraggableAnnotation DraggableBase DraggableOffsetBox",
        "matplotlib.projections.polar": "_AxisWrapper",
        "matplotlib.spines": "Spines",
        "matplotlib.text": "OffsetFrom",
        "matplotlib.ticker": "_DummyAxis _Edge_integer",
        "matplotlib.tri._triangulation": "Triangulation",
        "mpl_toolkits.axes_grid1.axes_divider": "AxesDivider AxesLocator Divider HBoxDivider SubplotDivider "
        "VBoxDivider",
        "mpl_toolkits.axes_grid1.axes_size": "Add AxesX AxesY Fixed Fraction MaxExtent MaxHeight MaxWidth "
        "Scaled _AxesDecorationsSize",
        "mpl_toolkits.axes_grid1.inset_locator": "InsetPosition",
        "mpl_toolkits.axes_grid1.mpl_axes": "Axes.AxisDict",
        "mpl_toolkits.axisartist.angle_helper": "ExtremeFinderCycle FormatterDMS FormatterHMS LocatorD "
        "LocatorDM LocatorDMS LocatorH LocatorHM LocatorHMS",
        "mpl_toolkits.axisartist.axislines": "FixedAxisArtistHelperRectilinear "
        "FloatingAxisArtistHelperRectilinear GridHelperRectlinear",
        "mpl_toolkits.axisartist.floating_axes": "ExtremeFinderFixed FixedAxisArtistHelper "
        "FloatingAxisArtistHelper GridHelperCurveLinear",
        "mpl_toolkits.axisartist.grid_finder": "DictFormatter ExtremeFinderSimple FixedLocator "
        "FormatterPrettyPrint GridFinder",
        "mpl_toolkits.axisartist.grid_helper_curvelinear": "FixedAxisArtistHelper FloatingAxisArtistHelper "
        "GridHelperCurveLinear",
        "seaborn.categorical": "BoxPlotArtists BoxPlotContainer",
    }.items()
    for name in names.split()
}  # fmt: skip
"""Classes of figures' parts that are of no family."""

_ENUMS = ("CapStyle", "JoinStyle")

_VALUES = {
    ("numpy", "ndarray"), ("numpy.ma.core", "MaskedArray"), ("dateutil.rrule", "rrule"),
    ("dateutil.rrule", "weekday"), ("pandas._libs.tslibs.period", "Period"),
}  # fmt: skip
"""Classes of what parts hold. A table, its columns or an index compare as true with nearly anything."""

REBUILDERS = {
    ("xftbench.execution.inside.rebuilders", "zone"), ("itertools", "count"), ("builtins", "set"),
    ("builtins", "frozenset"), ("builtins", "complex"), ("builtins", "slice"), ("builtins", "range"),
    ("builtins", "bytearray"), ("collections", "OrderedDict"), ("collections", "deque"),
    ("datetime", "datetime"), ("datetime", "date"), ("datetime", "time"), ("datetime", "timedelta"),
    ("datetime", "timezone"), ("decimal", "Decimal"), ("fractions", "Fraction"), ("pytz", "_UTC"),
    ("pytz", "_p"), ("numpy.core.multiarray", "_reconstruct"), ("numpy.core.multiarray", "scalar"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy.ma.core", "_mareconstruct"),
    ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
    ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"),
    ("pandas._libs.tslibs.period", "_unpickle_period"), ("pandas._libs.tslibs.nattype", "__nat_unpickle"),
}  # fmt: skip
"""Functions, and builtin classes, that build what parts hold from what they are given."""


@lru_cache(maxsize=1024)
def is_of_plots(module: str) -> bool:
    """Return whether a module is one of the libraries that draw."""
    return module.partition(".")[0] in _LIBRARIES or module.startswith("pandas.plotting.")


def is_part(kind: type) -> bool:
    """Return whether a class of these libraries is one of figures' parts."""
    module, name = kind.__module__, kind.__qualname__
    if not is_of_plots(module) or module.startswith(_ELSEWHERE):
        return False
    if (module, name) in _PARTS or (module == "matplotlib._enums" and name in _ENUMS):
        return True
    if (module, name.startswith(_STYLES)) == ("matplotlib.patches", True):
        return True
    if module == "mpl_toolkits.axisartist.axisline_style":
        return "Style." in name
    return issubclass(kind, _families())


def _families() -> tuple[type, ...]:
    return tuple(getattr(sys.modules[f"matplotlib.{module}"], name) for module, name in _FAMILIES
                 if f"matplotlib.{module}" in sys.modules)  # fmt: skip


def is_plain(module: str, name: str, found: type) -> bool:
    """Return whether a figure's pickle may name a class."""
    if is_of_plots(module) and is_part(found):
        return True
    if module == "pandas._libs.tslibs.offsets":
        return is_made_by_calling(module, name, found)
    if module == "numpy":
        numpy = sys.modules["numpy"]
        return found is numpy.ndarray or _is_number(found)
    return (module, name) in _VALUES


def is_made_by_calling(module: str, name: str, found: type) -> bool:
    """Return whether a class is one whose instances are pickled as a call of it."""
    if module == "pandas._libs.tslibs.offsets":
        return issubclass(found, sys.modules[module].BaseOffset)
    return (module, name) in {
        ("matplotlib.ticker", "FuncFormatter"), ("pandas._libs.tslibs.period", "Period"),
    } or (module == "matplotlib._enums" and name in _ENUMS)  # fmt: skip


def _is_number(kind: type) -> bool:
    numpy = sys.modules["numpy"]
    return issubclass(kind, numpy.generic) and not issubclass(kind, (numpy.void, numpy.object_))


_SCALARS = {
    str, bytes, int, float, complex, bool, type(None), date, datetime, time, timedelta, Decimal,
}  # fmt: skip
_PANDAS_SCALARS = ("Period", "Timestamp", "Timedelta", "NaTType", "NAType")


_DATE_TICKS = ("val", "maj", "min", "fmt")
"""Fields of what pandas makes of an axis of dates."""


def is_scalar(value: object) -> bool:
    """Return whether something equals nothing but what is the same."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind.__module__ == "numpy":
        return _is_number(kind)
    return kind.__module__.startswith("pandas._libs.") and kind.__name__ in _PANDAS_SCALARS


def is_array(array: Any) -> bool:
    """Return whether an array of numpy's is one of numbers, texts and times."""
    if array.dtype.kind == "O":
        return all(is_scalar(value) for value in sys.modules["numpy"].asarray(array).ravel().tolist())
    return bool(array.dtype.kind != "V" or array.dtype.names == _DATE_TICKS)


def check_state(part: Any, state: Any) -> None:
    """Check what a part's class does with the attributes that it is to get.

    Raises:
        NotPlain: If it would do something else than with those of a figure.
    """
    kind = type(part)
    # A tuple's second part goes through the class' setters.
    has_setters = type(state) is tuple and len(state) == 2 and state[1] and kind.__name__ != "weekday"
    if has_setters or (isinstance(state, dict) and not is_right(kind, state)):
        raise NotPlain(f"a {kind.__name__[:80]} of what it never has is not plain data")


def is_right(kind: type, state: dict[Any, Any]) -> bool:
    """Return whether attributes that a class uses without a look at them are such as it has itself."""
    modules = sys.modules
    match kind.__module__, kind.__name__:
        case "matplotlib.cbook", "CallbackRegistry":
            return (
                _holds_none(state, "callbacks", dict)
                and _holds_none(state, "_pickled_cids", set)
                and type(state.get("_cid_gen")) is int
                and state.get("exception_handler") is None
            )
        case "matplotlib.cbook", "Grouper":
            mapping = state.get("_mapping")
            return type(mapping) is dict and all(map(_are_artists, [list(mapping), *mapping.values()]))
        case "matplotlib.spines", "Spines":
            spine = modules["matplotlib.spines"].Spine
            return all(isinstance(value, spine) for value in state.values())
        case "matplotlib.figure", "_AxesStack":
            return type(state.get("_counter")) is int
        case "matplotlib.ticker", "StrMethodFormatter":
            return _is_format(state.get("fmt"))
        case "matplotlib.dates", "rrulewrapper":
            rule, zone, base = state.get("_rrule"), state.get("_tzinfo"), state.get("_base_tzinfo")
            is_rule = rule is None or type(rule) is modules["dateutil.rrule"].rrule
            return is_rule and isinstance(zone, tzinfo | None) and isinstance(base, tzinfo | None)
    if issubclass(kind, modules["matplotlib.transforms"].TransformNode):
        parents = state.get("_parents", {})
        node = modules["matplotlib.transforms"].TransformNode
        return type(parents) is dict and all(isinstance(value, node) for value in parents.values())
    if issubclass(kind, modules["matplotlib.axes"].Axes):
        shared, twins = state.get("_shared_axes"), state.get("_twinned_axes")
        are_shared = type(shared) is dict and all(map(_are_artists, shared.values()))
        return are_shared and (twins is None or _are_artists(twins))
    return True


def _holds_none(state: dict[Any, Any], name: str, kind: type) -> bool:
    return type(state.get(name)) is kind and not state[name]


def _are_artists(values: object) -> bool:
    artist = sys.modules["matplotlib.artist"].Artist
    return type(values) in (list, set) and all(isinstance(value, artist) for value in values)  # type: ignore[attr-defined]


def _is_format(text: object) -> bool:
    """Return whether a text formats numbers, without asking them for attributes and items."""
    if type(text) is not str:
        return False
    parts = [(name, how) for _, name, how, _ in string.Formatter().parse(text) if name is not None]
    return all(name in ("x", "pos") and "{" not in (how or "") for name, how in parts)
