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
from collections.abc import Callable
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
            plain.check_made(made)

    @staticmethod
    def has_state(name: str) -> bool:
        """Return whether what a function of this name makes is given a state."""
        return name in plain.WITH_STATE

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
        if not (isinstance(kind, type) and _is_one_of(kind, self._named)):
            raise NotPlain("an instance of no class is not plain data")
        has_code = not isinstance(kind.__new__, BuiltinFunctionType) and not issubclass(kind, tuple)
        is_array = "numpy" in sys.modules and issubclass(kind, sys.modules["numpy"].ndarray)
        if (has_code and (arguments or not kinds.is_listed(kind))) or (is_array and arguments):
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
            "GET", "BINGET", "LONG_BINGET", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD", "APPEND", "APPENDS",
            "SETITEM", "SETITEMS", "ADDITEMS", "FROZENSET",
        )
    }  # fmt: skip
    # The first two make instances, too, and the last has one held by two; no pickler writes them any more.
    for _old in (pickle.INST, pickle.OBJ, pickle.DUP):
        del dispatch[_old[0]]


_SHARED = ("_UTC", "_p", "MaskedConstant", "tensor", "zone", "made_class")
"""Functions that may return what others have, too."""
_DICTIONARIES = (dict, OrderedDict, defaultdict, Counter)
_FUNCTIONS = (type, FunctionType, BuiltinFunctionType, MethodType)


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
