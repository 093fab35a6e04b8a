"""Complete runs from disk, grouped into tables: runs that may stand side by side."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import msgspec

from xftbench import jsonl
from xftbench.benchmarks.clusters import clusters_of
from xftbench.errors import DataFileError, StoreError, UsageProblem
from xftbench.records import Problem, Sample, Verdict
from xftbench.scoring.aggregate import renewed
from xftbench.store.comparable import Difference, comparable_key, differences, is_allowed
from xftbench.store.run_dir import ScoresFile, find_runs, is_closed, read_scores, read_spec, read_verdicts
from xftbench.store.spec import RunSpec, SpecFile

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A complete run; its samples and verdicts are read when they are asked for."""

    path: Path
    spec_file: SpecFile
    scores_file: ScoresFile
    label: str = ""
    """Stands for the name where another run that it is compared with has the same."""
    allow: tuple[str, ...] = ()
    """Fields in which it may differ from runs in the same table, against the rule."""

    @property
    def name(self) -> str:
        """What the user calls the model."""
        return self.label or self.spec_file.environment.name

    @property
    def spec(self) -> RunSpec:
        """Everything that decided the result."""
        return self.spec_file.spec

    @property
    def n(self) -> int:
        """Samples per problem; the smallest number where problems differ."""
        pass_at = self.scores_file.scores.pass_at
        return pass_at[0].n if pass_at else self.spec.generation.sampling.n

    @property
    def n_max(self) -> int:
        """The largest number of samples that a problem has."""
        return max(self.n, self.spec.generation.sampling.n)

    @property
    def group(self) -> str:
        """Equal for runs that may stand side by side."""
        return comparable_key(self.spec, self.allow)

    @cached_property
    def verdicts(self) -> Mapping[str, Sequence[Verdict]]:
        """The verdicts of each problem, by sample."""
        found: dict[str, list[Verdict]] = {}
        for verdict in read_verdicts(self.path, self.scores_file):
            found.setdefault(verdict.task_id, []).append(verdict)
        return found

    @cached_property
    def samples(self) -> Mapping[tuple[str, int], Sample]:
        """The samples, by problem and index; empty if their file is gone."""
        try:
            return {sample.key: sample for sample in jsonl.read(self.path / "samples.jsonl", Sample)}
        except DataFileError as error:
            _logger.warning("%s: tokens are left blank: %s", self.path, error.message)
            return {}

    def tally(self, task_id: str) -> tuple[int, int]:
        """Return (samples with a verdict about the model, passed) for a problem."""
        judged = [v.verdict for v in self.verdicts.get(task_id, ()) if v.verdict != "infrastructure_error"]
        return len(judged), judged.count("passed")


@dataclass(frozen=True)
class Table:
    """Runs of one suite whose scores may stand side by side."""

    group: str
    """Hash of everything that must be equal."""
    runs: Sequence[Run]
    problems: Mapping[str, Problem] = field(default_factory=dict)
    """The problems by task_id, where the benchmark's data is at hand."""
    apart: str = ""
    """What tells it from the tables that would have the same label."""

    @property
    def label(self) -> str:
        """What tells it from the others, in a few words."""
        first = self.runs[0].spec
        generation = first.generation
        n = extent(min(run.n for run in self.runs), max(run.n_max for run in self.runs))
        temperature = generation.decoding["temperature"]
        how = "" if temperature is None else ", greedy" if temperature == 0 else f", T={temperature:g}"
        made = "completions made elsewhere" if generation.engine == "replay" else generation.style
        apart = f" · {self.apart}" if self.apart else ""
        return f"{self.suite} {first.scoring.suite_version} · {made}{how}, n={n}{apart}"

    @property
    def suite(self) -> str:
        """The benchmark, and what was selected of it."""
        return self.runs[0].spec.scoring.suite

    @property
    def marks(self) -> list[str]:
        """Fields that should keep its runs apart and were allowed by name."""
        first = self.runs[0].spec
        found = [d.field for run in self.runs for d in differences(first, run.spec) if d.kind == "refused"]
        return list(dict.fromkeys(found))

    @cached_property
    def task_ids(self) -> list[str]:
        """Of every problem that a run has a verdict on, in the benchmark's order."""
        return list(dict.fromkeys(task_id for run in self.runs for task_id in run.verdicts))

    def run_of(self, name: str) -> Run | None:
        """Return the run of a model, if it is in the table."""
        return next((run for run in self.runs if run.name == name), None)


