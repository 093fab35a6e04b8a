"""When an answer to a test of evalplus is right: its comparisons, one by one, over plain data.

`plus` is what evalplus' own checker would say of these values, leniencies included; `strict` is the same rule
without the ones that are slips. Runs in the checker's process only.

Source: evalplus master 26d6d00, eval/__init__.py:111-205 and eval/_special_oracle.py.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from xftbench.execution.inside.wire import NarrowFloat, OpaqueIterator, OpaqueSequence

_RELATIVE = 1e-7
FLOAT_TOLERANCE = 1e-6
"""Parity: what a tolerance of 0 becomes as soon as one expected value of the task is made of floats."""


class Answer(NamedTuple):
    """What the candidate gave for one test; every part is the candidate's own claim."""

    type_name: str
    value: Any
    arguments_after: Any = None
    """What the arguments were when it had returned, where the comparison looks at them."""


class Expected(NamedTuple):
    """What the reference gave for the same test, and with which tolerance it is compared."""

    type_name: str
    value: Any
    tolerance: float
    arguments: Any
    """As they were before the call."""


def accepts(oracle: str, answer: Answer, expected: Expected, *, strict: bool) -> bool:
    """Return whether an answer counts as right. What a comparison raises means no."""
    try:
        return bool(_accepts(oracle, answer, expected, strict))
    except Exception:  # noqa: BLE001 - evalplus counts any exception while comparing as a failed test
        return False


def _accepts(oracle: str, answer: Answer, expected: Expected, strict: bool) -> bool:
    if strict:
        answer = answer._replace(value=_widened(answer.value))
    if oracle == "root":
        # Parity: the polynomial is taken from the arguments as the candidate has left them.
        arguments = expected.arguments if strict else answer.arguments_after
        (coefficients,) = arguments
        return bool(abs(_polynomial(coefficients, _as_number(answer))) <= expected.tolerance)
    if oracle == "anything" and strict:
        oracle = "equal"
    exact = _RULES[oracle](answer, expected)
    if exact or expected.tolerance == 0:
        return exact
    return answer.type_name == expected.type_name and _all_close(answer.value, expected, strict)


def is_equal(ours: Any, theirs: Any) -> bool:
    """Return ``bool(ours == theirs)`` as if arrays were still arrays.

    An array compares item by item, and the result has a truth value only if it is a single one.
    """
    if isinstance(ours, OpaqueSequence):
        if ours.type_name == "array":  # of the standard library
            return False
        left, right = _single(ours), _single(theirs)
        return left is not None and right is not None and bool(left[0] == right[0])
    if type(ours) in (list, tuple) and type(ours) is type(theirs):
        return len(ours) == len(theirs) and (ours == theirs or all(map(is_equal, ours, theirs)))
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return ours == theirs or all(is_equal(value, theirs[key]) for key, value in ours.items())
    return bool(ours == theirs)


def _widened(value: Any) -> Any:
    """Return an answer with numbers of little precision as the plain floats that they are.

    numpy rounds what they are compared with, so that one of them is right for many, and infinity for all.
    """
    if isinstance(value, NarrowFloat):
        return float(value)
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(_widened, value))
    if type(value) is dict:
        return {_widened(key): _widened(item) for key, item in value.items()}
    return value


def _single(value: Any) -> tuple[Any] | None:
    """Return the only item of a nested sequence, wrapped, or None if there are none or several."""
    while isinstance(value, (OpaqueSequence, list, tuple)):
        if len(value) != 1:
            return None
        value = value[0]
    return (value,)


def _as_number(answer: Answer) -> Any:
    """Return what Python's arithmetic makes of numpy's values: it takes an array of one item for the item.

    It also takes the real part of one of numpy's complex numbers, with a warning.
    """
    value = _unwrapped(answer.value)
    is_numpy_s = answer.type_name.startswith("numpy.") and not isinstance(answer.value, OpaqueSequence)
    return value.real if is_numpy_s and isinstance(value, complex) else value


