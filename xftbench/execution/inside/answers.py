"""What a context's test makes before it looks at a result: its inputs and the reference's answers, recorded.

A recording is made in a referee that no solution has spoken to yet, and played back in the place of
`generate_test_case`: values, generators' states, plot settings, and files. It goes through the same pickles
as what a candidate is sent. A test that leaves more behind is not recorded, and makes all of it every time.
"""

# ruff: noqa: PTH123
# pathlib would be one more import in every jail

import importlib
import os
import pickle
import sys
import zlib
from typing import Any

from xftbench.execution.inside import transport

_NOT_THE_TESTS = ("exec", "exec_test", "generate_test_case", "__warningregistry__")
"""Names that change while a test is recorded: what we put there, and which warnings it has printed."""


_SUM_BYTES = 4


class Unrecorded(Exception):  # noqa: N818 - not an error: the test is to be run as it is
    """There is no recording of this test, or it can't be played back."""


def sealed(data: bytes) -> bytes:
    """Return a recording behind its checksum: a file may be cut off, and a disk may change a bit of it."""
    return zlib.crc32(data).to_bytes(_SUM_BYTES) + data


def unsealed(stored: bytes) -> bytes:
    """Return the recording of `sealed`.

    Raises:
        ValueError: If it is not what was written.
    """
    data = stored[_SUM_BYTES:]
    if sealed(data) != stored:
        raise ValueError("a recording that is not whole")
    return data


def record(namespace: dict[str, Any], before: dict[str, Any]) -> bytes:
    """Run a test with a program that does nothing, and return all that it made.

    Args:
        namespace: The test's.
        before: `transport.snapshot` from before the test ran.

    Raises:
        Unrecorded: If it fails that way, or leaves behind what is not recorded.
    """
    cases: list[dict[str, Any]] = []
    make, modules, held = namespace["generate_test_case"], set(sys.modules), dict(namespace)

    def made(number: int) -> object:
        files = _stamps()
        value = make(number)
        if transport.has_figures():
            raise Unrecorded
        cases.append({
            "number": number, "value": transport.pickled(value), "state": transport.state(before),
            "files": _contents(_stamps() - files), "modules": [*set(sys.modules) - modules],
        })  # fmt: skip
        return value

    namespace |= {"exec": _do_nothing, "exec_test": _accept, "generate_test_case": made}
    try:
        namespace["test_execution"]("")
    except BaseException as error:
        raise Unrecorded from error
    left = {name: value for name, value in namespace.items() if name not in _NOT_THE_TESTS}
    if not cases or any(held.get(name) is not value for name, value in left.items()):
        raise Unrecorded
    del namespace["exec"]
    namespace |= held
    return pickle.dumps(cases)


def _do_nothing(_: str, variables: dict[str, Any]) -> None:
    variables["result"] = None


def _accept(*_: object) -> int:
    return 1


def _stamps() -> set[tuple[str, int, int]]:
    """Return what tells whether a file here is another than before."""
    entries = [(entry.name, entry.stat()) for entry in os.scandir(".") if entry.is_file()]
    return {(name, status.st_size, status.st_mtime_ns) for name, status in entries}


def _contents(stamps: set[tuple[str, int, int]]) -> dict[str, bytes]:
    found = {}
    for name, _, _ in stamps:
        with open(name, "rb") as file:
            found[name] = file.read()
    return found


class Recording:
    """Stands in for a test's `generate_test_case`.

    Args:
        data: Of `record`.

    Raises:
        Unrecorded: If this interpreter can't read it.
    """

    def __init__(self, data: bytes) -> None:
        try:
            self._cases = pickle.loads(data)  # noqa: S301 - made before any solution was near
            for name in {name for case in self._cases for name in case["modules"]} - set(sys.modules):
                importlib.import_module(name)
            for case in self._cases:
                case["value"] = transport.trusted(case["value"])
        except Exception as error:
            raise Unrecorded from error
        self.state = b""
        """What the last case left to the program, as of `transport.state`."""

    def make(self, number: int) -> object:
        """Return a test's input and its answer; they come in the order in which they were made."""
        case = self._cases.pop(0)
        if case["number"] != number:
            raise LookupError(f"test {number} was not recorded")
        for name, data in case["files"].items():
            with open(name, "wb") as file:
                file.write(data)
        transport.restore(case["state"])
        self.state = case["state"]
        return case["value"]
