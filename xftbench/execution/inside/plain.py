"""Checks of what a candidate's pickle calls, fills and makes: nothing runs, and all of it fits together."""

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

from xftbench.execution.inside import kinds


class NotPlain(Exception):  # noqa: N818 - says what a value is
    """A value that can't be moved as plain data; the text names it."""


class Tampered(Exception):  # noqa: N818 - says what a value is
    """A pickle that would change what it may only name: no value is pickled like that."""


def check_call(name: str, function: Any, arguments: tuple[Any, ...]) -> None:
    """Check that a call runs nothing but its function, on plain data.

    Raises:
        NotPlain: If it would.
    """
    # It initialises the instance as what comes second.
    if name == "_reconstructor" and arguments[1] is not dict and not _is_empty_instance(*arguments):
        raise NotPlain("something made as what it is not is not plain data")
    if made := _MAKERS.get(name):
        _check_kind(arguments[0], *made)
    # An array is made empty: another one would have what stood in memory.
    if (name == "_reconstruct" and arguments[1] != (0,)) or (
        name == "_mareconstruct" and arguments[2] != (0,)
    ):
        raise NotPlain("an array that is not made empty is not plain data")
    if name == "scalar" and type(arguments[-1]) is not bytes:
        raise NotPlain("a scalar that is not made of bytes is not plain data")
    if name.startswith("__pyx_unpickle_") and name in WITH_STATE and arguments[2:] != (None,):
        raise NotPlain("something made with its state is not plain data")
    if name in ("BlockManager", "SingleBlockManager") and len(arguments) != 2:
        raise NotPlain("a table that is not checked is not plain data")
    if function in _CONVERTERS and not {*map(type, arguments)} <= _CONVERTERS[function]:
        raise NotPlain(f"a {name} of something else is not plain data")


def _is_empty_instance(kind: Any, base: Any, state: Any) -> bool:
    return isinstance(kind, type) and kinds.is_listed(kind) and base is object and state is None


_INDEX = ("pandas.core.indexes.base", "Index")
_MAKERS = {
    "_new_Index": _INDEX, "_new_DatetimeIndex": _INDEX, "_new_PeriodIndex": _INDEX,
    "_new_IntervalIndex": _INDEX, "_mareconstruct": ("numpy.ma.core", "MaskedArray"),
}  # fmt: skip
"""Function that makes an instance of its first argument -> the class that this must be of."""


def _check_kind(kind: object, module: str, name: str) -> None:
    """Check that something is a class of a kind.

    Raises:
        NotPlain: If it is not.
    """
    if not (isinstance(kind, type) and issubclass(kind, getattr(sys.modules[module], name))):
        raise NotPlain(f"something made as {name} that is none is not plain data")


WITH_STATE = {
    "_fresh_dtype", "_mareconstruct", "_reconstruct", "_reconstructor",
    "__pyx_unpickle_IntervalMixin", "__pyx_unpickle_NDArrayBacked",
}  # fmt: skip
"""Functions whose results are given a state; those of others may be what the process has, too."""

_SCALARS = {str, bytes, int, float, bool, type(None)}
_CONVERTERS: dict[Any, set[type]] = {
    **dict.fromkeys((str, int, float, bool, bytes, complex, range, bytearray), _SCALARS),
    **dict.fromkeys((list, tuple, set, frozenset, deque), _SCALARS | {list, tuple}),
    dict: set(),
    OrderedDict: set(),
    Counter: {dict},
    defaultdict: {type, type(None)},
}
"""Class -> exact types of what it may be made of: it would call methods of anything else."""
_SETTERS: dict[type, tuple[str, ...]] = {
    list: ("append", "extend"),
    deque: ("append", "extend"),
    dict: ("__setitem__",),
    set: ("add", "update"),
}


def check_container(container: object, *types: type) -> None:
    """Check that something takes items as a builtin container does, with no code of its own.

    Raises:
        NotPlain: If it does not.
    """
    kind = type(container)
    bases = [base for base in types if base in _SETTERS and issubclass(kind, base)]
    has_theirs = any(
        all(getattr(kind, name) is getattr(base, name) for name in _SETTERS[base]) for base in bases
    )
    if kind not in types and not has_theirs:
        raise NotPlain(f"items of a {kind.__name__[:80]} are not plain data")


