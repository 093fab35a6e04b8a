"""The candidate of a context program: runs what the referee sends, and answers with plain data.

Whatever this process says is only a message. The expected result comes here only if the program's own can't
be moved, and only after the program has answered.
"""

# ruff: noqa: PTH123
# pathlib would be one more import in every jail

import io
import json
import os
import pickle
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from xftbench.execution.inside import channel, figures, linux, plain, settings, transport
from xftbench.execution.inside.shown import LONGEST_OF_ERROR

if TYPE_CHECKING:
    from xftbench.execution.inside.jail import NamespaceJail
    from xftbench.execution.inside.weak import WeakJail

_FILE_BYTES = 64 << 20


def become(
    connection: socket.socket, kept: list[int], closed: list[int], jail: "NamespaceJail | WeakJail"
) -> NoReturn:
    """Turn the freshly forked process into the candidate; never returns."""
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for fd in closed:
            os.close(fd)
        _, errors = kept
        linux.renew_standard_streams()
        sys.stdin = _NothingToRead()
        jail.confine_candidate()
        os.dup2(errors, 2)
        for fd in kept:
            os.close(fd)
        _answer(connection.fileno())
    except channel.ChannelClosed:
        pass
    finally:
        os._exit(0)  # whatever else happened: nothing of the solution's may run after this


class _NothingToRead(io.StringIO):
    """Standard input as the authors' script leaves it to a program: reading from it is an error."""

    def read(self, *_: object) -> NoReturn:
        raise OSError

    readline = readlines = read

    def readable(self) -> bool:
        return False


def _answer(fd: int) -> None:
    frames = channel.FrameReader(fd)
    variables: dict[str, Any] = {}
    while True:
        request = pickle.loads(frames.read(1 << 40))  # noqa: S301 - from the referee, which is trusted
        for name, data in request["files"].items():
            with open(name, "wb") as file:
                file.write(data)
        if request["do"] == "run":
            variables = {}
            parts = _run(request, variables)
        elif request["do"] == "figures":
            parts = _figures()
        else:
            parts = _compare(request, variables)
        for part in parts:
            channel.write_frame(fd, part)


def _run(request: dict[str, Any], variables: dict[str, Any]) -> list[bytes]:
    """Run the program; return the frames of the answer."""
    try:
        transport.restore(request["state"])
        variables.update(transport.trusted(request["variables"]))
        settings.remember()
    except BaseException as error:  # noqa: BLE001
        return [_header("raised", error)]
    before = {entry.name for entry in os.scandir(".")} - {"output.png"}
    try:
        # Parity: the test passes the source itself, so that a traceback says <string>.
        code = compile(request["program"], "<string>", "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001
        return [_header("compile", error)]
    try:
        exec(code, variables)  # noqa: S102 - what all of this is for
        kind, more, payload = _move(variables)
    except BaseException as error:  # noqa: BLE001
        return [_header("raised", error)]
    files = _new_files(before)
    header = {"kind": kind, "text": more, "files": list(files)}
    return [json.dumps(header).encode(), *files.values(), *payload]


def _move(variables: dict[str, Any]) -> tuple[str, str, list[bytes]]:
    if "result" not in variables:
        return "none", "", []
    kind = "drawn" if os.path.exists("output.png") and transport.has_figures() else "moved"  # noqa: PTH110
    try:
        return kind, "", [transport.pack(variables["result"])]
    except plain.NotPlain as error:
        return kind, str(error)[:LONGEST_OF_ERROR], []


def _figures() -> list[bytes]:
    try:
        payload = figures.pack()
        return [json.dumps({"kind": "moved", "settings": settings.changed()}).encode(), payload]
    except BaseException as error:  # noqa: BLE001 - pickling runs the values' own code
        return [_header("stays", error)]


def _compare(request: dict[str, Any], variables: dict[str, Any]) -> list[bytes]:
    """Run the test's own comparison here."""
    try:
        expected = transport.trusted(request["expected"])
        namespace: dict[str, Any] = {}
        exec(compile(request["context"], "<context>", "exec", dont_inherit=True), namespace)  # noqa: S102
        same = namespace["exec_test"](variables["result"], expected)
        return [json.dumps({"kind": "true" if same else "false"}).encode()]
    except BaseException as error:  # noqa: BLE001
        return [_header("raised", error)]


def _new_files(before: set[str]) -> dict[str, bytes]:
    """Return what the program has written, for a test that reads it."""
    found = {}
    for entry in os.scandir("."):
        if entry.name not in before and entry.is_file(follow_symlinks=False):
            if entry.stat(follow_symlinks=False).st_size > _FILE_BYTES:
                continue
            with open(entry.name, "rb") as file:
                found[entry.name] = file.read()
    return found


def _header(kind: str, error: BaseException) -> bytes:
    """Return an exception as a message; it may be one of the program's own making."""
    try:
        name, text = str(type(error).__name__)[:LONGEST_OF_ERROR], str.__str__(str(error)[:LONGEST_OF_ERROR])
        line = _line_of(error)
    except BaseException:  # noqa: BLE001
        name, text, line = "Exception", "an exception that can't describe itself", ""
    return json.dumps({"kind": kind, "name": name, "text": text, "line": line}).encode()


def _line_of(error: BaseException) -> str:
    numbers = [
        entry.lineno for entry in traceback.extract_tb(error.__traceback__) if entry.filename == "<string>"
    ]
    return f"line {numbers[-1]} of the program" if numbers else ""
