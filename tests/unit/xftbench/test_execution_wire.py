import enum
from collections import ChainMap, UserDict, UserList, UserString, deque, namedtuple
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest

from xftbench.execution.inside import wire


def sent(value: object) -> Any:
    return wire.decode(wire.encode(value, opaque=True))


class Liar:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class LyingInt(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def test_an_object_of_the_solution_equals_nothing() -> None:
    arrived = sent(Liar())
    assert arrived != 1
    assert arrived is not None
    assert arrived != sent(Liar())
    assert repr(arrived) == "<Liar object>"


def test_a_subclass_arrives_without_its_methods() -> None:
    assert type(sent(LyingInt(7))) is int
    assert sent(LyingInt(7)) != 8


def test_named_tuples_and_integer_enums_arrive_as_their_base() -> None:
    point, colour = namedtuple("point", "x y"), enum.IntEnum("colour", "RED GREEN")
    assert sent(point(1, colour["GREEN"])) == (1, 2)
    assert type(sent(point(1, 2))) is tuple


def test_an_iterator_arrives_as_something_that_can_be_iterated_once() -> None:
    arrived = sent(value for value in "abc")
    assert arrived != ["a", "b", "c"]
    assert next(arrived) == "a"
    assert tuple(arrived) == ("b", "c")
    assert tuple(arrived) == ()


def test_an_endless_iterator_is_refused() -> None:
    def endless() -> Any:
        while True:
            yield 0

    with pytest.raises(wire.WireError, match="iterator of more than"):
        sent(endless())


def test_views_of_a_dict_and_deques_arrive_as_such() -> None:
    table = {"b": 1, "a": 2}
    assert sent(table.keys()) == {"a", "b"}
    assert list(sent(table.keys())) == ["b", "a"]
    assert sent(table.items()) == {("a", 2), ("b", 1)}
    assert list(sent(table.values())) == [1, 2]
    assert sent(deque([1, 2])) == deque([1, 2])
    assert sent(deque([1, 2])) != [1, 2]


def test_numpy_scalars_arrive_as_numbers_and_arrays_as_opaque_sequences() -> None:
    np = pytest.importorskip("numpy")
    scalars = sent(
        [np.int64(3), np.longdouble(0.5), np.bool_(True), np.str_("x"), np.array(4), np.complex128(1j)]
    )
    assert scalars == [3, 0.5, True, "x", 4, 1j]
    assert [type(value) for value in scalars] == [int, float, wire.NumpyBool, str, int, complex]
    array = sent(np.array([[1, 2], [3, 4]]))
    assert array != [[1, 2], [3, 4]]
    assert list(array) == [[1, 2], [3, 4]]
    assert len(array) == 2
    assert array[0] == [1, 2]
    assert isinstance(sent(np.longdouble("0.1")), wire.Opaque), "no Python number is as precise"


def test_what_numpy_compares_as_nothing_plain_arrives_as_nothing_plain() -> None:
    np = pytest.importorskip("numpy")
    for value in (np.rec.array([("YES",)]), np.rec.array([(1,)])[0], np.ma.masked):
        assert type(sent(value)) is wire.Opaque, value
    assert list(sent(np.ma.masked_array([1, 2], [True, False]))) == [None, 2]


@pytest.mark.parametrize(
    "other",
    [7.7, 7.69999980926513671875, 7.70001, 8, 10**39, -(10**39), float("inf"), float("nan"), True, "x"],
)
@pytest.mark.parametrize("kind", ["float16", "float32"])
def test_narrow_floats_equal_what_rounds_to_them_as_in_numpy(kind: str, other: object) -> None:
    np = pytest.importorskip("numpy")
    with np.errstate(over="ignore"):
        for number in (7.7, 8.0, float("inf"), float("-inf"), float("nan")):
            value = np.dtype(kind).type(number)
            arrived = sent(value)
            assert isinstance(arrived, float)
            assert (arrived == other) == bool(value == other), (number, other)
            assert (other == arrived) == bool(other == value)
            assert ([arrived] == [other]) == bool([value] == [other])
            assert hash(arrived) == hash(arrived + 0.0) or arrived != arrived


def test_wrappers_of_the_standard_library_arrive_as_what_they_wrap() -> None:
    values = [UserList([1]), UserDict({1: 2}), UserString("x"), ChainMap({1: 2}), MappingProxyType({1: 2})]
    assert [sent(value) for value in values] == values
    assert [type(sent(value)) for value in values] == [list, dict, str, dict, dict]


def test_cycles_and_shared_values_end() -> None:
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(wire.WireError, match="nested"):
        sent(cycle)
    shared = [1]
    assert sent([shared, shared]) == [[1], [1]]


def test_what_is_too_large_is_refused_by_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_BYTES", 100)
    with pytest.raises(wire.WireError, match="too large"):
        sent("x" * 200)
    with pytest.raises(wire.WireError, match="too large"):
        wire.decode(b'"' + b"x" * 200 + b'"')
    monkeypatch.setattr(wire, "MAX_NODES", 3)
    with pytest.raises(wire.WireError, match="too large"):
        sent([1, 2, 3, 4])


def test_arguments_must_be_plain_data() -> None:
    with pytest.raises(wire.WireError, match="a Liar is not plain data"):
        wire.encode([Liar()], opaque=False)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"[",
        b"\xff",
        b'{"x":1}',
        b'{"t":[],"d":[]}',
        b"{}",
        b'{"t":1}',
        b'{"i":1}',
        b'{"i":"z"}',
        b'{"c":[1,2]}',
        b'{"c":[1.0]}',
        b'{"b":"\xc4\x80"}',
        b'{"r":["0x0","0x1","0x0"]}',
        b'{"F":["0x1","0x0"]}',
        b'{"D":"one"}',
        b'{"d":[1]}',
        b'{"d":[[],1]}',
        b'{"s":[[]]}',
        b'{"it":["x"]}',
        b'{"o":[]}',
        b"1" * 10_000,
        b"[" * 100_000,
        b'{"l":' * 100_000,
    ],
)
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.decode(junk)


def test_an_exact_number_is_not_rounded() -> None:
    assert sent(Fraction(1, 3)) == Fraction(1, 3)
    assert sent(10**5000) == 10**5000
