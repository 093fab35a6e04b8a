"""The values that cross between solution and checker: plain builtin data, as JSON with tags.

The decoder meets bytes that a hostile program chose. It builds exact builtin types only, never calls code of
the sender, and raises `WireError` for everything that is not an encoding. So a verdict can't be bought with a
clever `__eq__`: what is not plain data arrives as an object that equals nothing.
"""

import builtins
import json
import math
import struct
import sys
from collections import ChainMap, UserDict, UserList, UserString, deque
from collections.abc import Callable, Iterator
from itertools import islice
from types import MappingProxyType
from typing import Any

MAX_BYTES = 64 << 20
"""Largest message."""
MAX_NODES = 1 << 24
"""Most values in a message."""
MAX_ITERATED = 1 << 20
"""Most values that an iterator is asked for; it may be endless."""
MAX_DEPTH = 200
"""Deepest nesting."""
_MAX_FRACTION = 1 << 26
"""Most that a fraction's numbers of hexadecimal digits may come to when they are multiplied: so long it takes
to reduce it, and one that equals a number which is none has few below the line."""
_SMALL = 1 << 63  # integers up to here travel as digits, others as hexadecimal: linear time, no digit limit

_ATOMS = frozenset((type(None), bool, str, float))
_DICT_VIEWS = {type({}.keys()): "keys", type({}.values()): "values", type({}.items()): "items"}


class WireError(ValueError):
    """A value can't be sent, or bytes are not an encoding."""


class OpaqueError(WireError):
    """A stand-in for the other side's value can't be sent back to it."""


class Opaque:
    """Stands in the checker for a value that is not plain data. It equals nothing but itself."""

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name

    def __repr__(self) -> str:
        return f"<{self.type_name} object>"


class OpaqueIterator(Opaque):
    """Stands for an iterator or generator: it can be iterated once."""

    def __init__(self, type_name: str, items: list[object]) -> None:
        super().__init__(type_name)
        self._items = iter(items)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        return next(self._items)


class OpaqueSequence(Opaque):
    """Stands for an array: it has a length and items, but does not compare like a list."""

    def __init__(self, type_name: str, items: list[object]) -> None:
        super().__init__(type_name)
        self._items = items

    def __iter__(self) -> Iterator[object]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> object:
        return self._items[index]


class NarrowFloat(float):
    """A number of less precision than Python's: as with numpy's, the other one is rounded to it."""

    __hash__ = float.__hash__
    _format: str

    def __new__(cls, kind: str, value: float) -> "NarrowFloat":
        """Make one of a kind that numpy has a name for."""
        number = super().__new__(cls, value)
        number._format = _NARROW[kind]
        return number

    def __eq__(self, other: object) -> bool:
        """Return whether a number rounds to this one."""
        if type(other) not in (int, float):
            return float.__eq__(self, other)
        assert isinstance(other, (int, float))
        try:
            (rounded,) = struct.unpack(self._format, struct.pack(self._format, other))
        except (OverflowError, struct.error):
            rounded = math.copysign(math.inf, other)
        return float.__eq__(self, rounded)


class NumpyBool(int):
    """A truth value of numpy's: it equals Python's, and is none of them."""

    def __repr__(self) -> str:
        return repr(bool(self))


def _like(base: type) -> type:
    return type(f"Array_{base.__name__}", (base,), {"__hash__": None})


