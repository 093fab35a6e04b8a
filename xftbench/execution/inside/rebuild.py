"""What a candidate's pickle may build in its referee: plain data, and nothing that runs.

A pickle may call what it names, make instances of it, and set attributes of anything. This one names only
what stands in `kinds`, and what is called, made and set is checked each time. What has been checked stays as
it was: an object gets its state once, before anything else holds it, and a copy of it.
"""

import enum
import io
import pickle
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from operator import methodcaller
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, ClassVar

from xftbench.execution.inside import kinds


class NotPlain(Exception):  # noqa: N818 - says what a value is
    """A value that can't be moved as plain data; the text names it."""


class Tampered(Exception):  # noqa: N818 - says what a value is
    """A pickle that would change what it may only name: no value is pickled like that."""


def rebuilt(unpickler: "PlainUnpickler", what: str) -> Any:
    """Return what a candidate's pickle holds.

    Raises:
        NotPlain: If it is not plain data.
        Tampered: If it would change what is this process' own.
    """
    try:
        return unpickler.load()
    except (NotPlain, Tampered):
        raise
    except Exception as error:
        raise NotPlain(f"{what} that can't be rebuilt: {type(error).__name__}") from error


_InPython: Any = pickle._Unpickler  # of whose methods type stubs know nothing


