"""The child that runs the solution, as the referee of a context program sees it.

What it says is checked before it is taken for an answer at all; see `transport` for what an answer may be.
"""

# ruff: noqa: PTH123
# pathlib would be one more import in every jail

import json
import os
import pickle
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from xftbench.execution.inside import channel, figures, plain, settings, transport
from xftbench.execution.inside.answers import Recording
from xftbench.execution.inside.shown import LONGEST_OF_ERROR

_DRAWN = "output.png"
_PICTURES = ("ans.png", _DRAWN)
_ANSWER_BYTES = 1 << 30
_HEADER_BYTES = 1 << 22
_FILE_NAME = 255


class Ended(BaseException):
    """The candidate gives no further answers; a test can't catch this by `except Exception`."""


class RemoteError(Exception):
    """The program raised; `said` is (type, text, line)."""

    def __init__(self, said: tuple[str, str, str]) -> None:
        super().__init__(*said)
        self.said = said


class Candidate:
    """The child as the test sees it."""

    def __init__(self, connection: socket.socket, context: str) -> None:
        self._fd = connection.fileno()
        self._frames = channel.FrameReader(self._fd)
        self.context = context
        self.sent = transport.snapshot()
        self.recording: Recording | None = None
        """Stands in for the test's inputs and answers."""
        self.trouble: list[str] | None = None
        """Why there can be no verdict from the test any more, whatever the test makes of it."""
        self.has_answered = False
        """Whether anything that a program chose has come into this process."""
        self.about: dict[str, Any] = {}
        """What the program was given last, and what was compared: short texts are made of it if it fails."""

    def execute(self, program: str, variables: dict[str, Any]) -> None:
        """Stand in for `exec`: have a program run, and put its result into its variables."""
        self.about = {"input": variables["test_input"]} if "test_input" in variables else {}
        request = {
            "do": "run",
            "program": program,
            "variables": transport.dump(variables),
            "state": self.recording.state if self.recording else transport.state(self.sent),
            "files": _files(),
        }
        header = self._ask(request)
        if header["kind"] == "raised":
            raise RemoteError((header["name"], header["text"], header["line"]))
        if header["kind"] == "compile":
            self._end("compile", header["name"], header["name"], header["text"])
        for name in header["files"]:
            self._take_file(name)
        if header["kind"] == "none":
            return  # the program bound no result
        # Elsewhere than in the plots' contexts that name is a file's like any other.
        has_figure = header["kind"] == "drawn" and _DRAWN in self.context
        answer = Answer(has_figure=has_figure, stays=header["text"])
        if not answer.stays:
            try:
                answer.value = self._load(transport.load)
            except plain.NotPlain as error:
                answer.stays = str(error)
        variables["result"] = answer if answer.stays or answer.has_figure else answer.value

    def draw(self) -> None:
        """Have the child's figures become those of this process, and the settings that they are made by.

        Raises:
            plain.NotPlain: If they can't be moved.
        """
        header = self._ask({"do": "figures", "files": {}})
        if header["kind"] != "moved":
            raise plain.NotPlain(header.get("text") or "a figure that can't be moved")
        self._load(figures.load)
        settings.take(header.get("settings", {}))

    def _load(self, load: Callable[[bytes], Any]) -> Any:
        try:
            return load(self._read())
        except plain.Tampered as error:
            self._end("violation", str(error))

    def compare(self, expected: object) -> bool:
        """Return what the test's comparison says in the child, of a result that can't be moved."""
        request = {
            "do": "compare",
            "context": self.context,
            "expected": transport.dump(expected),
            "files": _files(("ans.png",)),
        }
        return bool(self._ask(request)["kind"] == "true")

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the header of the answer to a request."""
        if self.trouble:
            raise Ended
        try:
            channel.write_frame(self._fd, pickle.dumps(request))
        except channel.ChannelClosed:
            self._end("gone")
        self.has_answered = True
        try:
            header = json.loads(self._read(_HEADER_BYTES))
            if not _is_header(header):
                raise ValueError
        except (ValueError, RecursionError, MemoryError):
            self._end("violation", "a message that is none of ours")
        return dict(header)

    def _read(self, max_bytes: int = _ANSWER_BYTES) -> bytes:
        try:
            return self._frames.read(max_bytes)
        except channel.ChannelClosed:
            self._end("gone")
        except (ValueError, MemoryError) as error:
            self._end("violation", str(error) or "an answer that is too large")

    def _take_file(self, name: str) -> None:
        """Write a file of the candidate's into our own directory, under a plain name."""
        data = self._read()
        if name == os.path.basename(name) and name not in (".", "..", "ans.png"):  # noqa: PTH119
            with open(name, "wb") as file:
                file.write(data)

    def _end(self, *trouble: str) -> NoReturn:
        self.trouble = [text[:LONGEST_OF_ERROR] for text in trouble]
        raise Ended


def _is_header(header: object) -> bool:
    """Return whether an answer begins as ours do; its texts come into the report, so they are short."""
    if not isinstance(header, dict) or "kind" not in header:
        return False
    texts = [header.get(name, "") for name in ("kind", "name", "text", "line")]
    files = header.get("files", [])
    return (
        all(_is_text(text, LONGEST_OF_ERROR) for text in texts)
        and isinstance(files, list)
        and all(_is_text(name, _FILE_NAME) for name in files)
    )


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest


class Answer:
    """A result that is not all here: it can't be moved, or its figure has not been."""

    def __init__(self, *, has_figure: bool, stays: str) -> None:
        self.has_figure = has_figure
        self.stays = stays
        """What can't be moved."""
        self.value: object = None


def _files(also: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Return what the test has written for the program to read; the reference's picture is not of that."""
    found = {}
    for entry in os.scandir("."):
        if entry.is_file(follow_symlinks=False) and (entry.name not in _PICTURES or entry.name in also):
            with open(entry.name, "rb") as file:
                found[entry.name] = file.read()
    return found
