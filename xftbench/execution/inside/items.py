"""How the answers to a list of tests travel: many small items in one frame, most of them never decoded.

An item that equals the stored one byte for byte is a right answer, and a whole frame that does is a list of
right answers: that is the usual case, and costs one comparison. Only what differs is asked for as a value,
and comes by `wire`. The bytes are marshal's or pickle's, but the checker never loads them.
"""

import marshal
import struct
from _blake2 import blake2b
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple, NoReturn

WIRE, ERROR, DIGEST, NEVER = 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF
"""Marks in place of an item's length. `NEVER` stands in no answer: an expected item that equals none."""
_INLINE = 1 << 10  # a longer value travels as its digest
_MANY, _SLICE = 1 << 16, 1 << 12
_HEAD = struct.Struct("<I")
_DIGEST_BYTES = 32
_MARKED = struct.Struct("<II")  # mark, length

RESULTS, MESSAGE, VALUE, CHANGED = b"R", b"M", b"V", b"C"
"""First byte of a candidate's frame; the last one says that a value is not any more what it was."""
RESULTS_HEAD = struct.Struct(
    "<ciB"
)  # RESULTS, index of a test that was late or -1, whether the part ends here
NEXT, SKIP, ASK = b"n", b"s", struct.Struct("<cI")
"""What the checker says to results: go on, leave the rest of this part, or ``v`` and the index of a test
whose value it wants."""


class Item(NamedTuple):
    """One item of a frame."""

    mark: int
    """0 for bytes and digests, else `WIRE` or `ERROR`."""
    start: int
    end: int
    """Of the whole item, head included."""
    body: int
    """Where the encoding of a `WIRE` or `ERROR` item begins."""


def of_value(value: object) -> bytes:
    """Return the item of a value, which is the same for equal values of the same plain types.

    Raises:
        ValueError: If the value is not plain.
    """
    if type(value) in (list, tuple) and len(value) > _MANY:  # type: ignore[arg-type]
        return _HEAD.pack(DIGEST) + _digest_of_many(value)
    # Version 2 has neither references nor interned strings, which would tell equal values apart.
    data = marshal.dumps(value, 2)  # type: ignore[arg-type]  # it says so itself
    if len(data) <= _INLINE:
        return _HEAD.pack(len(data)) + data
    return _HEAD.pack(DIGEST) + blake2b(data, digest_size=_DIGEST_BYTES).digest()


def size_of(value: object) -> int:
    """Return how many bytes a value has when it is marshalled, without having them all at once."""
    if type(value) in (list, tuple) and len(value) > _MANY:  # type: ignore[arg-type]
        return sum(map(len, _slices(value)))
    return len(marshal.dumps(value, 2))  # type: ignore[arg-type]


def _digest_of_many(value: Any) -> bytes:
    """Return the digest of a long list or tuple, which may have a gigabyte.

    Pickle takes half of marshal's time for strings, and SHA-256, which processors have, a third of BLAKE's.
    """
    from hashlib import sha256  # few programs need it

    def digest(parts: Iterator[bytes], how: str) -> bytes:
        state = sha256(f"{how} {type(value).__name__} {len(value)}".encode())
        for part in parts:
            state.update(part)
        return state.digest()

    try:
        return digest(_pickled(value), "pickled")
    except (ValueError, RecursionError):  # not plain, or so only for marshal, which has complex numbers
        return digest(_slices(value), "marshalled")


def _pickled(value: Any) -> Iterator[bytes]:
    """Yield the bytes of a value of plain types, which are the same for equal values of the same types."""
    from io import BytesIO

    file = BytesIO()
    pickler = _plain_pickler()(file, 4)
    pickler.fast = True  # without references: shared or not, what is equal looks the same
    for start in range(0, len(value), _SLICE):
        file.seek(0)
        file.truncate()
        pickler.dump(value[start : start + _SLICE])
        yield file.getvalue()


@cache
def _plain_pickler() -> Any:
    from _pickle import Pickler

    class PlainPickler(Pickler):
        def reducer_override(self, _: object) -> NoReturn:
            raise ValueError("not plain")

    return PlainPickler


def _slices(value: Any) -> Iterator[bytes]:
    for start in range(0, len(value), _SLICE):
        yield marshal.dumps(value[start : start + _SLICE], 2)


def of_encoding(mark: int, encoding: bytes) -> bytes:
    """Return an item that holds a `wire` encoding."""
    return _MARKED.pack(mark, len(encoding)) + encoding


def never() -> bytes:
    """Return an expected item that no answer equals."""
    return _HEAD.pack(NEVER)


def split(frame: bytes, start: int) -> Iterator[Item]:
    """Yield the items of a frame.

    Raises:
        ValueError: If it is none.
    """
    while start < len(frame):
        if len(frame) - start < _HEAD.size:
            raise ValueError("a frame that ends within an item")
        (length,) = _HEAD.unpack_from(frame, start)
        mark, body = 0, start + _HEAD.size
        if length in (WIRE, ERROR):
            if len(frame) - start < _MARKED.size:
                raise ValueError("a frame that ends within an item")
            mark, length = _MARKED.unpack_from(frame, start)
            body = start + _MARKED.size
        elif length == DIGEST:
            length = _DIGEST_BYTES
        end = body + length
        if end > len(frame):
            raise ValueError("an item that is longer than its frame")
        yield Item(mark, start, end, body)
        start = end
