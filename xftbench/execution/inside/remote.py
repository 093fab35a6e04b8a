"""Objects of the solution in the test's hands: what is not plain data stays where it is, and has a number.

A few tests need more of a solution than its function: they build a tree of the solution's own `Node` class,
or call it with `Pair(5, 24)`. The test's process gets stand-ins whose calls and attributes are asked for over
the connection. They equal nothing but themselves, so they can't buy a verdict.
"""

import builtins
import sys
from collections.abc import Callable
from typing import Any

from xftbench.execution.inside.wire import Opaque

Ask = Callable[[tuple[Any, ...]], Any]
"""Sends a request to the candidate and returns its answer, or raises its exception."""


class RemoteObject(Opaque):
    """Stands in the checker for a value of the candidate's."""

    _ask: Ask
    _target: object

    def __init__(self, ask: Ask, target: object, type_name: str) -> None:
        for name, value in (("_ask", ask), ("_target", target), ("_type_name", type_name)):
            object.__setattr__(self, name, value)

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """Have the candidate call it."""
        return self._ask(("call", self._target, arguments, keywords))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._ask(("get", self._target, name))

    def __setattr__(self, name: str, value: object) -> None:
        self._ask(("set", self._target, name, value))


class StandardModule:
    """A module that the test takes from the solution's imports: it must be there, but ours is used."""

    def __init__(self, ask: Ask, name: str) -> None:
        self._ask = ask
        self._name = name

    def __getattr__(self, attribute: str) -> object:
        self._ask(("get", self._name, attribute))
        return getattr(__import__(self._name), attribute)


def named(ask: Ask, name: str) -> object:
    """Return what stands for a global name of the solution."""
    if name in sys.stdlib_module_names:
        return StandardModule(ask, name)
    return RemoteObject(ask, name, name)


def number_of(value: object) -> int | None:
    """Return the candidate's number for a value, if it is the candidate's."""
    target = value._target if isinstance(value, RemoteObject) else None
    return target if type(target) is int else None


class Kept:
    """The candidate's side: its values by number, and the requests about them."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._values: list[Any] = []

    def keep_answer(self, value: Any) -> int | None:
        """Return a number for a value that can't travel, unless `wire` has a better stand-in for it."""
        if (
            hasattr(type(value), "__next__")
            or getattr(type(value), "__module__", "").partition(".")[0] == "numpy"
        ):
            return None
        return self.keep(value)

    def keep(self, value: Any) -> int:
        """Return a number for a value."""
        self._values.append(value)
        return len(self._values) - 1

    def find(self, number: int, _: str) -> object:
        """Return the value of a number."""
        return self._values[number]

    def perform(self, request: tuple[Any, ...]) -> Any:
        """Do what the test asks for."""
        kind, target, *rest = request
        if type(target) is str:
            if target not in self._namespace and not hasattr(builtins, target):
                raise NameError(f"name {target!r} is not defined")
            target = self._namespace.get(target, getattr(builtins, target, None))
        elif type(target) is int:
            target = self._values[target]
        if kind == "call":
            arguments, keywords = rest
            return target(*arguments, **keywords)
        if kind == "get":
            return getattr(target, rest[0])
        return setattr(target, *rest)