_ARRAYS = {base: _like(base) for base in (int, float, complex, str)}
"""Classes of what stands in arrays of no dimension: they compare as it does, but can't be in a set."""
_NUMPY_NUMBERS = {"float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
_NARROW = {"float16": "e", "float32": "f"}
NARROW = b'"nf"'
"""Is part of every message that holds a `NarrowFloat`."""
Keep = Callable[[Any], int | None]
"""Gives a number to a value that stays with the sender, or None if it is to travel, or to be refused."""


def encode(value: object, *, opaque: bool, keep: Keep | None = None, keep_first: bool = False) -> bytes:
    """Return the encoding of a message.

    Args:
        value: Anything. Subclasses of builtin types are sent as their base.
        opaque: Whether what is not plain data is sent as a stand-in instead of being refused.
        keep: Asked for what is not plain data, where both sides know numbers of each other's values.
        keep_first: Whether it is asked for what could be sent as something plainer, too.

    Raises:
        WireError: If it is too large or nested too deeply, or not plain data.
    """
    plain = _Encoder(opaque, keep, keep_first=keep_first).plain(value, 0)
    # Not as ASCII: two lone surrogates side by side would be read back as one character.
    data = _JSON.encode(plain).encode("utf-8", "surrogatepass")
    if len(data) > MAX_BYTES:
        raise WireError(f"a value of {len(data):,} bytes is too large to compare")
    return data


_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False, ensure_ascii=False)


class _Encoder:
    def __init__(self, opaque: bool, keep: Keep | None, *, keep_first: bool) -> None:
        self._opaque = opaque
        self._keep = keep
        self._keep_first = keep_first
        self._nodes = 0

    def plain(self, value: Any, depth: int) -> object:
        """Return a JSON value that stands for `value`."""
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind is int:
            return value if -_SMALL <= value < _SMALL else {"i": hex(value)}
        if depth >= MAX_DEPTH:
            raise WireError(f"a value nested more than {MAX_DEPTH} levels deep")
        if kind is list:
            return self._items(value, depth)
        if kind is tuple:
            return {"t": self._items(value, depth)}
        if kind is dict:
            return {"d": self._pairs(value.items(), depth)}
        return self._uncommon(value, kind, depth)

    def _items(self, values: Any, depth: int) -> list[object]:
        items: list[Any] = list(values)
        self._nodes += len(items)
        if self._nodes > MAX_NODES:
            raise WireError(f"a result of more than {MAX_NODES:,} values is too large to compare")
        kinds = set(map(type, items))
        if len(kinds) == 1 and _is_numpy_number(*kinds):  # there may be a million of them
            items = [item.item() for item in items]
            kinds = set(map(type, items))
        if kinds <= _ATOMS or (kinds == {int} and min(items) >= -_SMALL and max(items) < _SMALL):
            return items
        return [self.plain(item, depth + 1) for item in items]

    def _pairs(self, pairs: Any, depth: int) -> list[object]:
        flat = [part for pair in pairs for part in pair]
        return self._items(flat, depth)

    def _uncommon(self, value: Any, kind: type, depth: int) -> object:
        if self._keep_first and kind not in _SCALARS and kind not in _SEQUENCES:
            return self._kept(value, kind, depth)
        for base, convert in _SCALARS.items():
            if issubclass(kind, base):
                return self._scalar(value, base, convert)
        for base, tag in _SEQUENCES.items():
            if issubclass(kind, base):
                return {tag: self._items(base.__iter__(value), depth)}
        if issubclass(kind, dict):
            return {"d": self._pairs(dict.items(value), depth)}
        for base, tag in _DICT_VIEWS.items():
            if issubclass(kind, base):
                return {tag: self._pairs(value, depth) if tag == "items" else self._items(value, depth)}
        if (exact := _exact(value)) is not None:
            return exact
        return self._kept(value, kind, depth)

    def _kept(self, value: Any, kind: type, depth: int) -> object:
        if self._keep is not None and (number := self._keep(value)) is not None:
            return {"h": [number, kind.__name__[:80]]}
        if not self._opaque:
            raise (OpaqueError if isinstance(value, Opaque) else WireError)(
                f"a {kind.__name__} is not plain data"
            )
        return self._stand_in(value, kind, depth)

    def _scalar(self, value: Any, base: type, convert: Callable[[Any], object]) -> object:
        if base in (str, int, float):
            return self.plain(convert(value), 0)
        return {_TAGS[base]: convert(value)}

    def _stand_in(self, value: Any, kind: type, depth: int) -> object:
        if issubclass(kind, _WRAPPERS):
            return self.plain(value.data, depth)
        if issubclass(kind, _MAPPINGS):
            return {"d": self._pairs(value.items(), depth)}
        name = kind.__name__[:80]
        if getattr(kind, "__module__", "").partition(".")[0] == "numpy" and hasattr(value, "dtype"):
            return self._numpy(value, name, depth)
        if (array := sys.modules.get("array")) and isinstance(value, array.array):
            return {"sq": [name, self._items(array.array.tolist(value), depth)]}
        if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
            items = list(islice(value, MAX_ITERATED + 1))
            if len(items) > MAX_ITERATED:
                raise WireError(f"an iterator of more than {MAX_ITERATED:,} values")
            return {"it": [name, self._items(items, depth)]}
        return {"o": name}

    def _numpy(self, value: Any, name: str, depth: int) -> object:
        kind = value.dtype.name
        if value.dtype.names or name == "MaskedConstant":  # records and "no value" equal nothing plain
            return {"o": name}
        if value.shape != ():
            return {"sq": [name, self._items(list(value.tolist()), depth)]}
        if depth > 1 and isinstance(value, sys.modules["numpy"].ndarray):
            inner = value[()]  # an array of objects holds one of Python's
            is_numpys = hasattr(inner, "dtype")
            return {"z": self._numpy(inner, name, depth) if is_numpys else self.plain(inner, depth + 1)}
        item = value.item()
        if kind in _NARROW:
            return {"nf": [kind, item]}
        if kind == "bool":
            return {"nb": item}
        if type(item).__module__ == "numpy":  # more precise than anything of Python's
            nearest = complex(item) if "complex" in kind else float(item)
            return self.plain(nearest, depth + 1) if nearest == item else {"o": name}
        return self.plain(item, depth + 1)


