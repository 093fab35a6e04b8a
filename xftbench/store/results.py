"""What a comparison needs of a run: its spec, and how often each problem was passed.

The same record is a committed baseline: a few kilobytes that stand for a run directory.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from xftbench import jsonl
from xftbench.errors import StoreError, UsageProblem
from xftbench.prompts.style import PromptStyle
from xftbench.records import Record, Verdict, VerdictName
from xftbench.store.run_dir import find_runs, is_closed, read_scores, read_spec, read_verdicts
from xftbench.store.spec import RunSpec

_logger = logging.getLogger(__name__)

BASELINE_SCHEMA = 1
CHECKS = ("base", "plus", "strict")
PLUS_ALONE = "added inputs alone"
"""What people are told that `plus` is: evalplus' plus score is of both parts, a plus suite's pass@k."""


class Results(Record):
    """One run's results, problem by problem."""

    name: str
    """What the user calls the checkpoint."""
    run_id: str
    spec: RunSpec
    style: PromptStyle | None
    is_complete: bool
    tallies: dict[str, tuple[int, int]]
    """Problem -> (samples with a verdict about the model, passed), in the benchmark's order."""
    checks: dict[str, dict[str, tuple[int, int]]]
    """The same by each further rule of the suite: ``base``, ``plus``, ``strict``."""
    path: str | None = None
    """The run directory, where there is one."""

    @property
    def suite(self) -> str:
        """Name of the suite."""
        return self.spec.scoring.suite


class BaselineFile(Record):
    """A committed baseline: one model's results on one suite or several."""

    schema_version: int
    xftbench: str
    results: tuple[Results, ...]


class Model(Record):
    """Everything that is compared under one name: suite -> results."""

    label: str
    suites: dict[str, Results]


def read_results(path: Path) -> Results:
    """Return the results in a run directory.

    Raises:
        StoreError: If it is not finished, was changed since, or is not one of ours.
    """
    spec_file = read_spec(path)
    if not (path / "scores.json").exists():
        raise StoreError(
            f"{path} is not finished: it has no scores.json",
            hint="give the command that made it again; it goes on where it stopped",
        )
    scores_file = read_scores(path)
    verdicts = read_verdicts(path, scores_file)
    return Results(
        name=spec_file.environment.name,
        run_id=spec_file.run_id,
        spec=spec_file.spec,
        style=spec_file.style,
        is_complete=scores_file.scores.is_complete,
        tallies=tally((verdict, verdict.verdict) for verdict in verdicts),
        checks={
            check: tally(judged)
            for check in CHECKS
            if (judged := [(v, name) for v in verdicts if (name := judged_by(v, check)) is not None])
        },
        path=str(path),
    )


def judged_by(verdict: Verdict, check: str) -> VerdictName | None:
    """Return a sample's verdict by one of `CHECKS`, or by ``score``; None if its suite has no such rule."""
    name: VerdictName | None = getattr(verdict, "verdict" if check == "score" else check)
    return name


def tally(judged: Iterable[tuple[Verdict, VerdictName]]) -> dict[str, tuple[int, int]]:
    """Return (samples with a verdict about the model, passed) of each problem that has such a verdict."""
    drawn: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for verdict, name in judged:
        drawn[verdict.task_id] += name != "infrastructure_error"
        passed[verdict.task_id] += name == "passed"
    return {task_id: (n, passed[task_id]) for task_id, n in drawn.items() if n > 0}


def write_baseline(path: Path, results: Sequence[Results], version: str) -> None:
    """Write a baseline that can be committed.

    Raises:
        StoreError: If it can't be written.
    """
    kept = tuple(msgspec.structs.replace(result, path=None) for result in results)
    record = BaselineFile(schema_version=BASELINE_SCHEMA, xftbench=version, results=kept)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_atomically(path, jsonl.encode_line(record))
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror or error}") from error


