"""Functions that a pickle of ours names, in the place of values that pickle can't move as they are.

A candidate may call them with anything: each looks at all that it is given.
"""

import sys
from collections import namedtuple
from typing import Any

from xftbench.execution.inside.plain import NotPlain

WIDER = {"bfloat16": "float32", "complex32": "complex64"}
"""Type of numbers that numpy lacks -> the one that a tensor's are moved in."""


def tensor(library: str, *parts: Any) -> object:
    """Return a tensor, or a torch dtype, from its parts; a candidate may have made them up.

    Raises:
        NotPlain: If they are none.
    """
    if library == "torch.dtype" and len(parts) == 1:
        found = getattr(sys.modules.get("torch"), str(parts[0]), None)
        if type(found).__name__ == "dtype":
            return found
    *flags, array, narrow = parts if len(parts) > 1 else (None, None)
    is_known = type(array).__module__ in ("numpy", "builtins") and type(narrow) is str
    if library not in sys.modules or not is_known or (narrow and narrow not in WIDER):
        raise NotPlain("a part that is none of ours")
    module = sys.modules[library]
    if library == "torch" and len(flags) == 2:
        # A clone has memory of its own, which can be resized.
        made = module.from_numpy(array.copy()).clone() if array.shape else module.tensor(array[()])
        made = made.to(getattr(module, narrow)) if narrow else made
        if flags[0]:
            return module.nn.Parameter(made, requires_grad=bool(flags[1]))
        return made.requires_grad_() if flags[1] else made
    if library == "tensorflow" and len(flags) == 1:
        made = module.cast(array, narrow) if narrow else module.convert_to_tensor(array)
        return module.Variable(made) if flags[0] else made
    raise NotPlain("a part that is none of ours")


def iterator(items: list[Any]) -> object:
    """Return an iterator's values to come, as an iterator.

    Raises:
        NotPlain: If they are in no list.
    """
    if type(items) is not list:
        raise NotPlain("an iterator that is none of ours")
    return iter(items)


def flat(array: Any) -> object:
    """Return what an array's `flat` is.

    Raises:
        NotPlain: If it is no array.
    """
    if type(array) is not sys.modules["numpy"].ndarray:
        raise NotPlain("a flat iterator that is none of ours")
    return array.flat


def record(name: str, fields: tuple[str, ...], values: tuple[Any, ...]) -> object:
    """Return a tuple whose fields have names.

    Raises:
        NotPlain: If it is none.
    """
    if {str} != {type(name), *map(type, fields)} or type(values) is not tuple:
        raise NotPlain("a named tuple that is none of ours")
    make: Any = namedtuple
    # It checks that all are names, and does with others what pandas has it do in `itertuples`.
    return make(name, fields, rename=True)._make(values)


def view(kind: str, values: dict[Any, Any]) -> object:
    """Return a dictionary's keys, values or items.

    Raises:
        NotPlain: If it is none.
    """
    if type(values) is not dict or kind not in ("keys", "values", "items"):
        raise NotPlain("a view that is none of ours")
    return getattr(values, kind)()


def zone(library: str, *parts: Any) -> object:
    """Return a time zone from what it is named or made by.

    Raises:
        NotPlain: If it is none.
    """
    if library not in sys.modules or not {*map(type, parts)} <= {str, int, float, type(None)}:
        raise NotPlain("a time zone that is none of ours")
    match library, parts:
        case "pytz", (minutes,):
            return sys.modules["pytz"].FixedOffset(minutes)
        case "zoneinfo", (str(key),):
            return sys.modules["zoneinfo"].ZoneInfo(key)
        case "dateutil.tz", ("tzutc" | "tzlocal" as name,):
            return getattr(sys.modules["dateutil.tz"], name)()
        case "dateutil.tz", (name, seconds):
            return sys.modules["dateutil.tz"].tzoffset(name, seconds)
    raise NotPlain("a time zone that is none of ours")
