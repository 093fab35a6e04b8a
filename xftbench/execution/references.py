"""What the canonical solutions of evalplus' suites answer: computed once, in a jail, and kept on disk.

An entry is known by the problem's content, by the code of ours that computes it, and by the interpreter. It
has three files: the inputs, of which a candidate gets a copy; the expected answers, which only the checker
opens; and the checksums of both, written last. The second begins with a line of JSON. Behind it are the
answers, and what is to be known of them one by one, marshalled: most programs answer right byte for byte, and
that is never loaded.
"""

import hashlib
import json
import marshal
import os
import platform
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from xftbench.benchmarks.plus_inputs import decoded
from xftbench.errors import UsageProblem
from xftbench.execution.inside import items
from xftbench.execution.outcome import InfrastructureError
from xftbench.jsonl import write_atomically
from xftbench.locks import locked
from xftbench.places import own_cache
from xftbench.records import PlusProblem

_CODE = (
    "inside/plus_solution.py", "inside/service.py", "inside/items.py", "inside/oracles.py", "inside/wire.py",
    "references.py", "../benchmarks/plus_inputs.py",
)  # fmt: skip
PARTS = ("base", "plus")
_KINDS = ("inputs", "expected", "sums")
_SLOW_S = 0.005


class Layout(NamedTuple):
    """Where the arguments of one part stand in the file of inputs, and how many tests they make."""

    name: str
    offset: int
    length: int
    n_tests: int


class Answered(NamedTuple):
    """What the reference returned for one test."""

    type_name: str
    cpu_s: float
    item: bytes
    """What an equal answer looks like (see `inside.items`), or nothing if only its value tells."""
    packed: bytes
    """The value itself, marshalled and compressed."""
    is_floats: bool


class Reference(NamedTuple):
    """One problem's entry."""

    key: str
    inputs: Path
    expected: Path
    layouts: tuple[Layout, ...]
    cpu_s: float
    """CPU seconds of the reference on all inputs."""
    slow_s: dict[str, dict[int, float]]
    """Part -> index of an input -> CPU seconds, where they are more than a few milliseconds."""


Compute = Callable[[PlusProblem, Path, Sequence[Layout]], dict[str, list[Answered]]]
"""Runs the reference on a file of inputs."""


_MOVED: set[str] = set()
"""Keys of entries that could not be written in the user's cache, as on a full disk."""


def path_of(key: str, kind: str) -> Path:
    """Return where a file of an entry stands: in the user's cache, by the XDG convention."""
    if key in _MOVED:
        return _temporary() / key[:2] / f"{key}.{kind}"
    return _path_in(os.environ.get("XDG_CACHE_HOME"), os.environ.get("HOME"), key, kind)


@lru_cache(maxsize=4096)
def _path_in(cache_home: str | None, home: str | None, key: str, kind: str) -> Path:
    # Writing a file searches its directory, which must stay short.
    return _made(cache_home, home) / key[:2] / f"{key}.{kind}"


@cache
def _made(*_: str | None) -> Path:
    """Return the directory of all entries; `_` is what it depends on."""
    try:
        path = own_cache() / "references"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, UsageProblem):
        return _temporary()
    return path if os.access(path, os.W_OK) else _temporary()


def keep(path: Path, data: bytes) -> None:
    """Write a file of an entry, for this user alone."""
    write_atomically(_in_folder(path), data)
    path.chmod(0o600)


def _in_folder(path: Path) -> Path:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return path


def _temporary() -> Path:
    """Return a directory for this process alone, where the user's cache can't be written."""
    return Path(_until_the_end().name)


@cache
def _until_the_end() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="xftbench-references-")


@cache
def code_sha256(names: tuple[str, ...]) -> str:
    """Return the hash of some of our sources, named as seen from here."""
    root = Path(__file__).parent
    return hashlib.sha256(b"".join((root / name).read_bytes() for name in names)).hexdigest()


def key_of(problem: PlusProblem) -> str:
    """Return the name of a problem's entry."""
    return hashlib.sha256(f"{problem.content_sha256} {_about()}".encode()).hexdigest()[:40]


@cache
def _about() -> str:
    return f"{code_sha256(_CODE)} {sys.implementation.name} {platform.python_version()}"


def get(problem: PlusProblem, compute: Compute) -> Reference:
    """Return a problem's entry, made by `compute` if it is not there; nobody else makes it meanwhile."""
    key = key_of(problem)
    found = _read(key)
    if found is None:
        with ExitStack() as held:
            _written(key, lambda: held.enter_context(locked(_in_folder(path_of(key, "lock")))))
            found = _read(key) or _make(key, problem, compute)
    return found


