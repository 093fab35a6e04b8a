"""Values on their way between a referee and its candidate.

To the candidate everything may go: the referee is trusted. From it only plain data comes: numbers, texts,
containers, arrays, tables, sparse matrices and tensors. Pickle is the format; `kinds` says what a pickle from
a candidate may name, and `rebuild` and `plain` what it may do with that.
"""

import io
import itertools
import pickle
import random
import sys
from collections import defaultdict, deque
from types import GeneratorType
from typing import Any, NoReturn

from xftbench.execution.inside import kinds
from xftbench.execution.inside.plain import NotPlain
from xftbench.execution.inside.rebuild import PlainUnpickler, class_of, rebuilt
from xftbench.execution.inside.rebuilders import WIDER, flat, iterator, record, tensor, view, zone

_MAX_BYTES = 1 << 30


def dump(value: object) -> bytes:
    """Return a value for the candidate, classes and functions of the test's own included."""
    try:
        return pickled(value)
    except Exception:  # noqa: BLE001 - pickling runs the values' own code
        import cloudpickle  # only here, where the environment has it: it is needed seldom

        return bytes(cloudpickle.dumps(value))


def trusted(data: bytes) -> Any:
    """Return what `dump` was given."""
    return _Unpickler(io.BytesIO(data)).load()


def pack(value: object) -> bytes:
    """Return a result for the referee.

    Raises:
        NotPlain: If it can't be moved; most often something else than a library's own value.
    """
    kind = type(value)
    try:
        data = _pickled_by(_ResultPickler, value)
        if len(data) > _MAX_BYTES:
            raise NotPlain("a result that is too large to be moved")
    except NotPlain:
        raise
    except Exception as error:
        raise NotPlain(f"a {kind.__name__[:80]} can't be moved: {type(error).__name__}") from error
    return data


def load(data: bytes) -> Any:
    """Return a candidate's result.

    Raises:
        NotPlain: If it is not plain data.
        Tampered: If it changes the libraries.
    """
    return rebuilt(PlainUnpickler(io.BytesIO(data)), "a result")


def pickled(value: object) -> bytes:
    """Return a value as bytes for `trusted`; raises what pickling raises."""
    return _pickled_by(_InputPickler, value)


def _pickled_by(pickler: type["Pickler"], value: object) -> bytes:
    buffer = io.BytesIO()
    pickler(buffer, protocol=5).dump(value)
    return buffer.getvalue()


class Pickler(pickle.Pickler):
    """Takes tensors apart into arrays: their own pickles name functions that read more pickles."""

    def reducer_override(self, value: Any) -> Any:
        """Rebuild a dtype as numpy's one instance of it, as it is where nothing was pickled.

        pandas 1.5 changes an object column in place, in `astype(str)`, if its dtype is another instance.
        """
        numpy = sys.modules.get("numpy")
        if (
            numpy
            and isinstance(value, numpy.dtype)
            and not (value.fields or value.metadata or value.subdtype)
        ):
            return numpy.dtype, (value.str,)
        kind = type(value)
        root = kind.__module__.partition(".")[0]
        if root in ("torch", "tensorflow"):
            parts = _torch_parts(value, kind) if root == "torch" else _tensorflow_parts(value, kind)
            if parts is not None:
                return tensor, parts
        if root in ("pytz", "zoneinfo", "dateutil"):
            parts = _zone_parts(value, kind)
            if parts is not None:
                return zone, parts
        return NotImplemented


class _InputPickler(Pickler):
    """Has the program find what it would find if nothing had been pickled."""

    def __init__(self, buffer: io.BytesIO, protocol: int) -> None:
        super().__init__(buffer, protocol=protocol)
        numpy = sys.modules.get("numpy")
        self._nan = numpy.nan if numpy else None
        self._array = numpy.ndarray if numpy else None

    def persistent_id(self, value: Any) -> str | None:
        """Name numpy's one NaN: programs ask for it by ``is``, and lists do."""
        return _NAN if value is self._nan and value is not None else None

    def reducer_override(self, value: Any) -> Any:
        """Have an array own its memory, which one of protocol 5 borrows: only then it can be resized."""
        return value.__reduce__() if type(value) is self._array else super().reducer_override(value)


_NAN = "nan"


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, name: str) -> Any:
        if name != _NAN:
            raise pickle.UnpicklingError(name)
        return sys.modules["numpy"].nan


def _torch_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    torch = sys.modules["torch"]
    if kind is torch.dtype:
        return ("torch.dtype", str(value).removeprefix("torch."))
    is_one = kind in (torch.Tensor, torch.nn.Parameter) and value.layout == torch.strided
    if not is_one or value.is_quantized:
        return None
    values = value.detach().resolve_conj().resolve_neg()
    narrow = str(value.dtype).removeprefix("torch.")
    if narrow in WIDER:
        values = values.to(getattr(torch, WIDER[narrow]))
    is_parameter, has_gradient = kind is not torch.Tensor, bool(value.requires_grad)
    return ("torch", is_parameter, has_gradient, values.numpy(), narrow if narrow in WIDER else "")


def _tensorflow_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    tensorflow = sys.modules["tensorflow"]
    is_variable = isinstance(value, tensorflow.Variable) and kind.__name__ == "ResourceVariable"
    if not is_variable and kind.__name__ != "EagerTensor":
        return None
    narrow = value.dtype.name if value.dtype.name in WIDER else ""
    values = tensorflow.cast(value, WIDER[narrow]) if narrow else value
    return ("tensorflow", is_variable, values.numpy(), narrow)


