"""Scores on the problems that the training data gives away, and on the others.

Overlap is what `xft data` takes for it: half of a description's or solution's runs of ten words, or a
function with the same statements, names aside. Only Python is compared by syntax tree. What can't be compared
with its training data is said to be unknown, never clean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
import pandas as pd

from xft.data import read_rows
from xft.decontaminate import BenchmarkProblem, decontaminate
from xft.errors import XftError
from xftbench.benchmarks.clusters import clusters_of
from xftbench.errors import DataFileError
from xftbench.records import Problem
from xftbench.report.formats import markdown_table, percent
from xftbench.report.page import Block, Section
from xftbench.report.runs import Run, Table
from xftbench.scoring.aggregate import score_at

_INTRO = (
    "A problem overlaps if the tuning data holds half of the ten-word runs of its description or solution, "
    "or a function with the same statements, names aside. A score that is much higher on overlapping "
    "problems, for models tuned on them alone, is memory rather than skill. What a base was trained on is "
    "not known here."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlaps:
    """What the training data of a model gives away of a suite."""

    given_away: frozenset[str]
    """task_ids."""
    data: tuple[str, ...]
    """What was compared."""
    how: Mapping[str, str]
    """task_id → the first row that gives it away, and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Why nothing can be said."""

    reason: str


def training_data(run: Run) -> tuple[str, ...] | Unknown:
    """Return the training data that the lineage of a run's checkpoint names, all stages together."""
    facts = run.spec_file.environment.model
    if facts is None or facts.stage is None:
        return Unknown(reason="no lineage: it is not known what it was trained on")
    if not facts.is_line_known:
        return Unknown(reason=f"its lineage is broken: {facts.unknown}")
    trained = [step for step in facts.line if step.stage in ("sft", "train", "mixing")]
    if not trained:
        return Unknown(reason="nothing was tuned, and what its base was trained on is not known here")
    if any(not step.data for step in trained):
        return Unknown(reason="its lineage does not name the training data")
    return tuple(dict.fromkeys(step.data for step in trained))


def overlaps(run: Run, table: Table, named: Sequence[str]) -> Overlaps | Unknown:
    """Compare a table's problems with a model's training data.

    Args:
        run: The model's run.
        table: With its problems.
        named: Training data that the user names in the place of the lineage's.

    Raises:
        DataFileError: If data that the user named can't be read.
    """
    data = tuple(named) or training_data(run)
    if isinstance(data, Unknown):
        return data
    if not table.problems:
        return Unknown(reason="the benchmark's problems are not at hand")
    problems = tuple(
        _wanted(table.problems[task_id]) for task_id in table.task_ids if task_id in table.problems
    )
    how: dict[str, str] = {}
    for ref in data:
        try:
            found = _compare(ref, problems)
        except XftError as error:
            if named:
                raise DataFileError(f"--training-data {ref}: {error.message}", hint=error.hint) from error
            return Unknown(reason=f"training data {ref} can't be read: {error.message}")
        for task_id, reason in found.items():
            how.setdefault(task_id, reason)
    return Overlaps(given_away=frozenset(how), data=data, how=how)


def _wanted(problem: Problem) -> BenchmarkProblem:
    """Return what must not be in training data: description and solution, as far as the suite has one."""
    fields = msgspec.structs.asdict(problem)
    solution = str(fields.get("canonical_solution") or fields.get("reference") or "")
    whole = problem.prompt + solution if problem.entry_point and solution else solution
    return BenchmarkProblem(problem.task_id, problem.prompt, whole)


@cache
def _compare(ref: str, problems: tuple[BenchmarkProblem, ...]) -> dict[str, str]:
    _, report = decontaminate(read_rows(ref), problems)
    return {
        overlap.task_id: f"{Path(ref).name}, row {overlap.line}: {overlap.how}"
        for overlap in reversed(report.overlaps)
    }


def strata(table: Table, run: Run, given_away: frozenset[str]) -> dict[str, dict[str, float]]:
    """Return pass@1 with its interval on overlapping and on clean problems, where there are some."""
    found = {}
    for name, chosen in (("overlapping", True), ("clean", False)):
        members = {
            task_id: run.tally(task_id) for task_id in table.task_ids if (task_id in given_away) == chosen
        }
        tallies = {task_id: tally for task_id, tally in members.items() if tally[0]}
        if tallies:
            score = score_at(1, tallies, clusters_of(table.suite))
            found[name] = {
                "n_problems": len(tallies),
                "pass@1": score.value,
                "pass@1_low": score.low,
                "pass@1_high": score.high,
            }
    return found