def _written(key: str, write: Callable[[], object]) -> None:
    """Write something of an entry; if there is no room for it, write it in the temporary directory.

    Raises:
        InfrastructureError: If it can't be written there, either. An `OSError` would be the worker's end.
    """
    folder = path_of(key, "*").parent
    try:
        write()
        return
    except OSError as error:
        reason = f"{folder} ({error.strerror})"
    other: Path | str = "the temporary folder"
    try:
        other = _temporary()
        _MOVED.add(key)
        write()
    except OSError as error:
        _MOVED.discard(key)
        raise InfrastructureError(
            f"what the reference answers can be written neither to {reason} nor to {other} "
            f"({error.strerror}): make room, or set XDG_CACHE_HOME or TMPDIR"
        ) from error


def cost_s(problem: PlusProblem) -> float:
    """Return about how many CPU seconds a right solution takes, so that long ones can be started first."""
    found = _read(key_of(problem))
    if found is None:
        return len(problem.plus_input) / 1e5
    return found.cpu_s


def _read(key: str) -> Reference | None:
    """Return an entry, if its files are whole and are what was written."""
    paths = [path_of(key, kind) for kind in _KINDS]
    try:
        found = [path.stat() for path in paths]
        return _read_once(key, *paths, tuple((one.st_mtime_ns, one.st_size) for one in found))
    except (OSError, ValueError, KeyError):
        return None


@lru_cache(maxsize=1024)
def _read_once(key: str, inputs: Path, expected: Path, sums: Path, _: tuple[Any, ...]) -> Reference:
    """Read an entry; once for files of that time and size.

    Raises:
        ValueError: If a disk has changed a byte of it: right programs would be judged wrong.
    """
    answers = expected.read_bytes()
    if sums.read_bytes() != _sums(inputs.read_bytes(), answers):
        raise ValueError(f"{expected} was changed")
    head: dict[str, Any] = json.loads(answers[: answers.index(b"\n")])
    layouts = tuple(Layout(*layout) for layout in head["layouts"])
    slow_s = {
        part: {int(index): used_s for index, used_s in times.items()}
        for part, times in head["slow_s"].items()
    }
    return Reference(key, inputs, expected, layouts, head["cpu_s"], slow_s)


def _sums(*files: bytes) -> bytes:
    return b" ".join(b"%08x" % zlib.crc32(data) for data in files)


def _make(key: str, problem: PlusProblem, compute: Compute) -> Reference:
    layouts, data = _inputs(problem)
    _written(key, lambda: keep(path_of(key, "inputs"), data))
    answered = compute(problem, path_of(key, "inputs"), layouts)
    slow_s = {
        part: {index: answer.cpu_s for index, answer in enumerate(answers) if answer.cpu_s > _SLOW_S}
        for part, answers in answered.items()
    }
    cpu_s = sum(answer.cpu_s for answers in answered.values() for answer in answers)
    made = Reference(key, path_of(key, "inputs"), path_of(key, "expected"), layouts, cpu_s, slow_s)
    answers = _expected(problem, made, answered)

    def write() -> None:
        if not path_of(key, "inputs").exists():  # for want of room the entry has moved since
            keep(path_of(key, "inputs"), data)
        keep(path_of(key, "expected"), answers)
        keep(path_of(key, "sums"), _sums(data, answers))

    _written(key, write)
    return made._replace(inputs=path_of(key, "inputs"), expected=path_of(key, "expected"))


def _inputs(problem: PlusProblem) -> tuple[tuple[Layout, ...], bytes]:
    layouts, blobs, offset = [], [], 0
    for name, data in zip(PARTS, (problem.base_input, problem.plus_input), strict=True):
        arguments = decoded(problem.task_id, data)
        blobs.append(marshal.dumps(arguments, 2))
        layouts.append(Layout(name, offset, len(blobs[-1]), len(arguments)))
        offset += len(blobs[-1])
    return tuple(layouts), b"".join(blobs)


def _expected(problem: PlusProblem, made: Reference, answered: dict[str, list[Answered]]) -> bytes:
    body = bytearray()
    parts = {}
    for name, answers in answered.items():
        parts[name] = _part(problem, answers, body)
    head: dict[str, Any] = {
        "task_id": problem.task_id, "layouts": made.layouts, "cpu_s": made.cpu_s, "slow_s": made.slow_s,
        "tolerance": problem.atol, "parts": parts,
    }  # fmt: skip
    return json.dumps(head).encode() + b"\n" + body


def _part(problem: PlusProblem, answers: list[Answered], body: bytearray) -> dict[str, tuple[int, int]]:
    """Append what is stored of one part to the file's body and return where each piece of it stands."""
    comparable = problem.oracle not in ("root", "not_none")
    kept = [answer.item if comparable and answer.item else items.never() for answer in answers]
    are_floats = [answer.is_floats for answer in answers]
    pieces = {
        "items": b"".join(kept),
        "starts": marshal.dumps([0, *accumulate(map(len, kept))]),
        "packed": b"".join(answer.packed for answer in answers),
        "about": marshal.dumps((
            [0, *accumulate(len(answer.packed) for answer in answers)],
            [answer.type_name for answer in answers],
            are_floats,
            [*are_floats, True].index(True),
        )),
    }  # fmt: skip
    places = {}
    for name, data in pieces.items():
        places[name] = (len(body), len(body) + len(data))
        body += data
    return places
