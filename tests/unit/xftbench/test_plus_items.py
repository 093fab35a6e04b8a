"""Items: equal bytes are equal values, and hostile frames are refused."""

import enum
import marshal
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xftbench.execution.inside import items

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Flags(enum.IntEnum):
    A = 1


class Words(str):
    __slots__ = ()


@given(PLAIN, PLAIN)
def test_items_of_the_same_bytes_are_of_equal_values(one: object, other: object) -> None:
    if items.of_value(one) == items.of_value(other):
        assert one == other
        assert type(one) is type(other)


@given(PLAIN)
def test_an_equal_value_of_the_same_making_has_the_same_item(value: object) -> None:
    copied = marshal.loads(marshal.dumps(value))
    assert items.of_value(copied) == items.of_value(value)


def test_shared_and_interned_values_make_no_difference() -> None:
    word, twin = (str(b"shared text", "ascii") for _ in range(2))
    assert word is not twin
    assert items.of_value([word, word]) == items.of_value([word, twin])
    assert items.of_value(["name"]) == items.of_value([str(b"name", "ascii")])


@settings(max_examples=20)
@given(PLAIN)
def test_a_long_value_has_the_same_item_however_it_was_made(value: object) -> None:
    long = [value] * ((1 << 16) + 1)
    copies = [marshal.loads(marshal.dumps(value)) for _ in range(2)]
    assert items.of_value(long) == items.of_value([*copies, *long[2:]])
    assert items.of_value(long) != items.of_value([*long[:-1], [value]])
    assert items.of_value(long) != items.of_value(tuple(long))


@pytest.mark.parametrize("odd", [object(), len, int, range(3), Flags.A, Words(), [Words("x")], {1: Flags.A}])
def test_a_long_value_that_is_not_plain_is_refused(odd: object) -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        items.of_value([*range(1 << 16), odd])


def test_a_long_value_may_have_what_only_marshal_knows() -> None:
    one, twin, other = ([*range(1 << 16), number] for number in (1j, 1j, 2j))
    assert items.of_value(one) == items.of_value(twin) != items.of_value(other)


@pytest.mark.parametrize("size", [1 << 10, (1 << 16) + 1, (1 << 17) + 12345])
def test_long_values_travel_as_a_digest_that_knows_every_item(size: int) -> None:
    value = list(range(size))
    assert len(items.of_value(value)) == 36
    assert items.of_value(value) == items.of_value(list(range(size)))
    assert items.of_value(value) != items.of_value(tuple(value))
    for position in (0, size // 2, size - 1):
        changed = list(value)
        changed[position] = -1
        assert items.of_value(changed) != items.of_value(value)


@given(st.lists(PLAIN, max_size=20))
def test_a_frame_falls_apart_into_what_it_was_made_of(values: list[object]) -> None:
    parts = [items.of_value(value) for value in values]
    frame = b"head" + b"".join(parts)
    assert [frame[item.start : item.end] for item in items.split(frame, 4)] == parts


@given(st.binary(max_size=200))
def test_any_bytes_are_items_or_a_value_error(frame: bytes) -> None:
    try:
        for item in items.split(frame, 0):
            assert item.start < item.body <= item.end <= len(frame)
    except ValueError:
        pass


@pytest.mark.parametrize(
    "frame",
    [
        b"abc",
        struct.pack("<I", 9) + b"i",
        struct.pack("<I", items.DIGEST) + b"short",
        struct.pack("<I", items.WIRE),
    ],
)
def test_a_frame_that_ends_too_early_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="item"):
        list(items.split(frame, 0))


def test_nothing_equals_never() -> None:
    assert items.never() == struct.pack("<I", 0xFFFFFFFF)
    with pytest.raises(ValueError, match="longer than its frame"):
        list(items.split(items.never(), 0))
