"""The problems that a pair of runs decides otherwise: both programs side by side, and why each failed."""

import difflib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from xftbench import jsonl
from xftbench.benchmarks.suggest import known_tags, near_task, spelled, suggestion
from xftbench.errors import DataFileError, UsageProblem
from xftbench.execution.outcome import spelled_out
from xftbench.records import Record, Sample, SampleKey, Verdict
from xftbench.report.comparison import SuiteComparison
from xftbench.store.results import Model, judged_by
from xftbench.store.run_dir import read_scores, read_verdicts

_WIDTH = 58


class Side(Record):
    """One model's answer to a problem: the first that did not pass, or the first."""

    name: str
    passed: str
    """Passed of drawn, such as ``3/20``."""
    verdict: str
    detail: str
    rule: str
    """The extraction rule that took the program out of the answer."""
    n_tokens: int | None
    finish_reason: str | None
    first_failure: str
    """First failing input with expected and actual value; empty if there is none."""
    program: str


class ProblemDiff(Record):
    """A problem that one of two models solves more often."""

    suite: str
    task_id: str
    change: str
    """``gained`` or ``lost``, from the baseline to the candidate."""
    baseline: Side
    candidate: Side


class Filters(Record):
    """Which problems are shown."""

    task_ids: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    """Such as ``("language", "rs")`` or ``("library", "Pandas")``."""
    verdicts: tuple[str, ...] = ()
    """Verdicts of the side that fails."""
    change: str | None = None


TagsOf = Callable[[str, str], Mapping[str, Mapping[str, str]]]
"""(suite, version) -> problem -> tags."""


def problem_diffs(
    pairs: Sequence[SuiteComparison], models: Sequence[Model], filters: Filters, tags_of: TagsOf
) -> Iterator[ProblemDiff]:
    """Yield the problems that differ and pass the filters, suite by suite.

    Raises:
        UsageProblem: If a side is a baseline file, which holds no programs, or a filter names what none has.
        StoreError: If a run's verdicts can't be read.
    """
    by_label = {model.label: model for model in models}
    filters = _with_known(pairs, by_label, filters)
    _refuse_unknown_tags(pairs, filters, tags_of)
    for pair in pairs:
        if filters.suites and pair.suite not in filters.suites:
            continue
        wanted = list(_wanted(pair, filters, tags_of))
        if not wanted:
            continue
        sides = [_Answers(by_label[name], pair) for name in (pair.baseline, pair.candidate)]
        for task_id, change in wanted:
            before, after = (side.of(task_id) for side in sides)
            failing = after if change == "lost" else before
            if filters.verdicts and failing.verdict not in filters.verdicts:
                continue
            yield ProblemDiff(
                suite=pair.suite, task_id=task_id, change=change, baseline=before, candidate=after
            )


def _with_known(pairs: Sequence[SuiteComparison], by_label: Mapping[str, Model], filters: Filters) -> Filters:
    """Return the filters with problems as the runs spell them.

    Raises:
        UsageProblem: If a suite or problem stands nowhere: a slip would look as if nothing differed.
    """
    suites = list(dict.fromkeys(pair.suite for pair in pairs))
    for name in filters.suites:
        if name not in suites:
            raise UsageProblem(f"--suite {name!r}: none of that name was compared", suggestion(name, suites))
    sides = [(name, pair.suite) for pair in pairs for name in (pair.baseline, pair.candidate)]
    known = {task_id for name, suite in sides for task_id in by_label[name].suites[suite].tallies}
    task_ids = tuple(spelled(task_id, known) for task_id in filters.task_ids)
    for task_id in task_ids:
        if task_id not in known:
            near = near_task(task_id, known)
            hint = f"did you mean {near}?" if near else None
            raise UsageProblem(f"--task {task_id!r}: no run has such a problem", hint)
    return msgspec.structs.replace(filters, task_ids=task_ids)


def _refuse_unknown_tags(pairs: Sequence[SuiteComparison], filters: Filters, tags_of: TagsOf) -> None:
    if not filters.tags:
        return
    known = known_tags(
        tags
        for pair in pairs
        if not filters.suites or pair.suite in filters.suites
        for tags in tags_of(pair.suite, pair.suite_version).values()
    )
    for name, value in filters.tags:
        if f"{name}={value}" not in known:
            hint = "known: " + ", ".join(known[:40])
            raise UsageProblem(f"--tag {name}={value}: no problem has this tag", hint)