def _is_numpy_number(kind: type) -> bool:
    """Whether it is a numpy type whose values are Python's numbers to the last digit."""
    return kind.__module__ == "numpy" and kind.__name__ in _NUMPY_NUMBERS


def _exact(value: Any) -> dict[str, object] | None:
    """Encode a builtin type, Fraction or Decimal; who has one of these has imported its module."""
    if type(value) is type:
        name = str(value.__name__)
        return {"T": name} if getattr(builtins, name, None) is value else None
    if (fractions := sys.modules.get("fractions")) and isinstance(value, fractions.Fraction):
        return {"F": [hex(value.numerator), hex(value.denominator)]}
    if (decimal := sys.modules.get("decimal")) and isinstance(value, decimal.Decimal):
        return {"D": decimal.Decimal.__str__(value)}
    return None


_SCALARS: dict[type, Callable[[Any], object]] = {
    str: str.__str__, int: int.__int__, float: float.__float__,
    complex: lambda value: [value.real, value.imag],
    bytes: lambda value: bytes(value).decode("latin-1"),
    bytearray: lambda value: bytes(value).decode("latin-1"),
    range: lambda value: [hex(value.start), hex(value.stop), hex(value.step)],
}  # fmt: skip
_TAGS: dict[type, str] = {
    complex: "c", bytes: "b", bytearray: "ba", range: "r",
}  # fmt: skip
_WRAPPERS = (UserDict, UserList, UserString)
_MAPPINGS = (ChainMap, MappingProxyType)
_SEQUENCES: dict[Any, str] = {list: "l", tuple: "t", set: "s", frozenset: "fs", deque: "dq"}


Find = Callable[[int, str], object]
"""Returns what stands for the value that the other side has kept, by its number and the name of its type."""


def decode(data: bytes, find: Find | None = None, *, bounded: bool = False) -> Any:
    """Return the value that `data` encodes.

    Args:
        data: An encoding.
        find: Asked for what the sender has kept a number of.
        bounded: Whether a range of more values than a message could hold becomes a stand-in, so that
            all that is there can be iterated.

    Raises:
        WireError: If it does not encode one.
    """
    if len(data) > MAX_BYTES or data.count(b",") > 3 * MAX_NODES:
        raise WireError("a message that is too large")
    decoder = _BOUNDED if bounded else _UNJSON
    if find is not None:
        decoder = json.JSONDecoder(object_hook=lambda tagged: _find(tagged, find))
    try:
        return decoder.decode(data.decode("utf-8", "surrogatepass"))
    except WireError:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError, LookupError) as error:
        raise WireError(f"not an encoding: {type(error).__name__}") from error