def _zone_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    match kind.__module__, kind.__name__:
        case "pytz", "_FixedOffset":
            return ("pytz", value._minutes)
        case "zoneinfo", "ZoneInfo":
            return ("zoneinfo", value.key)
        case "dateutil.tz.tz", "tzutc" | "tzlocal" as name:
            return ("dateutil.tz", name)
        case "dateutil.tz.tz", "tzoffset":
            return ("dateutil.tz", value._name, value._offset.total_seconds())
    return None


class _Items:
    def __getitem__(self, place: int) -> NoReturn:
        raise IndexError


_SequenceIterator = type(iter(_Items()))  # what `iter` makes of an array
_ITERATORS = (
    enumerate, filter, map, reversed, zip, GeneratorType,
    itertools.accumulate, itertools.chain, itertools.combinations, itertools.combinations_with_replacement,
    itertools.compress, itertools.dropwhile, itertools.filterfalse, itertools.islice, itertools.pairwise,
    itertools.permutations, itertools.product, itertools.repeat, itertools.starmap, itertools.takewhile,
    itertools.zip_longest, type(itertools.tee([])[0]), type(iter({}.values())), type(iter({}.items())),
    *(type(iter(kind())) for kind in (list, tuple, set, dict, str, bytes, bytearray, deque)),
    *(type(reversed(kind())) for kind in (list, dict, deque)),
    type(iter(range(0))), type(iter(range(1 << 64))), type(iter("\u00e9")), type(iter(memoryview(b""))),
    _SequenceIterator,
)  # fmt: skip
_MOST_ITEMS = 1 << 22
_VIEWS: dict[type, str] = {type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"}


class _ResultPickler(Pickler):
    """Has the referee find what a test would see of values that can't be moved themselves."""

    def reducer_override(self, value: Any) -> Any:
        """Return how a value is rebuilt, if not in its own way."""
        kind, numpy = type(value), sys.modules.get("numpy")
        if kind in _ITERATORS:
            items = list(itertools.islice(value, _MOST_ITEMS + 1))
            if len(items) > _MOST_ITEMS:
                raise NotPlain(f"a {kind.__name__} of too many values")
            return iterator, (items,)
        is_record = isinstance(value, tuple) and hasattr(kind, "_fields")
        if is_record and not (_can_be_named(kind) and _is_all_in_items(value)):
            return record, (kind.__name__, tuple(kind._fields), tuple(value))
        if kind in _VIEWS:
            return view, (_VIEWS[kind], _seen_in(value, _VIEWS[kind]))
        if kind is defaultdict and value.default_factory and not _can_be_named(value.default_factory):
            return defaultdict, (), None, None, iter(value.items())
        if numpy and kind is numpy.flatiter:
            return flat, (value.copy(),)
        if numpy and kind is memoryview:
            return memoryview, (numpy.asarray(value),)
        return super().reducer_override(value)


def _can_be_named(kind: Any) -> bool:
    """Return whether the referee finds a class by its name."""
    if type(kind) is not type:
        return False
    place = (kind.__module__, kind.__qualname__)
    return (place in kinds.REBUILDERS or kinds.is_plain(*place, kind)) and class_of(*place) is kind


def _is_all_in_items(value: Any) -> bool:
    """Return whether a named tuple has no attribute of a class of scipy's, as a fitted distribution."""
    return not any(
        type(more).__module__.startswith("scipy.") for more in getattr(value, "__dict__", {}).values()
    )


def _seen_in(value: Any, name: str) -> dict[Any, Any]:
    """Return a dictionary with such a view."""
    match name:
        case "keys":
            return dict.fromkeys(value)
        case "values":
            return dict(enumerate(value))
    return dict(value)


# What else a test leaves behind for the program that runs in the same process, where all is one process.


def snapshot() -> dict[str, Any]:
    """Return what `state` compares with, at the time of the fork."""
    if matplotlib := sys.modules.get("matplotlib"):
        colors = sys.modules["matplotlib.colors"]
        return {"style": dict(matplotlib.rcParams), "colors": dict(colors._colors_full_map)}
    return {}


def state(before: dict[str, Any]) -> bytes:
    """Return the generators' state, changed plot settings and open figures, for the candidate."""
    found: dict[str, Any] = {"random": random.getstate()}
    if numpy := sys.modules.get("numpy"):
        found["numpy"] = numpy.random.get_state()
    if torch := sys.modules.get("torch"):
        found["torch"] = torch.random.get_rng_state().numpy()
    if before:
        now = snapshot()
        for name, values in now.items():
            found[name] = {key: value for key, value in values.items() if before[name].get(key) != value}
    if has_figures():
        pyplot = sys.modules["matplotlib.pyplot"]
        found["figures"] = [pyplot.figure(number) for number in pyplot.get_fignums()]
    return dump(found)


def restore(data: bytes) -> None:
    """Set what `state` found, in the candidate."""
    found = trusted(data)
    random.setstate(found["random"])
    if "numpy" in found:
        sys.modules["numpy"].random.set_state(found["numpy"])
    if "torch" in found:
        torch = sys.modules["torch"]
        torch.random.set_rng_state(torch.from_numpy(found["torch"]))
    if "style" in found:
        dict.update(sys.modules["matplotlib"].rcParams, found["style"])
        colors = sys.modules["matplotlib.colors"]
        colors._colors_full_map.update(found["colors"])
        colors._colors_full_map.cache.clear()


def has_figures() -> bool:
    """Return whether pyplot has figures open."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return pyplot is not None and bool(pyplot.get_fignums())
