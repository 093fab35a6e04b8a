"""Figures on their way from a candidate to its referee, where a test looks at more than the picture.

A figure may hold functions of the solution's own: what formats ticks, what a scale or a toolbar calls. They
don't come along. A formatter's is replaced with the texts that it makes of the ticks; others with a stub that
refuses to be called, because nothing of a solution's may run in the referee.
"""

import copyreg
import importlib
import io
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType
from typing import Any, ClassVar, NoReturn

from xftbench.execution.inside import figure_kinds, rebuild, transport
from xftbench.execution.inside.plain import NotPlain

_REBUILDERS = {(__name__, name) for name in ("absent", "function_scale", "labels", "made_class", "outline")}
_CALLBACKS = {
    ("matplotlib.artist", "_stale_axes_callback"),
    ("pandas.plotting._matplotlib.converter", "_daily_finder"),
    ("pandas.plotting._matplotlib.converter", "_monthly_finder"),
    ("pandas.plotting._matplotlib.converter", "_annual_finder"),
}  # fmt: skip
"""Functions that a part may hold."""
_ON_DEMAND = ("matplotlib.patheffects", "matplotlib.sankey")
_ON_DEMAND_IN = (
    "mpl_toolkits.axes_grid1", "mpl_toolkits.axisartist", "mpl_toolkits.mplot3d",
    "pandas.plotting._matplotlib",
)  # fmt: skip
"""What pyplot does not import; if it were there from the start, a solution that forgot it would pass."""
_MIXED = {
    ("mpl_toolkits.axes_grid1.axes_grid", "CbarAxesBase"): ("Cbar{}",),
    ("mpl_toolkits.axes_grid1.parasite_axes", "HostAxesBase"): ("{}HostAxes", "_base_axes_class"),
    ("mpl_toolkits.axes_grid1.parasite_axes", "ParasiteAxesBase"): ("{}Parasite",),
    ("mpl_toolkits.axisartist.floating_axes", "FloatingAxesBase"): ("Floating{}",),
    ("mpl_toolkits.mplot3d.art3d", "Collection3D"): ("{}3D",),
}
"""Class -> how Matplotlib calls what it makes of this one and another, which no module holds."""
_WRAPPED = (
    "transform", "transform_affine", "transform_non_affine", "transform_path", "transform_path_affine",
    "transform_path_non_affine", "get_affine", "inverted", "get_matrix",
)  # fmt: skip
"""The methods that a `TransformWrapper` takes from the transform that it wraps."""
_OF_CLASSES = ("_reconstruct", "_mareconstruct", "made_class")
"""Functions that are called with a class."""

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
    unpickler = _Unpickler(io.BytesIO(data))
    rebuild.rebuilt(unpickler, "a figure")
    for part in unpickler.with_methods:
        if isinstance(part, sys.modules["matplotlib.legend"].Legend):
            _place(part)
        else:
            _wrap(part)
    kind = sys.modules["matplotlib.axes"].Axes
    open_ones = [pyplot.figure(number) for number in pyplot.get_fignums()]
    if not all(isinstance(axes, kind) for figure in open_ones for axes in figure.axes):
        raise NotPlain("axes that are none are not plain data")


def _place(legend: Any) -> None:
    """Have a legend find its place by itself, if it did."""
    box: Any = getattr(legend, "_legend_box", None)
    is_box = isinstance(box, sys.modules["matplotlib.offsetbox"].OffsetBox)
    if is_box and isinstance(getattr(box, "_offset", None), _Absent):
        box.set_offset(legend._findoffset)


