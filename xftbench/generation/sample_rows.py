"""Samples files of one row or list each: our own ``samples.jsonl``, evalplus' rows, bigcode's generations."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xftbench.benchmarks.suggest import near_task
from xftbench.errors import DataFileError
from xftbench.generation.answers import as_sample_row
from xftbench.generation.multipl_e_files import known_id
from xftbench.generation.texts import read_text
from xftbench.records import Answerable, Sample, SampleKey

_OF_PROBLEMS = ("test_list", "test", "canonical_solution", "base_input", "code_context")
"""Fields of benchmarks' data files."""
_COUNTS = ("seed", "n_prompt_tokens", "n_tokens")


def from_lines(path: Path, text: str, answerable: Answerable) -> Iterator[Sample]:
    """Yield the sample of each line, numbered in the order of its problem's rows unless it says otherwise."""
    # Not splitlines(): a JSON string may hold U+2028 and the like, which are no line ends here.
    lines = text.split("\n")
    _refuse_document(path, lines[0], text)
    rows = (
        (f"line {number}", _parse(f"{path}, line {number}", line, is_last=number == len(lines)))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )
    return _from_rows(path, rows, answerable)


def _refuse_document(path: Path, first: str, text: str) -> None:
    """Refuse one JSON document over several lines, which is a list or one of the other shapes, or none."""
    if first.lstrip()[:1] != "{" or _document(first) is not None or (found := _document(text)) is None:
        return
    raise DataFileError(
        f"{path}: it is JSON, but neither a list of rows nor a shape that is known"
        f" (fields: {', '.join(found)[:200]})",
        hint="docs/scoring.md lists the shapes",
    )


def _document(text: str) -> dict[str, Any] | None:
    """Return the object that a text which begins with a brace is, or None if it is no JSON."""
    try:
        return dict(json.loads(text))
    except (ValueError, RecursionError):
        return None


def from_list(path: Path, text: str, answerable: Answerable) -> Iterator[Sample]:
    """Yield the samples of one JSON list: of rows as in `from_lines`, or bigcode's programs."""
    entries = _parse(str(path), text, is_last=False)
    if entries and all(isinstance(entry, dict) for entry in entries):
        rows = ((f"entry {number}", entry) for number, entry in enumerate(entries))
        return _from_rows(path, rows, answerable)
    return _from_generations(path, entries, answerable)


def place_of(path: Path, field: str, value: object) -> str:
    """Return where the first row with a field's value stands in a samples file; '' if it has no rows.

    Args:
        path: A file that was read already.
        field: Of a row.
        value: None if the row lacks it.
    """
    if path.is_dir():
        return ""
    text = read_text(path)
    if text.lstrip().startswith("["):
        rows = ((f"entry {number}", row) for number, row in enumerate(json.loads(text)))
    else:
        lines = enumerate(text.split("\n"), start=1)
        rows = ((f"line {number}", _parse("", line, is_last=False)) for number, line in lines if line.strip())
    return next((place for place, row in rows if isinstance(row, dict) and row.get(field) == value), "")


def _parse(where: str, text: str, *, is_last: bool) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        cut = "; the file ends in the middle of it" if is_last else ""
        raise DataFileError(f"{where}: not JSON: {error}{cut}") from error


def _from_rows(path: Path, rows: Iterable[tuple[str, Any]], answerable: Answerable) -> Iterator[Sample]:
    """Yield the samples of rows, each with its place in the file."""
    seen: dict[SampleKey, str] = {}
    n_of_task: Counter[str] = Counter()
    for place, row in rows:
        where = f"{path}, {place}"
        if not isinstance(row, dict):
            raise DataFileError(
                f"{where}: expected an object with task_id and completion, found {_kind(row)}"
            )
        row = as_sample_row(where, row, answerable)
        task_id = known_task_id(where, row, answerable)
        sample = _sample(where, row, task_id, n_of_task[task_id])
        if sample.key in seen:
            raise DataFileError(
                f"{where}: sample {sample.sample_index} of {task_id} is in {seen[sample.key]} already"
            )
        seen[sample.key] = place
        n_of_task[task_id] += 1
        yield sample


def known_task_id(where: str, row: dict[str, Any], answerable: Answerable) -> str:
    """Return a row's task_id, which must be one of the suite's."""
    if "task_id" not in row:
        raise DataFileError(f"{where}: no task_id (fields: {', '.join(map(str, row)) or 'none'})")
    _refuse_problem(where, row)
    task_id = row["task_id"]
    is_number = type(task_id) is int or (isinstance(task_id, str) and task_id.isdecimal())
    if is_number and f"Mbpp/{task_id}" in answerable:
        return f"Mbpp/{task_id}"  # MBPP's own ids are numbers
    if is_number and any(name.startswith("Mbpp/") for name in answerable):
        raise DataFileError(f"{where}: the suite has no problem Mbpp/{task_id}")
    if not isinstance(task_id, str):
        raise DataFileError(
            f"{where}: task_id is {_kind(task_id)}, not a string" + _did_you_mean(str(task_id), answerable)
        )
    # In some suites an id may be written with or without its language.
    spelling = known_id(task_id, row.get("language"), answerable)
    if spelling is None:
        raise DataFileError(
            f"{where}: the suite has no problem {task_id!r}" + _did_you_mean(task_id, answerable),
            hint="is --suite the one that these samples answer?",
        )
    return spelling


def _refuse_problem(where: str, row: dict[str, Any]) -> None:
    """Refuse a row of a benchmark's own data file, whatever its task_id is."""
    is_answer = any(row.get(name) is not None for name in ("completion", "solution"))
    if not is_answer and (found := [name for name in _OF_PROBLEMS if name in row]):
        raise DataFileError(
            f"{where}: it is a problem and not an answer to one: it has {', '.join(found)}, "
            "and neither completion nor solution",
            hint="--samples takes a file of answers; the benchmark's own file goes into --data-dir's folder",
        )


def _did_you_mean(task_id: str, known: Collection[str]) -> str:
    near = near_task(task_id, known)
    return f"; did you mean {near!r}?" if near else ""


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


def _from_generations(path: Path, problems: Sequence[Any], answerable: Answerable) -> Iterator[Sample]:
    """Yield bigcode's programs: a list for each problem, in the suite's order."""
    if len(problems) != len(answerable):
        raise DataFileError(
            f"{path} holds generations for {len(problems)} problems, the suite has {len(answerable)}",
            hint="bigcode's format names no problems: it must hold all of them, in the suite's order",
        )
    for position, (task_id, programs) in enumerate(zip(answerable, problems, strict=True)):
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