def frame(tables: Sequence[Table], named: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row per run, training data and stratum.

    Every model is scored on the strata of every training data, so that one that never saw a problem shows
    how hard it is.

    Columns: ``suite``, ``group``, ``model``, ``data`` (that the strata are of), ``is_tuned_on`` (whether the
    model was; blank if unknown), ``stratum`` (``overlapping``, ``clean`` or ``unknown``), ``n_problems``,
    ``pass@1``, ``pass@1_low``, ``pass@1_high``, ``reason`` (of ``unknown``).
    """
    rows: list[dict[str, object]] = []
    for table in tables:
        by_data: dict[tuple[str, ...], tuple[Overlaps, set[str]]] = {}
        unknown = set()
        for run in table.runs:
            found = overlaps(run, table, named)
            if isinstance(found, Unknown):
                unknown.add(run.name)
                rows.append(_row(table, run, stratum="unknown", reason=found.reason))
            else:
                by_data.setdefault(found.data, (found, set()))[1].add(run.name)
        for data, (found, tuned) in by_data.items():
            for run in table.runs:
                is_tuned = None if named or run.name in unknown else run.name in tuned
                known = {"data": ", ".join(data), "is_tuned_on": is_tuned}
                rows += [
                    _row(table, run, stratum=stratum, **known, **values)
                    for stratum, values in strata(table, run, found.given_away).items()
                ]
    return pd.DataFrame(rows)


def _row(table: Table, run: Run, **values: object) -> dict[str, object]:
    return {"suite": table.suite, "group": table.group, "model": run.name, **values}


def section(tables: Sequence[Table], named: Sequence[str] = ()) -> Section | None:
    """Return the contamination part of a report; None if no table has a run."""
    found = frame(tables, named)
    if found.empty:
        return None
    return Section(
        id="contamination",
        title="Contamination",
        intro=_INTRO,
        blocks=[
            block for table in tables for block in _blocks(table.label, found[found["group"] == table.group])
        ],
    )


def text(tables: Sequence[Table], found: pd.DataFrame) -> str:
    """Return the rows of `frame` as a terminal shows them."""
    parts = []
    for table in tables:
        for block in _blocks(table.label, found[found["group"] == table.group]):
            parts += [part for part in (block.title, *block.notes) if part]
            if block.frame is not None:
                parts.append(markdown_table(block.frame))
    return "\n\n".join(parts)


def _blocks(title: str, rows: pd.DataFrame) -> list[Block]:
    unknown = rows[rows["stratum"] == "unknown"]
    notes = [
        f"{', '.join(models)}: unknown; {reason}." for reason, models in unknown.groupby("reason")["model"]
    ] if not unknown.empty else []  # fmt: skip
    known = rows[rows["stratum"] != "unknown"]
    blocks = [
        Block(title=f"{title} · against {data}", notes=[_overlap_note(of_data)], frame=_table(of_data))
        for data, of_data in known.groupby("data", sort=False)
    ] if not known.empty else []  # fmt: skip
    return [*blocks, Block(title="" if blocks else title, notes=notes)] if notes else blocks


def _overlap_note(rows: pd.DataFrame) -> str:
    counts = rows.groupby("stratum")["n_problems"].max()
    overlapping, clean = int(counts.get("overlapping", 0)), int(counts.get("clean", 0))
    return f"{overlapping} of {overlapping + clean} problems overlap."


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    lines = []
    for model, of_model in rows.groupby("model", sort=False):
        tuned = of_model["is_tuned_on"].iloc[0]
        line = {"model": str(model)}
        if rows["is_tuned_on"].notna().any():
            line["tuned on it"] = "unknown" if pd.isna(tuned) else "yes" if tuned else "no"
        for stratum in ("overlapping", "clean"):
            found = of_model[of_model["stratum"] == stratum]
            line[f"{stratum}, pass@1"] = (
                "no such problem" if found.empty else percent(found["pass@1"].iloc[0])
            )
            line[f"{stratum}, 95 %"] = "" if found.empty else (
                f"{percent(found['pass@1_low'].iloc[0])} to {percent(found['pass@1_high'].iloc[0])}"
            )  # fmt: skip
        lines.append(line)
    return pd.DataFrame(lines)