def _wrap(wrapper: Any) -> None:
    """Have a transform do what the one that it wraps does.

    Raises:
        NotPlain: If that is none.
    """
    transforms = sys.modules["matplotlib.transforms"]
    child = getattr(wrapper, "_child", None)
    if not isinstance(child, transforms.Transform) or isinstance(child, transforms.TransformWrapper):
        raise NotPlain("a transform that wraps none is not plain data")
    for name in _WRAPPED:
        setattr(wrapper, name, getattr(child, name))


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
    return is_function or not figure_kinds.is_of_plots(kind.__module__)


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
        elif figure_kinds.is_of_plots(kind.__module__) and hasattr(part, "__dict__"):
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
        self._path = sys.modules["matplotlib.path"].Path
        numpy, pandas = sys.modules["numpy"], sys.modules["pandas"]
        self._record = numpy.void
        tables = (pandas.DataFrame, pandas.Series, pandas.Index, pandas.api.extensions.ExtensionArray)
        self._tables = (numpy.ndarray, *tables)
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
        if isinstance(value, type):
            recipe = _recipe(value)
            return (made_class, recipe) if recipe else NotImplemented
        kind = type(value)
        if kind.__module__ == "matplotlib.textpath" and isinstance(value, self._path):
            return outline, (value.vertices, value.codes)
        is_foreign = figure_kinds.is_of_plots(kind.__module__) and not figure_kinds.is_part(kind)
        if is_foreign or isinstance(value, self._record):
            return absent, (kind.__name__,)
        if isinstance(value, self._tables):
            return self._reduce_table(value)
        return self._reduce_by_state(value) or super().reducer_override(value)

    def _reduce_table(self, value: Any) -> Any:
        """Return how a table's values, or an array's, are rebuilt as an array of such as is moved."""
        numpy = sys.modules["numpy"]
        is_moved = type(value) in (numpy.ndarray, numpy.ma.MaskedArray)
        if is_moved and figure_kinds.is_array(value):
            return NotImplemented
        array = numpy.asarray(value)
        if array.dtype.kind == "V":
            return absent, (type(value).__name__,)
        if not figure_kinds.is_array(array):
            parts = [part if figure_kinds.is_scalar(part) else str(part) for part in array.ravel().tolist()]
            array = numpy.array(parts, dtype=object).reshape(array.shape)
        return array.__reduce_ex__(5)

    def _reduce_by_state(self, value: Any) -> Any:
        """Return how something is rebuilt whose own way names a function of Matplotlib's."""
        kind = type(value)
        scale = sys.modules["matplotlib.scale"].FuncScale
        if isinstance(value, scale) and kind.__module__.startswith("seaborn."):
            return function_scale, (), vars(value)  # its class stands in a function
        if kind is sys.modules["matplotlib.transforms"].TransformWrapper:
            state = {name: part for name, part in value.__getstate__().items() if name not in _WRAPPED}
            return copyreg.__newobj__, (kind,), state  # type: ignore[attr-defined]
        if kind is sys.modules["matplotlib.cbook"].CallbackRegistry:
            none: dict[str, Any] = {"callbacks": {}, "_pickled_cids": set(), "exception_handler": None}
            return copyreg.__newobj__, (kind,), value.__getstate__() | none  # type: ignore[attr-defined]
        is_norm = isinstance(value, sys.modules["matplotlib.colors"].Normalize)
        if (is_norm and kind.__module__.startswith("matplotlib.")) or _recipe(kind):
            return copyreg.__newobj__, (kind,), _classless(value.__getstate__())  # type: ignore[attr-defined]
        if isinstance(value, sys.modules["matplotlib.artist"].Artist):
            how = value.__reduce_ex__(5)
            if isinstance(value, sys.modules["matplotlib.figure"].Figure):
                how[2]["_dpi"] = value._dpi  # Matplotlib would have it as it was at first
            return (*how[:2], _classless(how[2]), *how[3:]) if isinstance(how[2], dict) else how
        return None


def _classless(state: dict[str, Any]) -> dict[str, Any]:
    """Return a part's attributes without the classes among them, which nothing asks for any more."""
    found: dict[str, Any] = {
        name: _Absent(value.__name__) if isinstance(value, type) else value for name, value in state.items()
    }
    if "_projection_init" in found:
        found["_projection_init"] = None
    if handlers := found.get("_custom_handler_map"):
        found["_custom_handler_map"] = {
            kind: handler for kind, handler in handlers.items() if not isinstance(kind, type)
        }
    return found