def extent(low: int, high: int) -> str:
    """Return a number, or two where they differ."""
    return str(low) if low == high else f"{low} to {high}"


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return run directories: those named, and those in folders that were named.

    Raises:
        UsageProblem: If there is none.
    """
    named = list(paths)
    found = [
        run
        for path in named
        for run in ([path] if is_closed(path) or (path / "spec.json").exists() else find_runs(path))
    ]
    if not found:
        raise UsageProblem(
            f"no run directory in {', '.join(map(str, named))}",
            hint="xftbench run makes them; name run directories, or the folder that they are in",
        )
    return list(dict.fromkeys(found))


def read_runs(paths: Iterable[Path], allow: Sequence[str] = ()) -> list[Run]:
    """Read complete runs; those that are not, or were changed since, are left out and named in the log."""
    runs = []
    for path in paths:
        try:
            run = Run(path, read_spec(path), read_scores(path), allow=tuple(allow))
            if (path / "verdicts.jsonl").exists():
                run = _renewed(run)  # the verdicts of an edited run can't be read
        except StoreError as error:
            _logger.warning("left out: %s", error.message)
            continue
        if not run.scores_file.scores.is_complete:
            _logger.warning("left out: %s is incomplete", path)
            continue
        runs.append(run)
    return _told_apart(runs)


def find_baseline(runs: Sequence[Run], name: str | None) -> str:
    """Return the model that others are compared with: the one of that name, or the first.

    Raises:
        UsageProblem: If there is no such model.
    """
    names = list(dict.fromkeys(run.name for run in runs))
    if name is None:
        return names[0]
    if name not in names:
        raise UsageProblem(f"no run of a model called {name!r}", hint=f"there are {', '.join(names)}")
    return name


def _renewed(run: Run) -> Run:
    """Return a run with today's intervals; itself unless an older xftbench wrote others."""
    verdicts = [verdict for of_problem in run.verdicts.values() for verdict in of_problem]
    scores = renewed(run.scores_file.scores, verdicts, clusters_of(run.spec.scoring.suite))
    if scores is run.scores_file.scores:
        return run
    return replace(run, scores_file=msgspec.structs.replace(run.scores_file, scores=scores))


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """Add what differs to names that stand twice in one table: the run, or for the same run its path."""
    names = [(run.spec.scoring.suite, run.group, run.name) for run in runs]
    ids = [run.spec_file.run_id for run in runs]
    twice = [names.count(name) > 1 for name in names]
    return [
        replace(run, label=f"{run.name} {run_id if ids.count(run_id) == 1 else run.path}") if double else run
        for run, run_id, double in zip(runs, ids, twice, strict=True)
    ]


def into_tables(runs: Iterable[Run]) -> list[Table]:
    """Group runs by suite and by everything that must be equal; the suites in alphabetical order."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.spec.scoring.suite, run.group), []).append(run)
    tables = [Table(group, members) for (_, group), members in sorted(groups.items())]
    told = apart(tables, [table.label for table in tables])
    return [replace(table, apart=text) for table, text in zip(tables, told, strict=True)]


def names_of(tables: Sequence[Table]) -> list[str]:
    """Return each table's suite, or its label where the suite was run in two ways that can't be compared."""
    suites = [table.suite for table in tables]
    return [table.suite if suites.count(table.suite) == 1 else table.label for table in tables]


def apart(tables: Sequence[Table], titles: Sequence[str]) -> list[str]:
    """Return what to add to each table's title so that no two are the same; nothing where none is.

    Of those that share a title, the one that is most like the others is told by every field in which another
    differs from it, and the others by the fields in which they differ from that one.
    """
    sharing: dict[str, list[int]] = {}
    for number, title in enumerate(titles):
        sharing.setdefault(title, []).append(number)
    told = [""] * len(tables)
    for numbers in sharing.values():
        found = {
            number: [_kept_apart_by(tables[number], tables[other]) for other in numbers] for number in numbers
        }
        usual = min(numbers, key=lambda number: sum(map(len, found[number])))
        of_usual: dict[str, str] = {}
        for other, different in zip(numbers, found[usual], strict=True):
            told[other] = _in_words({difference.field: difference.after for difference in different})
            of_usual |= {difference.field: difference.before for difference in different}
        told[usual] = _in_words(of_usual)
    return told


def _kept_apart_by(first: Table, other: Table) -> list[Difference]:
    run = other.runs[0]
    return [
        difference
        for difference in differences(first.runs[0].spec, run.spec)
        if difference.kind == "refused" and not is_allowed(difference.field, run.allow)
    ]


def _in_words(values: Mapping[str, str]) -> str:
    return ", ".join(f"{field}: {value}" for field, value in sorted(values.items()))
