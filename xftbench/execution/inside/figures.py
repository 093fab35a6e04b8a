"""Figures on their way from a candidate to its referee, where a test looks at more than the picture.

A figure may hold functions of the solution's own: what formats ticks, what a scale or a toolbar calls. They
don't come along. A formatter's is replaced with the texts that it makes of the ticks; others with a stub that
refuses to be called, because nothing of a solution's may run in the referee.
"""

import enum
import importlib
import io
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType
from typing import Any, NoReturn

from xftbench.execution.inside import kinds, rebuild, transport
from xftbench.execution.inside.rebuild import NotPlain

_LIBRARIES = ("matplotlib", "mpl_toolkits", "seaborn")
_REBUILDERS = {(__name__, "absent"), (__name__, "labels"), ("itertools", "count")}
_CALLBACKS = {
    ("matplotlib.backend_bases", "_key_handler"), ("matplotlib.backend_bases", "_mouse_handler"),
    ("matplotlib.cbook", "_exception_printer"), ("matplotlib.artist", "_stale_axes_callback"),
    ("pandas.plotting._matplotlib.converter", "_daily_finder"),
    ("pandas.plotting._matplotlib.converter", "_monthly_finder"),
    ("pandas.plotting._matplotlib.converter", "_annual_finder"),
    ("pandas.plotting._matplotlib.timeseries", "_format_coord"),
}  # fmt: skip
_ON_DEMAND = ("matplotlib.patheffects",)
"""What pyplot does not import; if it were there from the start, a solution that forgot it would pass."""

_Texts = dict[tuple[float, int], str]


def pack() -> bytes:
    """Return all open figures, the active one last."""
    managers = sys.modules["matplotlib._pylab_helpers"].Gcf.figs.values()
    open_ones = [manager.canvas.figure for manager in managers]
    buffer = io.BytesIO()
    _Pickler(buffer, _tick_labels(open_ones)).dump(open_ones)
    return buffer.getvalue()


def load(data: bytes) -> None:
    """Have a candidate's figures be the open ones of this process.

    Raises:
        NotPlain: If there is more in them than plots have.
        Tampered: If they change the libraries.
    """
    pyplot = sys.modules["matplotlib.pyplot"]
    pyplot.close("all")
    rebuild.rebuilt(_Unpickler(io.BytesIO(data)), "a figure")
    kind = sys.modules["matplotlib.axes"].Axes
    open_ones = [pyplot.figure(number) for number in pyplot.get_fignums()]
    if not all(isinstance(axes, kind) for figure in open_ones for axes in figure.axes):
        raise NotPlain("axes that are none are not plain data")


def _tick_labels(open_ones: list[Any]) -> dict[int, _Texts]:
    """Return what each formatter that is a function makes of its ticks, by the formatter's id."""
    found: dict[int, _Texts] = {}
    kind = sys.modules["matplotlib.axis"].Axis
    for axis in (part for part in _parts(open_ones) if isinstance(part, kind)):
        tickers = ((axis.major, axis.get_majorticklocs), (axis.minor, axis.get_minorticklocs))
        for formatter, places in ((ticker.formatter, places) for ticker, places in tickers):
            if _is_own(formatter):
                found.setdefault(id(formatter), {}).update(_texts(formatter, places))
    return found


def _is_own(formatter: Any) -> bool:
    """Return whether what it makes is made by a function or a class of the solution's own."""
    kind = type(formatter)
    is_function = kind is sys.modules["matplotlib.ticker"].FuncFormatter
    return is_function or not _is_of_plots(kind.__module__)


def _is_of_plots(module: str) -> bool:
    return module.partition(".")[0] in _LIBRARIES or module.startswith("pandas.plotting.")


def _parts(open_ones: list[Any]) -> Iterator[Any]:
    """Yield all objects of plots that figures consist of; asking these for their parts may call functions."""
    waiting, seen = list(open_ones), set[int]()
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if kind in (list, tuple, set):
            waiting += part
        elif kind is dict:
            waiting += part.values()
        elif _is_of_plots(kind.__module__) and hasattr(part, "__dict__"):
            yield part
            waiting += vars(part).values()


