"""What the canonical solutions of evalplus' suites answer: computed once, in a jail, and kept on disk.

An entry is known by the problem's content, by the code of ours that computes it, and by the interpreter. It
has two files: the inputs, which a candidate may read, and the expected answers, which only the checker opens.
"""

import fcntl
import hashlib
import json
import marshal
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from xftbench.benchmarks.plus_inputs import decoded
from xftbench.execution.inside import items
from xftbench.jsonl import write_atomically
from xftbench.records import PlusProblem

_CODE = (
    "inside/plus_solution.py", "inside/items.py", "inside/wire.py", "references.py",
    "../benchmarks/plus_inputs.py",
)  # fmt: skip
PARTS = ("base", "plus")
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


def directory() -> Path:
    """Return where entries are kept: in the user's cache, by the XDG convention."""
    return _made(os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))


@cache
def _made(cache_home: str) -> Path:
    path = Path(cache_home, "xftbench", "references")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return _temporary()
    return path if os.access(path, os.W_OK) else _temporary()


def path_of(key: str, kind: str) -> Path:
    """Return where a file of an entry stands: writing one searches its directory, which must stay short."""
    return directory() / key[:2] / f"{key}.{kind}"


def keep(path: Path, data: bytes) -> None:
    """Write a file of an entry, for this user alone."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    write_atomically(path, data)
    path.chmod(0o600)


@cache
def _temporary() -> Path:
    """Return a directory for this process alone, where the user's cache can't be written."""
    return Path(tempfile.mkdtemp(prefix="xftbench-references-"))


@cache
def code_sha256(names: tuple[str, ...]) -> str:
    """Return the hash of some of our sources, named as seen from here."""
    root = Path(__file__).parent
    return hashlib.sha256(b"".join((root / name).read_bytes() for name in names)).hexdigest()


def key_of(problem: PlusProblem) -> str:
    """Return the name of a problem's entry."""
    parts = (problem.content_sha256, code_sha256(_CODE), sys.implementation.name, platform.python_version())
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:40]


def get(problem: PlusProblem, compute: Compute) -> Reference:
    """Return a problem's entry, made by `compute` if it is not there; nobody else makes it meanwhile."""
    key = key_of(problem)
    found = _read(key)
    if found is None:
        with _locked(path_of(key, "lock")):
            found = _read(key) or _make(key, problem, compute)
    return found


def cost_s(problem: PlusProblem) -> float:
    """Return about how many CPU seconds a right solution takes, so that long ones can be started first."""
    found = _read(key_of(problem))
    if found is None:
        return len(problem.plus_input) / 1e5
    return found.cpu_s


@lru_cache(maxsize=1024)
def _read_head(path: Path, _: int) -> dict[str, Any]:
    with path.open("rb") as file:
        head: dict[str, Any] = json.loads(file.readline())
    return {name: head[name] for name in ("layouts", "inputs_bytes", "bytes")} | _times(head["cpu_s"])


def _times(cpu_s: dict[str, list[float]]) -> dict[str, Any]:
    slow_s = {
        part: {index: used_s for index, used_s in enumerate(times) if used_s > _SLOW_S}
        for part, times in cpu_s.items()
    }
    return {"cpu_s": sum(map(sum, cpu_s.values())), "slow_s": slow_s}


def _read(key: str) -> Reference | None:
    inputs, expected = path_of(key, "inputs"), path_of(key, "expected")
    try:
        head = _read_head(expected, expected.stat().st_mtime_ns)
        if inputs.stat().st_size != head["inputs_bytes"] or expected.stat().st_size != head["bytes"]:
            return None
    except (OSError, ValueError, KeyError):
        return None
    layouts = tuple(Layout(*layout) for layout in head["layouts"])
    return Reference(key, inputs, expected, layouts, head["cpu_s"], head["slow_s"])


def _make(key: str, problem: PlusProblem, compute: Compute) -> Reference:
    path, expected = path_of(key, "inputs"), path_of(key, "expected")
    layouts, data = _inputs(problem)
    keep(path, data)
    answered = compute(problem, path, layouts)
    cpu_s = {part: [round(answer.cpu_s, 6) for answer in answers] for part, answers in answered.items()}
    keep(expected, _expected(problem, layouts, len(data), answered, cpu_s))
    times = _times(cpu_s)
    return Reference(key, path, expected, layouts, times["cpu_s"], times["slow_s"])


def _inputs(problem: PlusProblem) -> tuple[tuple[Layout, ...], bytes]:
    layouts, blobs, offset = [], [], 0
    for name, data in zip(PARTS, (problem.base_input, problem.plus_input), strict=True):
        arguments = decoded(problem.task_id, data)
        blobs.append(marshal.dumps(arguments, 2))
        layouts.append(Layout(name, offset, len(blobs[-1]), len(arguments)))
        offset += len(blobs[-1])
    return tuple(layouts), b"".join(blobs)


def _expected(
    problem: PlusProblem,
    layouts: Sequence[Layout],
    inputs_bytes: int,
    answered: dict[str, list[Answered]],
    cpu_s: dict[str, list[float]],
) -> bytes:
    body = bytearray()
    parts = {}
    for name, answers in answered.items():
        parts[name] = _part(problem, answers, body)
    head: dict[str, Any] = {
        "task_id": problem.task_id, "layouts": layouts, "inputs_bytes": inputs_bytes, "cpu_s": cpu_s,
        "parts": parts, "bytes": 0,
    }  # fmt: skip
    # The length of the whole file stands in its first line, which is padded so that it can be known.
    text = json.dumps(head).encode()
    head["bytes"] = len(text) + 20 + 1 + len(body)
    return json.dumps(head).encode().ljust(len(text) + 20) + b"\n" + body


def _part(problem: PlusProblem, answers: list[Answered], body: bytearray) -> dict[str, Any]:
    """Append what is stored of one part to the file's body and return its table of contents."""
    comparable = problem.oracle not in ("root", "not_none")
    begin = len(body)
    starts = [0]
    for answer in answers:
        body += answer.item if comparable and answer.item else items.never()
        starts.append(len(body) - begin)
    end = len(body)
    packed = []
    for answer in answers:
        packed.append((len(body), len(body) + len(answer.packed)))
        body += answer.packed
    floats = [index for index, answer in enumerate(answers) if answer.is_floats]
    return {
        "items": (begin, end), "starts": starts, "packed": packed, "tolerance": problem.atol,
        "types": [answer.type_name for answer in answers],
        "floats": floats, "first_floats": floats[0] if floats else -1,
    }  # fmt: skip


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock against every other thread and process; the file itself means nothing."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    path.unlink(missing_ok=True)
