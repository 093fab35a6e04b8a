"""Laws of the wire format: plain data arrives as it was sent, and no bytes do harm."""

import json
import string
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xftbench.execution.inside import wire

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**4000), max_value=2**4000)
    | st.floats()
    | st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates too
    | st.binary()
    | st.complex_numbers()
    | st.fractions()
    | st.decimals(allow_nan=False)
    | st.builds(range, st.integers(), st.integers(), st.integers(min_value=1))
)
HASHABLE = st.recursive(ATOMS, lambda inner: st.lists(inner).map(tuple) | st.frozensets(inner), max_leaves=5)
PLAIN = st.recursive(
    ATOMS | HASHABLE,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.sets(HASHABLE)
        | st.dictionaries(HASHABLE, inner)
        | st.binary().map(bytearray)
        | st.lists(inner).map(deque)
    ),
    max_leaves=12,
)


def exact(value: Any) -> Any:
    """A form whose equality looks at exact types, keeps the order of dicts, and takes NaN for itself."""
    kind = type(value).__name__
    if isinstance(value, float):
        return kind, value.hex()
    if isinstance(value, complex):
        return kind, value.real.hex(), value.imag.hex()
    if isinstance(value, list | tuple | deque):
        return kind, *map(exact, value)
    if isinstance(value, dict):
        return kind, *(exact(item) for item in value.items())
    if isinstance(value, set | frozenset):
        return kind, *sorted(map(repr, map(exact, value)))
    return kind, value


def same(left: Any, right: Any) -> bool:
    return bool(exact(left) == exact(right))


@given(PLAIN)
@example(10**5000)
@example([1, 2**63, -(2**63), True, False])
@example({"i": "0x1", "t": [1]})
@example([{"d": [1, 2]}, {}, [], (), set(), frozenset()])
@example({1: {2: {3: (4, [5, {6}])}}})
@example(-0.0)
@example("\ud800\udfff\x00\u2028")
def test_plain_data_arrives_as_it_was_sent(value: object) -> None:
    assert same(wire.decode(wire.encode(value, opaque=False)), value)
    assert same(wire.decode(wire.encode(value, opaque=True)), value)


@given(st.binary(max_size=200))
def test_no_bytes_do_harm(data: bytes) -> None:
    with suppress(wire.WireError):
        wire.decode(data)


TAGS = st.sampled_from([*wire._BUILDERS, "", "x", "__class__"])
FORGED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(string.hexdigits + "-x."),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TAGS, inner, max_size=2),
    max_leaves=20,
)


@given(FORGED)
def test_a_forged_message_is_plain_data_or_refused(forged: object) -> None:
    try:
        value = wire.decode(json.dumps(forged).encode())
    except wire.WireError:
        return
    assert type(value).__module__ in ("builtins", "collections", "fractions", "decimal", wire.__name__)


@given(st.dictionaries(st.text(), st.integers()))
def test_subclasses_arrive_as_their_base(plain: dict[str, int]) -> None:
    for value in (OrderedDict(plain), Counter(plain), defaultdict(int, plain)):
        assert same(wire.decode(wire.encode(value, opaque=True)), plain)


@given(st.integers(min_value=0, max_value=2 * wire.MAX_DEPTH))
def test_nesting_is_bounded(depth: int) -> None:
    value: object = 1
    for _ in range(depth):
        value = [value]
    if depth <= wire.MAX_DEPTH:
        assert wire.decode(wire.encode(value, opaque=True)) == value
    else:
        with pytest.raises(wire.WireError, match="nested"):
            wire.encode(value, opaque=True)


@given(st.fractions(), st.decimals(allow_nan=False))
def test_exact_numbers_stay_exact(fraction: Fraction, decimal: Decimal) -> None:
    assert wire.decode(wire.encode((fraction, decimal), opaque=True)) == (fraction, decimal)