def _find(tagged: dict[str, Any], find: Find) -> object:
    if "h" not in tagged:
        return _untag(tagged)
    number, name = _list(tagged["h"])
    if type(number) is not int or len(tagged) != 1:
        raise WireError("not a number of a value")
    return find(number, _text(name))


def _untag(tagged: dict[str, Any]) -> object:
    if len(tagged) != 1:
        raise WireError("a value with several tags")
    ((tag, content),) = tagged.items()
    build = _BUILDERS.get(tag)
    if build is None:
        raise WireError("an unknown tag")
    return build(content)


def _untag_bounded(tagged: dict[str, Any]) -> object:
    value = _untag(tagged)
    return Opaque("range") if type(value) is range and value[MAX_ITERATED:] else value


def _list(content: Any) -> list[Any]:
    if type(content) is not list:
        raise WireError("not a list")
    return content


def _dict(content: Any) -> dict[Any, Any]:
    flat = _list(content)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _fraction(content: Any) -> object:
    from fractions import Fraction

    numerator, denominator = map(_text, _list(content))
    if len(numerator) * len(denominator) > _MAX_FRACTION:
        raise WireError("a fraction of too many digits")
    return Fraction(int(numerator, 16), int(denominator, 16))


def _decimal(content: Any) -> object:
    from decimal import Decimal

    return Decimal(_text(content))


def _builtin_type(content: Any) -> type:
    kind = getattr(builtins, _text(content), None)
    if not isinstance(kind, type):
        raise WireError("not a builtin type")
    return kind


def _complex(content: Any) -> complex:
    real, imaginary = _list(content)
    if type(real) is not float or type(imaginary) is not float:
        raise WireError("not a complex number")
    return complex(real, imaginary)


def _text(content: Any) -> str:
    if type(content) is not str:
        raise WireError("not a text")
    return content


def _narrow(content: Any) -> object:
    kind, value = _list(content)
    if kind not in _NARROW or type(value) is not float:
        raise WireError("not a narrow number")
    return NarrowFloat(kind, value)


def _numpy_bool(content: Any) -> object:
    if type(content) is not bool:
        raise WireError("not a truth value")
    return NumpyBool(content)


def _unhashable(content: Any) -> object:
    return next((kind(content) for base, kind in _ARRAYS.items() if isinstance(content, base)), content)


def _named(content: Any) -> tuple[str, list[object]]:
    name, items = _list(content)
    return _text(name), _list(items)


_BUILDERS: dict[str, Callable[[Any], object]] = {
    "i": lambda content: int(_text(content), 16),
    "c": _complex,
    "b": lambda content: _text(content).encode("latin-1"),
    "ba": lambda content: bytearray(_text(content).encode("latin-1")),
    "r": lambda content: range(*(int(_text(part), 16) for part in _list(content))),
    "T": _builtin_type,
    "F": _fraction,
    "D": _decimal,
    "l": _list,
    "t": lambda content: tuple(_list(content)),
    "s": lambda content: set(_list(content)),
    "fs": lambda content: frozenset(_list(content)),
    "dq": lambda content: deque(_list(content)),
    "d": _dict,
    "keys": lambda content: dict.fromkeys(_list(content)).keys(),
    "values": lambda content: dict(enumerate(_list(content))).values(),
    "items": lambda content: _dict(content).items(),
    "nf": _narrow,
    "nb": _numpy_bool,
    "z": _unhashable,
    "o": lambda content: Opaque(_text(content)),
    "it": lambda content: OpaqueIterator(*_named(content)),
    "sq": lambda content: OpaqueSequence(*_named(content)),
}
_UNJSON = json.JSONDecoder(object_hook=_untag)
_BOUNDED = json.JSONDecoder(object_hook=_untag_bounded)