class PlainUnpickler(_InPython):  # type: ignore[misc]
    """Names nothing but the classes of plain data, and calls only what builds it.

    It is Python's own unpickler, not C's: only of this one calling, making and setting can be told apart.
    """

    rebuilders = kinds.REBUILDERS
    constants = kinds.CONSTANTS
    stubs: tuple[type, ...] = ()
    """Classes of what may stand where a class has a method."""
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_InPython.dispatch)

    def __init__(self, buffer: io.BytesIO) -> None:
        super().__init__(buffer)
        self._named: list[Any] = []
        """What is the process' own: every other value is the pickle's."""
        self._callable: list[Any] = []
        self._constants: list[Any] = []
        self._finished: dict[int, Any] = {}
        """What gets no state any more, by its id; held here, so that nothing else gets the same."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle names.

        Raises:
            NotPlain: If it may not.
        """
        found, is_callable = self._find(module, name)
        self._named.append(found)
        if is_callable:
            self._callable.append(found)
        return found

    def _find(self, module: str, name: str) -> tuple[Any, bool]:
        """Return it, and whether it may be called with arguments of the pickle's."""
        if (module, name) == ("numpy", "dtype"):
            return _fresh_dtype, True  # the rest of a pickle may change it, and numpy's own are shared
        if (module, name) in self.rebuilders or (module, name) in self.constants:
            found = super().find_class(module, name)
            if (module, name) in self.constants:
                self._constants.append(found)
            return found, (module, name) in self.rebuilders
        found = class_of(module, name)
        if found is None or not self.is_plain(module, name, found):
            raise NotPlain(f"a {name[:80]} of {module[:80]} is not plain data")
        return found, self.is_made_by_calling(module, name, found)

    is_plain = staticmethod(kinds.is_plain)
    is_made_by_calling = staticmethod(kinds.is_made_by_calling)

    @staticmethod
    def may_be_cyclic(kind: type) -> bool:
        """Return whether an instance may be part of what it holds, and so be held before it has its state."""
        return False

    def load_reduce(self) -> None:
        """Call something: constructors of the libraries may read files, write them, and run texts."""
        function, arguments = self.stack[-2:]
        name = getattr(function, "__name__", type(function).__name__)
        if not _is_one_of(function, self._callable):
            raise NotPlain(f"a {name[:80]} that is made by calling it is not plain data")
        self.check_call(name, function, arguments)
        super().load_reduce()
        made = self.stack[-1]
        if name in _SHARED or isinstance(made, enum.Enum):
            self._named.append(made)
        if not self.has_state(name):
            self._finish(made)
            _check_made(made)

    @staticmethod
    def has_state(name: str) -> bool:
        """Return whether what a function of this name makes is given a state."""
        return name in _WITH_STATE

    def _finish(self, made: Any) -> None:
        self._finished[id(made)] = made

    def _hold(self) -> None:
        """Note that what has just been fetched is held by two."""
        if not self.may_be_cyclic(type(self.stack[-1])):
            self._finish(self.stack[-1])

    def load_get(self) -> None:
        """Fetch what stands in the pickle before."""
        super().load_get()
        self._hold()

    def load_binget(self) -> None:
        """Fetch what stands in the pickle before."""
        super().load_binget()
        self._hold()

    def load_long_binget(self) -> None:
        """Fetch what stands in the pickle before."""
        super().load_long_binget()
        self._hold()

    def check_call(self, name: str, function: Any, arguments: tuple[Any, ...]) -> None:
        """Check that a call runs nothing but its function, on plain data.

        Raises:
            NotPlain: If it would.
        """
        if name == "_reconstructor" and arguments[1] is not dict:  # it initialises the instance as this
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
        if name.startswith("__pyx_unpickle_") and name in _WITH_STATE and arguments[2:] != (None,):
            raise NotPlain("something made with its state is not plain data")
        if name in ("BlockManager", "SingleBlockManager") and len(arguments) != 2:
            raise NotPlain("a table that is not checked is not plain data")
        if function in _CONVERTERS and not {*map(type, arguments)} <= _CONVERTERS[function]:
            raise NotPlain(f"a {name} of something else is not plain data")

    def load_newobj(self) -> None:
        """Make an instance without initialising it."""
        self.check_class(self.stack[-2], self.stack[-1])
        super().load_newobj()

    def load_newobj_ex(self) -> None:
        """Make an instance without initialising it."""
        self.check_class(self.stack[-3], (self.stack[-2], *self.stack[-1]))
        super().load_newobj_ex()

    def check_class(self, kind: Any, arguments: tuple[Any, ...]) -> None:
        """Check that the class has no code of its own that makes instances, unless it is a tuple's.

        Raises:
            NotPlain: If it has.
        """
        if not (isinstance(kind, type) and _is_one_of(kind, self._named)):
            raise NotPlain("an instance of no class is not plain data")
        has_code = not isinstance(kind.__new__, BuiltinFunctionType) and not issubclass(kind, tuple)
        is_known = (kind.__module__, kind.__qualname__) in kinds.CLASSES
        is_array = "numpy" in sys.modules and issubclass(kind, sys.modules["numpy"].ndarray)
        if (has_code and (arguments or not is_known)) or (is_array and arguments):
            raise NotPlain(f"a {kind.__name__[:80]} that is made of something is not plain data")

    def load_build(self) -> None:
        """Give an object its state."""
        instance, state = self.stack[-2:]
        if _is_one_of(instance, self._named):
            raise Tampered(f"a pickle that changes {getattr(instance, '__name__', 'a constant')}")
        kind = type(instance)
        if id(instance) in self._finished:
            raise NotPlain(f"a {kind.__name__[:80]} that is changed is not plain data")
        self._finish(instance)
        if "numpy" in sys.modules and isinstance(instance, sys.modules["numpy"].dtype):
            self.stack[-1] = _dtype_state(instance, state)
        else:
            self.stack[-1] = self._state(kind, state)
        super().load_build()
        _check_made(instance)

    def _state(self, kind: type, state: Any) -> Any:
        """Return a copy of a state: a dictionary of attributes, or a tuple with such.

        Raises:
            NotPlain: If it is none, or holds what may not stand there.
        """
        if type(state) is dict:
            return self._attributes(kind, state)
        if type(state) is not tuple:
            raise NotPlain(f"a {kind.__name__[:80]} whose state is none is not plain data")
        parts = tuple(self._attributes(kind, part) if isinstance(part, dict) else part for part in state)
        if not hasattr(kind, "__setstate__"):
            _, slots = parts
            places = [getattr(kind, name, None) for name in slots or ()]
            if not all(isinstance(place, MemberDescriptorType) for place in places):
                raise NotPlain(f"a {kind.__name__[:80]} whose state sets more than slots is not plain data")
        return parts

    def _attributes(self, kind: type, attributes: dict[Any, Any]) -> dict[str, Any]:
        if type(attributes) is not dict or not all(type(name) is str for name in attributes):
            raise NotPlain(f"a {kind.__name__[:80]} with attributes that have no names is not plain data")
        for name, value in attributes.items():
            is_method = callable(getattr(kind, name, None)) and callable(value)
            is_function = isinstance(value, _FUNCTIONS) and not _is_one_of(value, self._constants)
            is_own = name == "__setstate__" or (name.startswith("__") and hasattr(kind, name))
            if is_own or ((is_method or is_function) and type(value) not in self.stubs):
                raise NotPlain(f"a {kind.__name__[:80]} with a {name[:80]} of its own is not plain data")
        return dict(attributes)

    def check_items(self, container: object, items: list[Any], *types: type) -> None:
        """Check that a container of one of these types may take items.

        Raises:
            NotPlain: If it may not.
        """
        _check_container(container, *types)

    def load_append(self) -> None:
        """Append to a list."""
        self.check_items(self.stack[-2], self.stack[-1:], list, deque)
        super().load_append()

    def load_appends(self) -> None:
        """Append to a list."""
        self.check_items(self.metastack[-1][-1], self.stack, list, deque)
        super().load_appends()

    def load_setitem(self) -> None:
        """Set an item of a dictionary."""
        self.check_items(self.stack[-3], self.stack[-2:], *_DICTIONARIES)
        super().load_setitem()

    def load_setitems(self) -> None:
        """Set items of a dictionary."""
        self.check_items(self.metastack[-1][-1], self.stack, *_DICTIONARIES)
        super().load_setitems()

    def load_additems(self) -> None:
        """Add to a set."""
        self.check_items(self.metastack[-1][-1], self.stack, set)
        super().load_additems()

    # By name, so that a subclass only has to define a method.
    dispatch |= {
        pickle.GET[0]: methodcaller("load_get"),
        pickle.BINGET[0]: methodcaller("load_binget"),
        pickle.LONG_BINGET[0]: methodcaller("load_long_binget"),
        pickle.REDUCE[0]: methodcaller("load_reduce"),
        pickle.NEWOBJ[0]: methodcaller("load_newobj"),
        pickle.NEWOBJ_EX[0]: methodcaller("load_newobj_ex"),
        pickle.BUILD[0]: methodcaller("load_build"),
        pickle.APPEND[0]: methodcaller("load_append"),
        pickle.APPENDS[0]: methodcaller("load_appends"),
        pickle.SETITEM[0]: methodcaller("load_setitem"),
        pickle.SETITEMS[0]: methodcaller("load_setitems"),
        pickle.ADDITEMS[0]: methodcaller("load_additems"),
        pickle.FROZENSET[0]: methodcaller("load_frozenset"),
    }
    # The first two make instances, too, and the last has one held by two; no pickler writes them any more.
    for _old in (pickle.INST, pickle.OBJ, pickle.DUP):
        del dispatch[_old[0]]


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


