"""What evalplus writes besides rows: a folder of programs for each problem, and the results of its scorer."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from xftbench.errors import DataFileError
from xftbench.records import Answerable, Sample, SampleKey

_PROGRAM = re.compile(r"(?P<folder>[\w-]+)/(?P<index>\d+)\.py")


def from_folder(directory: Path, answerable: Answerable) -> list[Sample] | None:
    """Return the samples of ``HumanEval_0/0.py`` and the like; None if there are none of that kind.

    Raises:
        DataFileError: If a folder belongs to no problem of the suite, or a program can't be read or has the
            number of another one.
    """
    found = sorted(path for path in directory.glob("*/*.py") if not path.parent.name.startswith("."))
    if not found:
        return None
    by_folder = {task_id.replace("/", "_"): task_id for task_id in answerable}
    return list(_programs(directory, found, by_folder))


def _programs(directory: Path, paths: Sequence[Path], by_folder: dict[str, str]) -> Iterator[Sample]:
    seen: dict[SampleKey, Path] = {}
    for path in paths:
        match = _PROGRAM.fullmatch(path.relative_to(directory).as_posix())
        if match is None:
            raise DataFileError(
                f"{path}: expected a name like HumanEval_0/0.py: problem, number of the sample"
            )
        if match["folder"] not in by_folder:
            raise DataFileError(
                f"{path}: the suite has no problem {path.parent.name!r}",
                hint="is --suite the one that these samples answer?",
            )
        key = (by_folder[match["folder"]], int(match["index"]))
        if key in seen:
            raise DataFileError(f"{path} and {seen[key]} are both sample {key[1]} of {key[0]}")
        seen[key] = path
        try:
            code = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataFileError(f"can't read {path}: {error}") from error
        yield Sample(
            task_id=key[0],
            sample_index=key[1],
            completion=None,
            solution=code,
        )


def from_results(path: Path, text: str, answerable: Answerable) -> list[Sample] | None:
    """Return the programs of an ``eval_results.json``; None if the document is another one.

    Raises:
        DataFileError: If it names a problem that the suite has not, or holds no program where one should be.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    rows = document.get("eval") if isinstance(document, dict) else None
    if not isinstance(rows, dict):
        return None
    samples = []
    for task_id, results in rows.items():
        if task_id not in answerable:
            raise DataFileError(
                f"{path}: the suite has no problem {task_id!r}",
                hint="is --suite the one that these samples answer?",
            )
        if not isinstance(results, list):
            raise DataFileError(
                f"{path}: expected a list of the results of {task_id}",
                hint="results of evalplus before 0.2 hold no programs: name the samples that they are of",
            )
        for index, result in enumerate(results):
            solution = result.get("solution") if isinstance(result, dict) else None
            if not isinstance(solution, str):
                raise DataFileError(f"{path}: sample {index} of {task_id} has no solution")
            samples.append(Sample(task_id=task_id, sample_index=index, completion=None, solution=solution))
    return samples