def _recipe(kind: type) -> tuple[Any, ...] | None:
    """Return how Matplotlib makes a class that no module holds, for `made_class`."""
    if rebuild.class_of(kind.__module__, kind.__qualname__) is kind:
        return None
    for name, scale in sys.modules["matplotlib.scale"]._scale_mapping.items():
        if (kind.__module__, kind.__name__) == ("matplotlib.colors", f"{scale.__name__}Norm"):
            return ("norm", name)
    mixin = kind.__bases__[0]
    place = (mixin.__module__, mixin.__name__)
    if place in _MIXED and kind.__module__ == mixin.__module__ and len(kind.__bases__) == 2:
        return ("mixed", *place, kind.__bases__[1])
    return None


def made_class(how: str, *parts: Any) -> Any:
    """Return a class that Matplotlib makes when it is asked for.

    Raises:
        NotPlain: If it makes none like that.
    """
    match how, parts:
        case "norm", (str(scale),) if scale in sys.modules["matplotlib.scale"]._scale_mapping:
            scales = sys.modules["matplotlib.scale"]._scale_mapping
            return sys.modules["matplotlib.cm"]._auto_norm_from_scale(scales[scale])
        case "mixed", (module, name, type() as other) if (module, name) in _MIXED:
            _import(module)
            mixin = getattr(sys.modules[module], name)
            artist = sys.modules["matplotlib.artist"].Artist
            if issubclass(other, artist) and figure_kinds.is_part(other):
                make = sys.modules["matplotlib.cbook"]._make_class_factory
                return make(mixin, *_MIXED[module, name])(other)
    raise NotPlain("a class that Matplotlib does not make is not plain data")


def _import(module: str) -> None:
    """Import a part of the libraries that draws, if it is one that only some figures need."""
    folder, _, name = module.rpartition(".")
    if module in _ON_DEMAND or (folder in _ON_DEMAND_IN and name.isidentifier() and name != "tests"):
        importlib.import_module(module)


def _is_known(function: Any) -> bool:
    """Return whether the referee takes it by its name."""
    place = (getattr(function, "__module__", ""), getattr(function, "__qualname__", ""))
    return place in _Unpickler.rebuilders or place in _Unpickler.constants


def outline(vertices: Any, codes: Any) -> object:
    """Return the path that a text's letters are.

    Raises:
        NotPlain: If it is none.
    """
    array = sys.modules["numpy"].ndarray
    if (
        type(vertices) is not array
        or type(codes) is not array
        or "O" in (vertices.dtype.kind, codes.dtype.kind)
    ):
        raise NotPlain("an outline that is none is not plain data")
    return sys.modules["matplotlib.path"].Path(vertices, codes)


def function_scale() -> Any:
    """Return a scale that is given a state; `seaborn.objects` makes classes that inherit from its own."""
    scale = sys.modules["matplotlib.scale"].FuncScale
    return scale.__new__(scale)


def absent(name: str) -> "_Absent":
    """Return what stands for a function of the solution's own.

    Raises:
        NotPlain: If it has no name.
    """
    if type(name) is not str:
        raise NotPlain("a function without a name is not plain data")
    return _Absent(name[:80])


class _Absent:
    def __init__(self, name: str) -> None:
        self._name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return absent, (self._name,)

    def __call__(self, *_: object, **__: object) -> NoReturn:
        raise NotPlain(f"the test calls {self._name}, a function that the figure holds")


def labels(texts: _Texts) -> "_Labels":
    """Return what stands for a formatter's function.

    Raises:
        NotPlain: If that are no texts of ticks.
    """
    if type(texts) is not dict:
        raise NotPlain("labels that are no texts")
    for place, text in texts.items():
        if type(place) is not tuple or tuple(map(type, place)) != (float, int) or type(text) is not str:
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