def read_baseline(path: Path) -> BaselineFile:
    """Read a baseline.

    Raises:
        StoreError: If it is missing, malformed or of another schema version.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=BaselineFile)
    except OSError as error:
        raise StoreError(f"can't read {path}: {error.strerror}") from error
    except jsonl.BAD_JSON as error:
        raise StoreError(
            f"{path} is not a baseline of xftbench: {error}", hint="xftbench gate --save-baseline writes one"
        ) from error
    if found.schema_version != BASELINE_SCHEMA:
        raise StoreError(f"{path} has schema version {found.schema_version}, expected {BASELINE_SCHEMA}")
    return found


def find_models(words: Sequence[str], runs: Path) -> list[Model]:
    """Return the models that words stand for, in their order.

    A word is a run directory, a folder of run directories, a baseline file, or the NAME of a model in `runs`.
    Run directories of one name and different suites belong to one model.

    Raises:
        UsageProblem: If a word is nothing of that, or stands for more than one run of a suite.
        StoreError: If a run can't be read.
    """
    models: list[Model] = []
    for word in words:
        results = list(_results_of(word, runs))
        label = results[0].name if len({result.name for result in results}) == 1 else Path(word).name
        suites: dict[str, Results] = {}
        for result in results:
            if result.suite in suites:
                both = f"{suites[result.suite].path} and {result.path}"
                raise UsageProblem(
                    f"{word!r} stands for more than one run of {result.suite}: {both}",
                    hint="name the run directory instead",
                )
            suites[result.suite] = result
        same = next((model for model in models if model.label == label), None)
        if same is not None and not set(same.suites) & set(suites):
            same.suites.update(suites)
        else:
            models.append(Model(label=label, suites=suites))
    return _with_distinct_labels(models, words)


def noise_folders(models: Sequence[Model], runs: Path) -> list[Path]:
    """Return where the noise of models may have been measured into: beside their runs, and in `runs`."""
    beside = [Path(r.path).parent for model in models for r in model.suites.values() if r.path is not None]
    folders = {folder.resolve(): folder for folder in [runs, *beside]}
    return [folder / "noise" for folder in folders.values()]


def _results_of(word: str, runs: Path) -> Iterator[Results]:
    path = Path(word)
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise StoreError(f"{path} is not readable")
    if (path / "spec.json").exists():
        yield read_results(path)
    elif path.is_dir() and (inside := _runs_in(path)):
        for run_dir in inside:
            yield read_results(run_dir)
    elif path.is_file():
        yield from read_baseline(path).results
    else:
        yield from _named(word, runs)


def _runs_in(folder: Path) -> list[Path]:
    """Return the run directories in a folder; those closed to us are left out and named in the log."""
    found = find_runs(folder)
    closed = [path for path in found if is_closed(path)]
    for path in closed:
        _logger.warning("left out: %s is not readable", path)
    return [path for path in found if path not in closed]


def runs_by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the run directories in a folder by their model's NAME.

    Raises:
        StoreError: If the folder or a run's spec can't be read.
    """
    known: dict[str, list[Path]] = {}
    for run_dir in _runs_in(folder):
        known.setdefault(read_spec(run_dir).environment.name, []).append(run_dir)
    return known


def _named(word: str, runs: Path) -> Iterator[Results]:
    known = runs_by_name(runs)
    if word not in known:
        listed = ", ".join(known) or f"none in {runs}"
        raise UsageProblem(
            f"{word!r} is no run directory, no baseline file and no model of a run in {runs}",
            hint=f"models there: {listed}; --runs names another folder",
        )
    for path in known[word]:
        yield read_results(path)


def _with_distinct_labels(models: list[Model], words: Sequence[str]) -> list[Model]:
    labels = [model.label for model in models]
    if len(set(labels)) == len(labels):
        return models
    if len(models) != len(words) or len(set(words)) < len(words):
        raise UsageProblem(f"the same run was named twice: {', '.join(words)}", hint="name two runs")
    names = [Path(word).name for word in words]
    distinct = names if len(set(names)) == len(names) else list(words)
    return [
        msgspec.structs.replace(model, label=label) for model, label in zip(models, distinct, strict=True)
    ]