def _texts(formatter: Any, places: Callable[[], Any]) -> _Texts:
    try:
        values = places()
        texts = formatter.format_ticks(values)
        return {
            (float(value), position): "" if text is None else str(text)
            for position, (value, text) in enumerate(zip(values, texts, strict=True))
        }
    except Exception:  # noqa: BLE001 - the solution's own: if the test asks for them, they are not there
        return {}


class _Pickler(transport.Pickler):
    """Leaves functions behind that the referee would not take."""

    def __init__(self, buffer: io.BytesIO, texts: dict[int, _Texts]) -> None:
        super().__init__(buffer, protocol=5)
        self._texts = texts
        self._ticker = sys.modules["matplotlib.ticker"]
        numpy = sys.modules["numpy"]
        self._functions = (
            FunctionType, BuiltinFunctionType, MethodType, GeneratorType, partial, numpy.ufunc,
            type(numpy.sum),
        )  # fmt: skip

    def reducer_override(self, value: Any) -> Any:
        """Return how a value is rebuilt, if not in its own way."""
        if isinstance(value, self._ticker.Formatter) and _is_own(value):
            arguments = (_Labels(self._texts.get(id(value), {})),)
            return self._ticker.FuncFormatter, arguments, {"axis": value.axis, "locs": value.locs}
        if isinstance(value, self._functions) and not _is_known(value):
            return absent, (str(getattr(value, "__name__", "?")),)
        return super().reducer_override(value)


def _is_known(function: Any) -> bool:
    """Return whether the referee takes it by its name."""
    place = (getattr(function, "__module__", ""), getattr(function, "__qualname__", ""))
    return place in _Unpickler.rebuilders or place in _Unpickler.constants


def absent(name: str) -> "_Absent":
    """Return what stands for a function of the solution's own."""
    return _Absent(str(name)[:80])


class _Absent:
    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise NotPlain(f"the test calls {self._name}, a function that the figure holds")


def labels(texts: _Texts) -> "_Labels":
    """Return what stands for a formatter's function.

    Raises:
        NotPlain: If that are no texts of ticks.
    """
    for place, text in texts.items():
        if tuple(map(type, place)) != (float, int) or type(text) is not str:
            raise NotPlain("labels that are no texts")
    return _Labels(texts)


class _Labels:
    """The texts that a function of the solution's own made of the ticks: (value, position) -> text."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts

    def __reduce__(self) -> tuple[Any, ...]:
        return labels, (self._texts,)

    def __call__(self, value: float, position: int | None = None) -> str:
        try:
            return self._texts[float(value), position]  # type: ignore[index]
        except KeyError:
            raise NotPlain(f"the test asks for a label that is none of a tick's: {value!r}") from None


class _Unpickler(rebuild.PlainUnpickler):
    rebuilders = kinds.REBUILDERS | _REBUILDERS
    constants = kinds.CONSTANTS | _CALLBACKS
    stubs = (_Absent,)

    @staticmethod
    def is_plain(module: str, name: str, found: type) -> bool:
        return kinds.is_plain(module, name, found) or (
            _is_of_plots(module) and _is_of_plots(found.__module__)
        )

    @staticmethod
    def is_made_by_calling(module: str, name: str, found: type) -> bool:
        is_constant = module == "matplotlib._enums" and issubclass(found, enum.Enum)
        is_formatter = (module, name) == ("matplotlib.ticker", "FuncFormatter")
        return is_constant or is_formatter or kinds.is_made_by_calling(module, name, found)

    def check_call(self, name: str, function: Any, arguments: tuple[Any, ...]) -> None:
        super().check_call(name, function, arguments)
        if name == "FuncFormatter" and type(arguments[0]) not in (_Absent, _Labels):
            raise NotPlain("a formatter that calls something is not plain data")

    def find_class(self, module: str, name: str) -> object:
        if module in _ON_DEMAND:
            importlib.import_module(module)
        return super().find_class(module, name)