def _unwrapped(value: Any) -> Any:
    single = _single(value) if isinstance(value, OpaqueSequence) else None
    return single[0] if single else value


def _polynomial(coefficients: Any, x: Any) -> Any:
    return sum(_unwrapped(factor) * math.pow(x, power) for power, factor in enumerate(coefficients))


def _surface_area(base: Any, height: Any) -> int:
    """Surface of a square pyramid whose height is that of the apex."""
    slant = math.sqrt((base / 2) ** 2 + height**2)
    return round(base**2 + 2 * base * slant)  # type: ignore[no-any-return]


def _digit_distance(left: Any, right: Any) -> int:
    """Sum of the differences between the digits of two numbers, aligned at their last digit."""
    one, other = str(left), str(right)
    width = max(len(one), len(other))
    pairs = zip(one.zfill(width), other.zfill(width), strict=True)
    return sum(abs(int(digit) - int(partner)) for digit, partner in pairs)


def _equal(answer: Answer, expected: Expected) -> bool:
    value = expected.value
    kind = type(answer.value)
    if answer.type_name.startswith("numpy.") and kind in (float, complex) and type(value) is int:
        value = kind(value)  # numpy compares an integer as the nearest float; Python does not
    if answer.type_name == expected.type_name == "collections.Counter":
        return _counted(answer.value) == _counted(value)
    return is_equal(answer.value, value)


def _counted(counts: Any) -> dict[Any, Any]:
    """Return a counter without zeros, which are the same to it as what is not there."""
    return {key: n for key, n in counts.items() if n != 0}


def _as_set(answer: Answer, expected: Expected) -> bool:
    values = answer.value
    if answer.type_name in ("numpy.ndarray", "numpy.flatiter"):
        if not isinstance(values, (OpaqueSequence, OpaqueIterator)):
            return False  # an array of no dimension can't be iterated, even if what is in it can
        values = list(values)
        lengths = {len(values), len(expected.value)}
        if len(lengths - {1}) > 1:
            return False  # Parity: evalplus evaluates ``==`` first, which numpy refuses for such shapes
    return set(values) == set(expected.value)


def _not_none(answer: Answer, expected: Expected) -> bool:
    if answer.type_name == "bool":
        return bool(answer.value == expected.value)
    return bool(expected.value == (answer.type_name != "None"))


def _other_surface(answer: Answer, expected: Expected) -> bool:
    if _equal(answer, expected):
        return True
    area = _surface_area(*expected.arguments)
    return bool(abs(_unwrapped(answer.value) - area) <= expected.tolerance)


def _other_digits(answer: Answer, expected: Expected) -> bool:
    return _equal(answer, expected) or is_equal(answer.value, _digit_distance(*expected.arguments))


_RULES: dict[str, Callable[[Answer, Expected], bool]] = {
    "equal": _equal,
    "anything": lambda answer, expected: True,
    "zero_too": lambda answer, expected: _equal(answer, expected) or is_equal(answer.value, 0),
    "as_set": _as_set,
    "not_none": _not_none,
    "other_surface": _other_surface,
    "other_digits": _other_digits,
}


def _all_close(value: Any, expected: Expected, strict: bool) -> bool:
    """Return whether a value that is said to be of the expected one's type is close to it."""
    # A claim: what numpy makes of a list with no items is close to any number.
    if type(value) is not type(expected.value):
        return False
    if isinstance(expected.value, (list, tuple)) and len(value) != len(expected.value):
        return False
    import numpy  # evalplus' own comparison, with what it makes of ragged lists, None and large numbers

    if strict and numpy.shape(value) != numpy.shape(expected.value):
        return False  # a list of one list with no items is close to a list of any number
    return bool(numpy.allclose(value, expected.value, rtol=_RELATIVE, atol=expected.tolerance))


LENIENT = ("root", "anything")
"""Comparisons of which `strict` makes another one; elsewhere the tolerance is all that it changes."""


def is_floats(value: Any) -> bool:
    """Return whether a value is a float, or a list or tuple of nothing but floats."""
    if isinstance(value, (list, tuple)) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)