def dtype_state(dtype: Any, state: Any) -> tuple[Any, ...]:
    """Return the state that numpy writes of the dtype that a pickle describes.

    Nothing of the pickle's own state is passed on: with flags, sizes or fields of a program's choice bytes
    are taken for the addresses of objects.

    Raises:
        NotPlain: If it describes none that numpy makes itself.
    """
    if type(state) is not tuple or len(state) not in (8, 9):
        raise NotPlain("a dtype with a state that is none is not plain data")
    _, order, base, names, fields, size, _, _, *unit = state
    if base is not None or dtype.subdtype is not None or dtype.fields is not None:
        raise NotPlain("a dtype of several is not plain data")
    try:
        made = _made_dtype(dtype, names, fields, size, unit)
        if fields is None and order in ("<", ">"):
            made = made.newbyteorder(order)
    except (TypeError, ValueError, KeyError) as error:
        raise NotPlain(f"a dtype that numpy does not make is not plain data: {error}") from None
    if size not in (-1, made.itemsize):
        raise NotPlain("a dtype of another size is not plain data")
    return tuple(made.__reduce__()[2])


def _made_dtype(dtype: Any, names: Any, fields: Any, size: Any, unit: list[Any]) -> Any:
    """Have numpy make a dtype; titles, and what a program noted down in it, no test looks at."""
    numpy = sys.modules["numpy"]
    if dtype.kind in "mM":
        _, (name, count, divisor, _) = unit[0]
        if type(name) is not bytes or {type(count), type(divisor)} != {int}:
            raise TypeError("no unit of time")
        return numpy.dtype(f"{dtype.kind}8[{count}{name.decode('ascii')}/{divisor}]")
    if fields is None:
        return numpy.dtype(dtype, copy=True)
    if dtype.type not in (numpy.void, numpy.record) or type(names) is not tuple or type(fields) is not dict:
        raise TypeError("no record")
    if {*map(type, (*names, *fields))} != {str}:
        raise TypeError("no names of fields")
    parts = [fields[name] for name in names]
    if not all(type(part) is tuple and isinstance(part[0], numpy.dtype) for part in parts):
        raise TypeError("no fields")
    kinds, places = [part[0] for part in parts], [part[1] for part in parts]
    made = numpy.dtype({"names": list(names), "formats": kinds, "offsets": places, "itemsize": size})
    return numpy.dtype((dtype.type, made))


def check_made(made: Any) -> None:
    """Check that the parts of something fit together where a library's C code takes that for granted.

    Raises:
        NotPlain: If they don't.
    """
    kind = type(made)
    if kind.__module__.startswith("scipy.sparse"):
        if hasattr(kind, "check_format"):
            made.check_format(full_check=True)
        elif hasattr(kind, "_check"):
            made._check()
        if type(getattr(made, "_dict", {})) is not dict:
            raise NotPlain("a matrix whose items are in no dictionary is not plain data")
    elif kind.__module__.partition(".")[0] == "pandas":
        fits = _FITS.get(kind.__name__)
        if fits and not fits(made):
            raise NotPlain(f"a {kind.__name__} whose parts don't fit together is not plain data")


def _has_codes(categorical: Any) -> bool:
    codes = categorical._ndarray
    return codes.dtype.kind == "i" and bool(((codes >= -1) & (codes < len(categorical.categories))).all())


def _has_levels(index: Any) -> bool:
    return index._verify_integrity() is not None  # it raises


def _has_places(manager: Any) -> bool:
    numpy = sys.modules["numpy"]
    places = numpy.concatenate([block.mgr_locs.as_array for block in manager.blocks] or [[]])
    shapes = {block.shape[1:] for block in manager.blocks}
    return bool((numpy.sort(places) == range(len(manager.items))).all()) and shapes <= {manager.shape[1:]}


def _has_length(manager: Any) -> bool:
    return bool(manager.blocks[0].shape == (len(manager.axes[0]),))


_FITS: dict[str, Callable[[Any], bool]] = {
    "Categorical": _has_codes,
    "MultiIndex": _has_levels,
    "BlockManager": _has_places,
    "SingleBlockManager": _has_length,
}