def _wanted(pair: SuiteComparison, filters: Filters, tags_of: TagsOf) -> Iterator[tuple[str, str]]:
    tags = tags_of(pair.suite, pair.suite_version) if filters.tags else {}
    for change, tasks in (("lost", pair.test.lost), ("gained", pair.test.gained)):
        if filters.change not in (None, change):
            continue
        for task_id in tasks:
            if filters.task_ids and task_id not in filters.task_ids:
                continue
            if all(tags.get(task_id, {}).get(name) == value for name, value in filters.tags):
                yield task_id, change


class _Answers:
    """The stored answers of one model on one suite, and what they come to by the rule that is compared by."""

    def __init__(self, model: Model, pair: SuiteComparison) -> None:
        self._name, self._check = model.label, pair.check
        path = model.suites[pair.suite].path
        if path is None:
            raise UsageProblem(
                f"{model.label} is a baseline file, which holds no programs",
                hint="name the run directory to see them",
            )
        self._verdicts: dict[str, list[Verdict]] = {}
        for verdict in read_verdicts(Path(path), read_scores(Path(path))):
            self._verdicts.setdefault(verdict.task_id, []).append(verdict)
        self._samples = _samples(Path(path))

    def of(self, task_id: str) -> Side:
        """Return what is shown of the answers to a problem."""
        verdicts = self._verdicts.get(task_id, [])
        if not verdicts:
            raise UsageProblem(f"{self._name} has no answer to {task_id}")
        names = [judged_by(verdict, self._check) for verdict in verdicts]
        at = next((number for number, name in enumerate(names) if name != "passed"), 0)
        shown = verdicts[at]
        sample = self._samples.get(shown.key)
        failure = shown.failure
        return Side(
            name=self._name,
            passed=f"{names.count('passed')}/{len(names)}",
            verdict=names[at] or shown.verdict,
            # What strict alone objects to is no detail of a verdict that passed.
            detail=shown.detail or (shown.evidence if names[at] != shown.verdict else ""),
            rule=shown.rule,
            n_tokens=sample.n_tokens if sample else None,
            finish_reason=sample.finish_reason if sample else None,
            first_failure=(
                f"input {failure.input}\nexpected {failure.expected}\nactual {failure.actual}"
                if failure
                else ""
            ),
            program=shown.solution,
        )


def _samples(path: Path) -> Mapping[SampleKey, Sample]:
    try:
        return {sample.key: sample for sample in jsonl.read(path / "samples.jsonl", Sample)}
    except DataFileError:
        return {}


def render(diffs: Sequence[ProblemDiff]) -> str:
    """Return the problems as text, the two programs in two columns."""
    if not diffs:
        return "no problem differs that passes the filters"
    return "\n".join(line for diff in diffs for line in [*_problem(diff), ""]).rstrip()


def _problem(diff: ProblemDiff) -> Iterator[str]:
    sides = (diff.baseline, diff.candidate)
    yield f"{diff.suite} {diff.task_id}: {diff.change.upper()} by {diff.candidate.name}"
    yield _columns(*(f"{side.name}: {side.verdict} ({side.passed} passed)" for side in sides))
    yield from _wrapped([side.detail for side in sides])
    yield from _wrapped([side.first_failure for side in sides])
    yield _columns(*(f"rule {side.rule}, {_tokens(side)}" for side in sides))
    yield _columns("-" * _WIDTH, "-" * _WIDTH)
    yield from _side_by_side(diff.baseline.program, diff.candidate.program)


def _tokens(side: Side) -> str:
    count = "tokens unknown" if side.n_tokens is None else f"{side.n_tokens} tokens"
    return f"{count}{', cut off at the limit' if side.finish_reason == 'length' else ''}"


def _wrapped(texts: Sequence[str]) -> Iterator[str]:
    columns = [
        [part for line in text.splitlines() for part in textwrap.wrap(line, _WIDTH) or [""]] for text in texts
    ]
    for index in range(max(map(len, columns))):
        yield _columns(*(column[index] if index < len(column) else "" for column in columns))


def _side_by_side(before: str, after: str) -> Iterator[str]:
    """Yield the lines of two programs, equal ones on one height; ``|`` marks those that differ."""
    left, right = before.splitlines(), after.splitlines()
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(a=left, b=right, autojunk=False).get_opcodes():
        for offset in range(max(i2 - i1, j2 - j1)):
            ours = left[i1 + offset] if i1 + offset < i2 else ""
            theirs = right[j1 + offset] if j1 + offset < j2 else ""
            yield _columns(ours, theirs, " " if tag == "equal" else "|")


def _columns(left: str, right: str, mark: str = " ") -> str:
    left, right = (spelled_out(side).expandtabs(4) for side in (left, right))
    shown = left if len(left) <= _WIDTH else left[: _WIDTH - 1] + "…"
    return f"{shown:<{_WIDTH}} {mark} {right}".rstrip()
