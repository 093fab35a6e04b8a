"""From run directories to what a report shows: shared by the commands that make pages and tables."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xftbench.benchmarks import parse_suite
from xftbench.errors import StoreError, XftbenchError
from xftbench.records import Problem
from xftbench.report import contamination, differences, leaderboard, mixing, published, routing
from xftbench.report.page import Content
from xftbench.report.runs import Table, expand, find_baseline, into_tables, read_runs
from xftbench.store.comparable import check_allowed

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """The options of ``xftbench report`` that decide what is on the page."""

    baseline: str | None
    published_dir: Path | None
    title: str
    data_dir: Path | None
    max_mb: float
    training_data: Sequence[str]
    allow: Sequence[str]


def build(paths: Sequence[Path], options: ReportOptions) -> Content:
    """Return everything that a page about some runs shows.

    Raises:
        StoreError: If none of the runs is complete.
        UsageProblem: If the baseline is not among the models.
    """
    found = expand(paths)
    check_allowed(options.allow)
    runs = read_runs(found, options.allow)
    if not runs:
        raise StoreError(
            f"none of the {len(found)} runs is complete",
            hint="give the commands that made them again; they go on where they stopped",
        )
    chosen = find_baseline(runs, options.baseline)
    tables = [replace(table, problems=problems_of(table, options.data_dir)) for table in into_tables(runs)]
    compared = differences.against(tables, chosen, differences.certificates_beside(runs))
    notes = []
    if len(runs) < len(found):
        n_left_out = len(found) - len(runs)
        notes.append(f"{n_left_out} of {len(found)} runs are incomplete or can't be read: they are left out.")
    return Content(
        tables=tables,
        frame=leaderboard.from_runs(runs, chosen),
        baseline=chosen,
        sections=[
            section
            for section in (
                contamination.section(tables, options.training_data),
                routing.section(tables),
                mixing.section(tables, compared),
            )
            if section is not None
        ],
        published=_published(options.published_dir, tables),
        title=options.title,
        sentences=differences.sentences(tables, compared),
        differences=differences.blocks(tables, compared),
        notes=notes,
        max_bytes=int(options.max_mb * 1e6),
    )


def _published(directory: Path | None, tables: Sequence[Table]) -> Any:
    if directory is None:
        return None
    found = published.relevant(published.read(directory), [table.suite for table in tables])
    return None if found.empty else found


def problems_of(table: Table, data_dir: Path | None) -> Mapping[str, Problem]:
    """Return a table's problems by task_id; none, with a warning, where the benchmark's data isn't here."""
    scoring = table.runs[0].spec.scoring
    try:
        benchmark, version = parse_suite(f"{scoring.suite}@{scoring.suite_version}")
        data = benchmark.load(version, data_dir)
    except XftbenchError as error:
        _logger.warning("%s: shown without the problems' texts and tags: %s", scoring.suite, error.message)
        return {}
    if data.sha256 != scoring.data_sha256:
        _logger.warning(
            "%s: the data here is not what was run: shown without the problems' texts", scoring.suite
        )
        return {}
    return {problem.task_id: problem for problem in data.problems}
