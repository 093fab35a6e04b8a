"""Values on their way between a referee and its candidate.

To the candidate everything may go: the referee is trusted. From it only plain data comes: numbers, texts,
containers, arrays, tables, sparse matrices and tensors. Pickle is the format; `kinds` says what a pickle from
a candidate may name, and `rebuild` what it may do with that.
"""

import io
import itertools
import pickle
import random
import sys
from types import GeneratorType
from typing import Any

from xftbench.execution.inside import kinds
from xftbench.execution.inside.rebuild import (
    NotPlain,
    PlainUnpickler,
    flat,
    iterator,
    rebuilt,
    record,
    tensor,
)

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
    return pickle.loads(data)  # noqa: S301 - from the referee


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
    return _pickled_by(Pickler, value)


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
        return NotImplemented


def _torch_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    torch = sys.modules["torch"]
    if kind in (torch.Tensor, torch.nn.Parameter) and value.layout == torch.strided and value.is_leaf:
        if value.dtype not in (torch.bfloat16, torch.complex32) and not value.is_quantized:
            return ("torch", kind is not torch.Tensor, bool(value.requires_grad), value.detach().numpy())
    elif kind is torch.Tensor and value.layout == torch.strided:
        return ("torch", False, bool(value.requires_grad), value.detach().numpy())
    elif kind is torch.dtype:
        return ("torch.dtype", str(value).removeprefix("torch."))
    return None


def _tensorflow_parts(value: Any, kind: type) -> tuple[Any, ...] | None:
    tensorflow = sys.modules["tensorflow"]
    if isinstance(value, tensorflow.Variable) and kind.__name__ == "ResourceVariable":
        return ("tensorflow", True, value.numpy())
    if kind.__name__ == "EagerTensor":
        return ("tensorflow", False, value.numpy())
    return None


_ITERATORS = (
    enumerate, filter, map, reversed, zip, itertools.chain, itertools.islice, GeneratorType,
    *(type(iter(kind())) for kind in (list, tuple, set, dict, str)), type(iter(range(0))),
)  # fmt: skip
_MOST_ITEMS = 1 << 22


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
        if is_record and not kinds.is_plain(kind.__module__, kind.__qualname__, kind):
            return record, (kind.__name__, tuple(kind._fields), tuple(value))
        if numpy and kind is numpy.flatiter:
            return flat, (value.copy(),)
        if numpy and kind is memoryview:
            return memoryview, (numpy.asarray(value),)
        return super().reducer_override(value)


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