def _load_tuple(make: Callable[[Any], None], unpickler: "_Unpickler") -> None:
    """Make a tuple; one with a class in it may only be what a function is called with."""
    make(unpickler)
    unpickler.note(unpickler.stack[-1])


class _Unpickler(rebuild.PlainUnpickler):
    """Names the parts of figures only, and lets none hold a class or a function."""

    rebuilders = figure_kinds.REBUILDERS | _REBUILDERS
    constants = _CALLBACKS | {("pandas._libs.missing", "NA")}
    stubs = (_Absent,)
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(rebuild.PlainUnpickler.dispatch)

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer)
        self.with_methods: list[Any] = []
        """What has methods of another object's, or gives others its own: no pickle may name one."""
        self._code = rebuild.Objects()
        """Classes and functions that were named, and the tuples with one in them."""

    is_plain = staticmethod(figure_kinds.is_plain)
    is_made_by_calling = staticmethod(figure_kinds.is_made_by_calling)

    def find_class(self, module: str, name: str) -> object:
        _import(module)
        found = super().find_class(module, name)
        if (module, name) not in self.constants:
            self._code.add(found)
        return found

    @staticmethod
    def may_be_cyclic(kind: type) -> bool:
        return figure_kinds.is_of_plots(kind.__module__)

    @staticmethod
    def has_state(name: str) -> bool:
        return name in ("FuncFormatter", "function_scale") or rebuild.PlainUnpickler.has_state(name)

    def note(self, made: tuple[Any, ...]) -> None:
        """Remember a tuple, if a class or a function is in it."""
        if self._code.has_any(made):
            self._code.add(made)

    def _check_values(self, values: Iterable[Any]) -> None:
        """Check that nothing that a part is to hold is a class or a function: it may be called.

        Raises:
            NotPlain: If something is.
        """
        if self._code.has_any(values):
            raise NotPlain("a figure that holds a class or a function is not plain data")

    def check_call(self, name: str, function: Any, arguments: tuple[Any, ...]) -> None:
        super().check_call(name, function, arguments)
        if name not in _OF_CLASSES:
            self._check_values([arguments])
        is_text = [*map(type, arguments)] in ([_Absent], [_Labels])
        if name == "FuncFormatter" and not is_text:
            raise NotPlain("a formatter that calls something is not plain data")
        if name == "count" and not {*map(type, arguments)} <= {int}:
            raise NotPlain("a count of something else is not plain data")

    def load_reduce(self) -> None:
        """Call something."""
        super().load_reduce()
        made, numpy = self.stack[-1], sys.modules["numpy"]
        if isinstance(made, type):
            self._code.add(made)
        if isinstance(made, (numpy.ndarray, numpy.generic)) and not figure_kinds.is_array(made):
            raise NotPlain("a figure that holds records is not plain data")

    def check_class(self, kind: Any, arguments: tuple[Any, ...]) -> None:
        self._check_values(arguments)
        super().check_class(kind, arguments)

    def check_items(self, container: object, items: list[Any], *types: type) -> None:
        self._check_values(items)
        super().check_items(container, items, *types)

    def load_build(self) -> None:
        """Set attributes."""
        instance, state = self.stack[-2:]
        self._check_values([state])
        figure_kinds.check_state(instance, state)
        super().load_build()
        if isinstance(instance, sys.modules["numpy"].ndarray) and not figure_kinds.is_array(instance):
            raise NotPlain("an array of something else than numbers and texts is not plain data")
        wrapper = sys.modules["matplotlib.transforms"].TransformWrapper
        if isinstance(instance, (wrapper, sys.modules["matplotlib.legend"].Legend)):
            self.with_methods.append(instance)

    def load_frozenset(self) -> None:
        """Make a set."""
        self._check_values(self.stack)
        super().load_frozenset()

    for _old in (pickle.LIST, pickle.DICT):  # which make both with what is in them
        del dispatch[_old[0]]
    for _tuple in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
        dispatch[_tuple[0]] = partial(_load_tuple, dispatch[_tuple[0]])
