"""The arguments of evalplus' tests: JSON in the data, Python values in the call.

JSON has no tuple, set or complex number, so evalplus' MBPP+ loader rebuilds them for the problems listed
here. The same problems of both versions take the same rule. HumanEval+ needs none.

Source: evalplus master 26d6d00, data/mbpp.py, mbpp_deserialize_inputs.
"""

import json
from collections.abc import Callable
from typing import Any

Arguments = list[Any]
_Rebuild = Callable[[Arguments], Any]


def _tuples(values: Arguments) -> Arguments:
    return [tuple(value) for value in values]


def _tuples_in_each(values: Arguments) -> Arguments:
    return [_tuples(value) for value in values]


def _all_tuples(value: Any) -> Any:
    return tuple(_all_tuples(item) for item in value) if isinstance(value, list) else value


def _set_or_dict(item: Any) -> Any:
    # Parity: an empty set becomes an empty dict upstream.
    return set(item) if isinstance(item, list) and item else {}


_RULES: tuple[tuple[_Rebuild, tuple[int, ...]], ...] = (
    # every argument is a tuple
    (_tuples, (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726,
               740, 744, 809)),
    # every argument is a list of tuples
    (_tuples_in_each, (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780)),
    # a list of tuples, and another argument
    (lambda args: [_tuples(args[0]), args[1]], (75, 413, 444, 753)),
    (lambda args: [args[0], tuple(args[1])], (106, 750)),
    (lambda args: [[_set_or_dict(item) for item in args[0]]], (115,)),
    (lambda args: (float(args[0]), complex(args[1])), (124,)),
    (lambda args: [tuple(args[0]), args[1]], (250, 405, 446, 617, 720, 763, 808)),
    # every argument is a tuple of tuples
    (lambda args: _tuples(_tuples_in_each(args)), (259, 401, 445)),
    (lambda args: [tuple(tuple(item) if isinstance(item, list) else item for item in args[0])], (278,)),
    (lambda args: [tuple(args[0]), args[1], args[2]], (307,)),
    (lambda args: [{key: tuple(value) for key, value in args[0].items()}, *args[1:]], (722,)),
    (lambda args: [complex(args[0])], (252,)),
    (_all_tuples, (580, 615, 791)),
)  # fmt: skip
_REBUILD: dict[str, _Rebuild] = {f"Mbpp/{number}": rebuild for rebuild, ids in _RULES for number in ids}


def decoded(task_id: str, data: bytes) -> list[Any]:
    """Return the list of argument lists that a problem's ``base_input`` or ``plus_input`` holds."""
    inputs = json.loads(data)
    rebuild = _REBUILD.get(task_id)
    return [rebuild(arguments) for arguments in inputs] if rebuild else inputs
