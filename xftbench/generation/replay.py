"""Completions from a file: our own ``samples.jsonl``, evalplus' rows, or bigcode's ``generations.json``.

This is how people score samples that they made elsewhere, and how other layers are tested without a model.
"""

import difflib
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xftbench.errors import BackendError, DataFileError
from xftbench.generation.backend import Engine, Request
from xftbench.generation.checkpoints import Checkpoint
from xftbench.generation.options import BackendOptions
from xftbench.records import Sample, SampleKey, SamplingParams

_COUNTS = ("seed", "n_prompt_tokens", "n_tokens")


def samples_file(path: Path) -> Path:
    """Return the samples file that a path names: itself, or the one of a run directory.

    Raises:
        DataFileError: If the path is a directory without samples.
    """
    if path.is_dir():
        found = path / "samples.jsonl"
        if not found.is_file():
            raise DataFileError(f"{path} is a directory without samples.jsonl", hint="name the samples file")
        return found
    return path


def read_samples(path: Path, task_ids: Sequence[str]) -> list[Sample]:
    """Read a samples file of any of the three shapes, plain or gzipped.

    Args:
        path: A name in ``.json`` (or ``.json.gz``) is bigcode's list of lists, anything else JSON Lines.
        task_ids: The problems that samples may answer, in the benchmark's order.

    Raises:
        DataFileError: Naming file and line, for whatever is not such a sample.
    """
    text = _read_text(path)
    if not text.strip():
        raise DataFileError(f"{path} is empty", hint="it should hold one JSON object per sample and line")
    is_list = path.name.removesuffix(".gz").endswith(".json") and text.lstrip().startswith("[")
    samples = list(_from_generations(path, text, task_ids) if is_list else _from_lines(path, text, task_ids))
    if not samples:
        raise DataFileError(f"{path} holds no samples")
    return samples


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:  # EOFError: gzip's word for a truncated stream
        raise DataFileError(f"can't read {path}: {error}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataFileError(f"{path}, line {line}: not UTF-8 text: {error.reason}") from error


def _from_lines(path: Path, text: str, task_ids: Sequence[str]) -> Iterator[Sample]:
    known = set(task_ids)
    seen: dict[SampleKey, int] = {}
    n_of_task: Counter[str] = Counter()
    # Not splitlines(): a JSON string may hold U+2028 and the like, which are no line ends here.
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        row = _parse_row(where, line, is_last=number == len(lines))
        task_id = _required_task_id(where, row, known)
        sample = _sample(where, row, task_id, n_of_task[task_id])
        if sample.key in seen:
            raise DataFileError(
                f"{where}: sample {sample.sample_index} of {task_id} is in line {seen[sample.key]} already"
            )
        seen[sample.key] = number
        n_of_task[task_id] += 1
        yield sample


def _parse_row(where: str, line: str, *, is_last: bool) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        cut = "; the file ends in the middle of it" if is_last else ""
        raise DataFileError(f"{where}: not JSON: {error}{cut}") from error
    if not isinstance(row, dict):
        raise DataFileError(f"{where}: expected an object with task_id and completion, found {_kind(row)}")
    return row


def _required_task_id(where: str, row: dict[str, Any], known: Iterable[str]) -> str:
    if "task_id" not in row:
        raise DataFileError(f"{where}: no task_id (fields: {', '.join(map(str, row)) or 'none'})")
    task_id = row["task_id"]
    if not isinstance(task_id, str):
        raise DataFileError(f"{where}: task_id is {_kind(task_id)}, not a string")
    if task_id not in known:
        near = difflib.get_close_matches(task_id, known, n=1)
        raise DataFileError(
            f"{where}: the suite has no problem {task_id!r}"
            + (f"; did you mean {near[0]!r}?" if near else ""),
            hint="is --suite the one that these samples answer?",
        )
    return task_id


def _sample(where: str, row: dict[str, Any], task_id: str, default_index: int) -> Sample:
    """Build a sample from a row; of our own fields the optional ones are kept if they make sense."""
    texts = {name: row.get(name) for name in ("completion", "solution")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise DataFileError(f"{where}: {name} is {_kind(value)}, not a string")
    if texts["completion"] is None and texts["solution"] is None:
        raise DataFileError(f"{where}: neither completion nor solution (fields: {', '.join(map(str, row))})")
    index = row.get("sample_index", default_index)
    if not _is_count(index):
        raise DataFileError(f"{where}: sample_index is {json.dumps(index)}, not a count from 0")
    finish_reason = row.get("finish_reason")
    stop_reason = row.get("stop_reason")
    return Sample(
        task_id=task_id,
        sample_index=index,
        completion=texts["completion"],
        solution=texts["solution"],
        style=row["style"] if isinstance(row.get("style"), str) else None,
        finish_reason=finish_reason if finish_reason in ("stop", "length") else None,
        stop_reason=stop_reason if isinstance(stop_reason, str) else None,
        **{name: row[name] for name in _COUNTS if _is_count(row.get(name))},
    )


def _from_generations(path: Path, text: str, task_ids: Sequence[str]) -> Iterator[Sample]:
    try:
        problems = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataFileError(f"{path}: not JSON: {error}") from error
    if len(problems) != len(task_ids):
        raise DataFileError(
            f"{path} holds generations for {len(problems)} problems, the suite has {len(task_ids)}",
            hint="bigcode's format names no problems: it must hold all of them, in the suite's order",
        )
    for position, (task_id, programs) in enumerate(zip(task_ids, problems, strict=True)):
        if not isinstance(programs, list):
            raise DataFileError(
                f"{path}, entry {position}: expected a list of programs, found {_kind(programs)}"
            )
        for index, program in enumerate(programs):
            if not isinstance(program, str):
                raise DataFileError(
                    f"{path}, entry {position}: program {index} is {_kind(program)}, not a string"
                )
            yield Sample(task_id=task_id, sample_index=index, completion=None, solution=program)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


class ReplayBackend:
    """Gives each request the sample that a file holds for it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def generate(self, requests: Sequence[Request], sampling: SamplingParams) -> Iterator[Sample]:
        """Yield the stored sample of each request, in their order.

        Raises:
            DataFileError: If the file can't be read.
            BackendError: If a sample is not in the file.
        """
        task_ids = list(dict.fromkeys(request.prompt.task_id for request in requests))
        stored = {sample.key: sample for sample in read_samples(self._path, task_ids)}
        for request in requests:
            key = (request.prompt.task_id, request.sample_index)
            if key not in stored:
                raise BackendError(f"{self._path} has no sample {key[1]} of {key[0]}")
            yield stored[key]


def describe(checkpoint: Checkpoint, options: BackendOptions) -> Engine:
    """Return the engine of samples that exist already."""
    return Engine(name="replay", version="1", dtype="", device="")


@contextmanager
def open_backend(checkpoint: Checkpoint, options: BackendOptions) -> Iterator[ReplayBackend]:
    """Open a samples file as a backend."""
    yield ReplayBackend(Path(checkpoint.path))