_SHARED = ("_UTC", "_p", "MaskedConstant", "tensor", "zone", "made_class")
"""Functions that may return what others have, too."""
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


_DICTIONARIES = (dict, OrderedDict, defaultdict, Counter)
_SETTERS: dict[type, tuple[str, ...]] = {
    list: ("append", "extend"),
    deque: ("append", "extend"),
    dict: ("__setitem__",),
    set: ("add", "update"),
}
_FUNCTIONS = (type, FunctionType, BuiltinFunctionType, MethodType)


def _check_container(container: object, *types: type) -> None:
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


def _dtype_state(dtype: Any, state: Any) -> tuple[Any, ...]:
    """Return a copy of a dtype's state, which numpy keeps parts of.

    Raises:
        NotPlain: If it is not what numpy would write of a dtype that it can make itself: with another one,
            bytes can be taken for the addresses of objects.
    """
    numpy = sys.modules["numpy"]
    if type(state) is not tuple or len(state) not in (8, 9):
        raise NotPlain("a dtype with a state that is none is not plain data")
    version, order, base, names, fields, size, alignment, flags, *unit = state
    made = dtype
    if fields is not None:
        is_plain = type(names) is tuple and type(fields) is dict and {*map(type, (*names, *fields))} == {str}
        parts: list[Any] = [fields[name] for name in names] if is_plain else [None]
        if not all(type(part) is tuple and isinstance(part[0], numpy.dtype) for part in parts):
            raise NotPlain("a dtype with fields that are none is not plain data")
        fields = {name: tuple(part) for name, part in fields.items()}
        made = numpy.dtype(
            {
                "names": list(names),
                "formats": [part[0] for part in parts],
                "offsets": [part[1] for part in parts],
                "itemsize": size,
            }
        )
    is_right = flags in (0, made.flags) if not made.hasobject else flags == made.flags
    is_sized = size in (-1, made.itemsize) and {type(size), type(alignment)} == {int}
    if not (is_right and is_sized) or base is not None:
        raise NotPlain("a dtype that numpy would not make is not plain data")
    if dtype.kind in "mM":
        _, count = unit[0]
        unit = [({}, tuple(count))]
    else:
        unit = [None] * len(unit)  # what a program noted down there no test looks at
    return (version, order, base, names, fields, size, alignment, flags, *unit)


