"""What a candidate's pickle may build in its referee: plain data, and nothing that runs.

A pickle may call what it names, make instances of it, and set attributes of anything. This one names only
what stands in `kinds`, and what is called, made and set is checked each time. What has been checked stays as
it was: an object gets its state once, before anything else holds it, and a copy of it.
"""

import enum
import io
import pickle
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from operator import methodcaller
from types import BuiltinFunctionType, FunctionType, MemberDescriptorType, MethodType
from typing import Any, ClassVar

from xftbench.execution.inside import kinds, plain
from xftbench.execution.inside.plain import NotPlain, Tampered


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


class Objects:
    """Objects told apart by being the same, not by being equal; held, so that no other gets such an id."""

    def __init__(self) -> None:
        self._by_id: dict[int, Any] = {}

    def add(self, value: Any) -> None:
        """Add one."""
        self._by_id[id(value)] = value

    def has_any(self, values: Iterable[object]) -> bool:
        """Return whether one of some values is there."""
        return not self._by_id.keys().isdisjoint(map(id, values))

    def __contains__(self, value: object) -> bool:
        return id(value) in self._by_id


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
        self._buffer = buffer
        self._named = Objects()
        """What is the process' own: every other value is the pickle's."""
        self._callable = Objects()
        self._constants = Objects()
        self._finished = Objects()
        """What gets no state any more."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle names.

        Raises:
            NotPlain: If it may not.
        """
        found, is_callable = self._find(module, name)
        self._named.add(found)
        if is_callable:
            self._callable.add(found)
        return found

    def _find(self, module: str, name: str) -> tuple[Any, bool]:
        """Return it, and whether it may be called with arguments of the pickle's."""
        if (module, name) == ("numpy", "dtype"):
            return _fresh_dtype, True  # the rest of a pickle may change it, and numpy's own are shared
        if (module, name) in self.rebuilders or (module, name) in self.constants:
            found = super().find_class(module, name)
            if (module, name) in self.constants:
                self._constants.add(found)
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
        if function not in self._callable:
            raise NotPlain(f"a {name[:80]} that is made by calling it is not plain data")
        self.check_call(name, function, arguments)
        super().load_reduce()
        made = self.stack[-1]
        if name in _SHARED or isinstance(made, enum.Enum):
            self._named.add(made)
        if not self.has_state(name):
            self._finished.add(made)
            plain.check_made(made)

    @staticmethod
    def has_state(name: str) -> bool:
        """Return whether what a function of this name makes is given a state."""
        return name in plain.WITH_STATE

    def load(self) -> Any:
        """Return what the pickle holds; as the base class does, but for frames, which only cut a text up."""
        buffer = self._buffer
        self.read, self.readline, self.readinto = buffer.read, buffer.readline, buffer.readinto
        self.metastack: list[Any] = []
        self.stack: list[Any] = []
        self.append = self.stack.append
        self.proto = 0
        read, dispatch = self.read, self.dispatch
        try:
            while True:
                dispatch[read(1)[0]](self)
        except pickle._Stop as stop:  # type: ignore[attr-defined]
            return stop.value

    def load_frame(self) -> None:
        """Pass over a frame's length."""
        self.read(8)

    def _fetch(self, place: int) -> None:
        """Put what stands in the pickle before onto the stack; it is held by two then."""
        fetched = self.memo[place]
        kind = type(fetched)
        if kind not in _STATELESS and not self.may_be_cyclic(kind):
            self._finished.add(fetched)
        self.append(fetched)

    def load_get(self) -> None:
        """Fetch something."""
        self._fetch(int(self.readline()))

    def load_binget(self) -> None:
        """Fetch something."""
        self._fetch(self.read(1)[0])

    def load_long_binget(self) -> None:
        """Fetch something."""
        self._fetch(int.from_bytes(self.read(4), "little"))

    def check_call(self, name: str, function: Any, arguments: tuple[Any, ...]) -> None:
        """Check that a call runs nothing but its function, on plain data.

        Raises:
            NotPlain: If it would.
        """
        plain.check_call(name, function, arguments)

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
        if not (isinstance(kind, type) and kind in self._named):
            raise NotPlain("an instance of no class is not plain data")
        has_code = not isinstance(kind.__new__, BuiltinFunctionType) and not issubclass(kind, tuple)
        is_array = "numpy" in sys.modules and issubclass(kind, sys.modules["numpy"].ndarray)
        if (has_code and (arguments or not kinds.is_listed(kind))) or (is_array and arguments):
            raise NotPlain(f"a {kind.__name__[:80]} that is made of something is not plain data")

    def load_build(self) -> None:
        """Give an object its state."""
        instance, state = self.stack[-2:]
        if instance in self._named:
            raise Tampered(f"a pickle that changes {getattr(instance, '__name__', 'a constant')}")
        kind = type(instance)
        if instance in self._finished:
            raise NotPlain(f"a {kind.__name__[:80]} that is changed is not plain data")
        self._finished.add(instance)
        if "numpy" in sys.modules and isinstance(instance, sys.modules["numpy"].dtype):
            self.stack[-1] = plain.dtype_state(instance, state)
        else:
            self.stack[-1] = self._state(kind, state)
        super().load_build()
        plain.check_made(instance)

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
            is_function = isinstance(value, _FUNCTIONS) and value not in self._constants
            is_own = name == "__setstate__" or (name.startswith("__") and hasattr(kind, name))
            if is_own or ((is_method or is_function) and type(value) not in self.stubs):
                raise NotPlain(f"a {kind.__name__[:80]} with a {name[:80]} of its own is not plain data")
        return dict(attributes)

    def check_items(self, container: object, items: list[Any], *types: type) -> None:
        """Check that a container of one of these types may take items.

        Raises:
            NotPlain: If it may not.
        """
        plain.check_container(container, *types)

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
        getattr(pickle, code)[0]: methodcaller(f"load_{code.lower()}")
        for code in (
            "FRAME", "GET", "BINGET", "LONG_BINGET", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD", "APPEND",
            "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "FROZENSET",
        )
    }  # fmt: skip
    # The first two make instances, too, and the last has one held by two; no pickler writes them any more.
    for _old in (pickle.INST, pickle.OBJ, pickle.DUP):
        del dispatch[_old[0]]


_SHARED = ("_UTC", "_p", "MaskedConstant", "tensor", "zone", "made_class")
"""Functions that may return what others have, too."""
_DICTIONARIES = (dict, OrderedDict, defaultdict, Counter)
_FUNCTIONS = (type, FunctionType, BuiltinFunctionType, MethodType)


_STATELESS = frozenset({str, bytes, int, float, complex, bool, type(None)})
"""Classes of what never gets a state, and most of what is fetched is of."""


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
