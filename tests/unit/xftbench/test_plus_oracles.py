"""evalplus' comparisons, each on values whose right verdict was worked out by hand from its source."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from xftbench.execution.inside import wire
from xftbench.execution.inside.oracles import Answer, Expected, accepts, is_floats


def judged(
    value: Any,
    expected: Any,
    tolerance: float = 0.0,
    oracle: str = "equal",
    *,
    name: str | None = None,
    arguments: Any = None,
    after: Any = None,
    strict: bool = False,
) -> bool:
    answer = Answer(name or type(value).__name__, value, after)
    return accepts(
        oracle, answer, Expected(type(expected).__name__, expected, tolerance, arguments), strict=strict
    )


@pytest.mark.parametrize(
    ("value", "expected", "right"),
    [
        (1, True, True),
        (1.0, 1, True),
        ((1, 2), [1, 2], False),
        ([1.0, 2], [1, 2], True),
        ({1: 2, 3: 4}, {3: 4, 1: 2}, True),
        ("1", 1, False),
        (None, None, True),
        (math.nan, math.nan, False),
        ([float("nan")], [float("nan")], False),
        (10**400, 10**400, True),
        (wire.Opaque("thing"), 1, False),
        (wire.OpaqueIterator("generator", [1]), [1], False),
    ],
)
def test_without_a_tolerance_equality_decides(value: Any, expected: Any, right: bool) -> None:
    assert judged(value, expected) is right


@pytest.mark.parametrize(
    ("value", "expected", "name", "right"),
    [
        (1.0000005, 1.0, None, True),
        (1.000005, 1.0, None, False),
        (1, 1.0, None, True),
        (1.0000005, 1.0, "numpy.float64", False),
        (1.0, 1.0, "numpy.float64", True),
        ([1.0000005], [1.0], None, True),
        ((1.0000005,), [1.0], None, False),
        ([1.0, 2.0], [1.0], None, False),
        ([1.0], [1.0, 1.0], None, False),
        (math.inf, math.inf, None, True),
        (math.nan, math.nan, None, False),
        ([None], [1.0], None, False),
        (100_000_001, 100_000_000, None, True),
    ],
)
def test_with_a_tolerance_unequal_answers_of_the_same_type_may_be_close(
    value: Any, expected: Any, name: str | None, right: bool
) -> None:
    pytest.importorskip("numpy")
    assert judged(value, expected, 1e-6, name=name) is right


def test_a_list_with_no_items_is_close_to_no_number() -> None:
    pytest.importorskip("numpy")
    assert not judged([], 1.0, 1e-6, name="float")
    assert judged([[]], [1.0], 1e-6), "which evalplus believes"
    answer, expected = Answer("list", [[]]), Expected("list", [1.0], 1e-6, ())
    assert not accepts("equal", answer, expected, strict=True)


@pytest.mark.parametrize(
    ("items", "expected", "right"),
    [
        ([3], 3, True),
        ([3], [3], True),
        ([3], [3, 3], False),
        ([3, 4], [3, 4], False),
        ([], [], False),
        ([3], 4, False),
    ],
)
def test_an_array_is_equal_only_as_a_single_item(items: list[Any], expected: Any, right: bool) -> None:
    assert judged(wire.OpaqueSequence("ndarray", items), expected, name="numpy.ndarray") is right


def test_in_a_dictionary_too_an_array_is_equal_as_a_single_item() -> None:
    one, two = wire.OpaqueSequence("ndarray", [3]), wire.OpaqueSequence("ndarray", [3, 4])
    assert judged({"a": one, "b": [one]}, {"b": [3], "a": 3})
    assert not judged({"a": one}, {"a": 4})
    assert not judged({"a": two}, {"a": [3, 4]})
    assert not judged({"a": one}, {"a": 3, "b": 3})


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("float16", 2048.0, 2049), ("float16", math.inf, 10**6), ("float32", 1e8, 10**8 + 1)],
)
def test_strictly_a_number_is_not_right_for_all_that_are_rounded_to_it(
    kind: str, value: float, expected: int
) -> None:
    for answer, right in (
        (lambda x: x, expected),
        (lambda x: [x], [expected]),
        (lambda x: {0: x}, {0: expected}),
    ):
        assert judged(answer(wire.NarrowFloat(kind, value)), right, name=f"numpy.{kind}")
        assert not judged(answer(wire.NarrowFloat(kind, value)), right, name=f"numpy.{kind}", strict=True)
        exact = answer(wire.NarrowFloat(kind, 2.0))
        assert judged(exact, answer(2), name=f"numpy.{kind}", strict=True)


def test_a_numpy_float_equals_the_integer_that_it_is_nearest_to() -> None:
    assert judged(1e22, 10**22 - 1, name="numpy.float64")
    assert judged(1e22 + 0j, 10**22 - 1, name="numpy.complex128")
    assert not judged(1e22, 10**22 - 1)


def test_sets_forget_order_and_repetition() -> None:
    assert judged([3, 1, 1], (1, 3), oracle="as_set")
    assert judged(wire.OpaqueIterator("generator", [3, 1]), (1, 3), oracle="as_set")
    assert not judged([3], (1, 3), oracle="as_set")
    one = wire.OpaqueSequence("ndarray", [3])
    assert judged(one, (3, 3), oracle="as_set", name="numpy.ndarray"), "of one item: it fits any shape"
    assert not judged([[3]], (3,), oracle="as_set"), "a list can't be in a set"
    assert not judged({3}, {3}, oracle="as_set", name="numpy.ndarray"), "an array of no dimension"


def test_a_match_needs_only_to_be_there() -> None:
    match = wire.Opaque("Match")
    assert judged(match, True, oracle="not_none", name="re.Match")
    assert not judged(match, False, oracle="not_none", name="re.Match")
    assert judged(None, False, oracle="not_none", name="None")
    assert judged(True, True, oracle="not_none")
    assert not judged(False, True, oracle="not_none")
    assert judged(False, True, oracle="not_none", name="numpy.bool"), "not None, and no bool"


def test_any_root_will_do_and_strictly_of_the_polynomial_that_was_asked_for() -> None:
    root: Callable[..., bool] = lambda value, after, strict: judged(  # noqa: E731
        value, -0.75, 1e-4, "root", arguments=[[3, 4]], after=after, strict=strict
    )
    assert root(-0.75, [[3, 4]], False)
    assert root(-0.75, [[3, 4]], True)
    assert not root(0, [[3, 4]], False)
    assert root(0, [[]], False), "Parity: evalplus looks at what the solution left of its arguments"
    assert not root(0, [[]], True)
    assert not root("x", [[3, 4]], False)


def test_second_readings_are_right_too() -> None:
    # A pyramid with base 3 and apex height 4: slant sqrt(2.25 + 16) = 4.272, surface 9 + 6 * 4.272 = 34.6.
    assert judged(35, 33, oracle="other_surface", arguments=[3, 4])
    assert judged(33, 33, oracle="other_surface", arguments=[3, 4])
    assert not judged(34, 33, oracle="other_surface", arguments=[3, 4])
    assert judged(7, 1, oracle="other_digits", arguments=[123, 256]), "1 + 3 + 3"
    assert judged(3, 1, oracle="other_digits", arguments=[1, 22]), "01 and 22: 2 + 1"
    assert judged(0, 9, oracle="zero_too")
    assert judged(5, 9, oracle="anything")
    assert not judged(5, 9, oracle="anything", strict=True)


def test_what_counts_as_floats() -> None:
    assert all(map(is_floats, (1.0, [1.0], (1.0, 2.0), math.nan)))
    assert not any(map(is_floats, (1, [], [1.0, 1], {1.0: 1.0}, [[1.0]], None)))
