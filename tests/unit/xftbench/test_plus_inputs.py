"""JSON arguments become what evalplus' loader makes of them."""

import json
from typing import Any

import pytest

from xftbench.benchmarks.plus_inputs import decoded


@pytest.mark.parametrize(
    ("number", "arguments", "expected"),
    [
        (3, [[1, 2]], [[1, 2]]),
        (2, [[1, 2], [3]], [(1, 2), (3,)]),
        (63, [[[1, 2], [3]]], [[(1, 2), (3,)]]),
        (75, [[[1, 2]], 6], [[(1, 2)], 6]),
        (106, [[1], [2, 3]], [[1], (2, 3)]),
        (115, [[[1], [], {"a": 1}]], [[{1}, {}, {}]]),
        (124, ["0", "1j"], (0.0, 1j)),
        (250, [[1, 2], 1], [(1, 2), 1]),
        (252, ["(1+2j)"], [1 + 2j]),
        (259, [[[1], [2]], [[3]]], [((1,), (2,)), ((3,),)]),
        (278, [[4, [5], "x"]], [(4, (5,), "x")]),
        (307, [[1, []], 0, 5], [(1, []), 0, 5]),
        (722, [{"a": [1, 2]}, 6, 7], [{"a": (1, 2)}, 6, 7]),
        (580, [[1, [2, [3]]]], ((1, (2, (3,))),)),
    ],
)
def test_arguments_are_rebuilt_by_the_problem_s_rule(number: int, arguments: Any, expected: Any) -> None:
    (found,) = decoded(f"Mbpp/{number}", json.dumps([arguments]).encode())
    assert found == expected
    assert repr(found) == repr(expected)


def test_humaneval_takes_json_as_it_is() -> None:
    assert decoded("HumanEval/2", b"[[1.5], [Infinity]]") == [[1.5], [float("inf")]]