def _check_made(made: Any) -> None:
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
_WITH_STATE = {
    "_fresh_dtype", "_mareconstruct", "_reconstruct", "_reconstructor",
    "__pyx_unpickle_IntervalMixin", "__pyx_unpickle_NDArrayBacked",
}  # fmt: skip
"""Functions whose results are given a state; those of others may be what the process has, too."""


def _is_one_of(value: object, others: list[Any]) -> bool:
    return any(value is other for other in others)


def class_of(module: str, name: str) -> type | None:
    """Return a class of a loaded module, or one that stands in a class."""
    found: type | None = None
    for part in name.split("."):
        inner = getattr(found or sys.modules.get(module), part, None)
        if not isinstance(inner, type):
            return None
        found = inner
    return found


def _fresh_dtype(*arguments: Any) -> object:
    return sys.modules["numpy"].dtype(arguments[0], False, True)


# Functions that a pickle of ours names, in the place of values that pickle can't move as they are.


WIDER = {"bfloat16": "float32", "complex32": "complex64"}
"""Type of numbers that numpy lacks -> the one that a tensor's are moved in."""


def tensor(library: str, *parts: Any) -> object:
    """Return a tensor, or a torch dtype, from its parts; a candidate may have made them up.

    Raises:
        NotPlain: If they are none.
    """
    if library == "torch.dtype" and len(parts) == 1:
        found = getattr(sys.modules.get("torch"), str(parts[0]), None)
        if type(found).__name__ == "dtype":
            return found
    *flags, array, narrow = parts if len(parts) > 1 else (None, None)
    is_known = type(array).__module__ in ("numpy", "builtins") and type(narrow) is str
    if library not in sys.modules or not is_known or (narrow and narrow not in WIDER):
        raise NotPlain("a part that is none of ours")
    module = sys.modules[library]
    if library == "torch" and len(flags) == 2:
        made = module.from_numpy(array.copy()) if array.shape else module.tensor(array[()])
        made = made.to(getattr(module, narrow)) if narrow else made
        if flags[0]:
            return module.nn.Parameter(made, requires_grad=bool(flags[1]))
        return made.requires_grad_() if flags[1] else made
    if library == "tensorflow" and len(flags) == 1:
        made = module.cast(array, narrow) if narrow else module.convert_to_tensor(array)
        return module.Variable(made) if flags[0] else made
    raise NotPlain("a part that is none of ours")


def iterator(items: list[Any]) -> object:
    """Return an iterator's values to come, as an iterator.

    Raises:
        NotPlain: If they are in no list.
    """
    if type(items) is not list:
        raise NotPlain("an iterator that is none of ours")
    return iter(items)


def flat(array: Any) -> object:
    """Return what an array's `flat` is.

    Raises:
        NotPlain: If it is no array.
    """
    if type(array) is not sys.modules["numpy"].ndarray:
        raise NotPlain("a flat iterator that is none of ours")
    return array.flat


def record(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> object:
    """Return a tuple whose fields have names.

    Raises:
        NotPlain: If it is none.
    """
    if {str} != {type(name), *map(type, fields)} or type(values) is not tuple:
        raise NotPlain("a named tuple that is none of ours")
    make: Any = namedtuple
    # It checks that all are names, and does with others what pandas has it do in `itertuples`.
    return make(name, fields, rename=True)._make(values)


def view(kind: str, values: dict[Any, Any]) -> object:
    """Return a dictionary's keys, values or items.

    Raises:
        NotPlain: If it is none.
    """
    if type(values) is not dict or kind not in ("keys", "values", "items"):
        raise NotPlain("a view that is none of ours")
    return getattr(values, kind)()


def zone(library: str, *parts: Any) -> object:
    """Return a time zone from what it is named or made by.

    Raises:
        NotPlain: If it is none.
    """
    if library not in sys.modules or not {*map(type, parts)} <= {str, int, float, type(None)}:
        raise NotPlain("a time zone that is none of ours")
    match library, parts:
        case "pytz", (minutes,):
            return sys.modules["pytz"].FixedOffset(minutes)
        case "zoneinfo", (str(key),):
            return sys.modules["zoneinfo"].ZoneInfo(key)
        case "dateutil.tz", ("tzutc" | "tzlocal" as name,):
            return getattr(sys.modules["dateutil.tz"], name)()
        case "dateutil.tz", (name, seconds):
            return sys.modules["dateutil.tz"].tzoffset(name, seconds)
    raise NotPlain("a time zone that is none of ours")
