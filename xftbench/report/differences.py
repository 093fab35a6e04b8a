"""Every model of every table against the baseline, with what `xftbench compare` says about it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pandas as pd

from xftbench.report.comparison import Comparison, Settings, SuiteComparison, compare, finding
from xftbench.report.comparison_text import FINDINGS, headline
from xftbench.report.page import Block, Figure, Sentence, slug
from xftbench.report.plots import color_of, intervals, shortened
from xftbench.report.runs import Run, Table, names_of
from xftbench.scoring.paired import holm
from xftbench.store.noise import NoiseCertificate, read_certificates
from xftbench.store.results import Model, Results

_CALLS = {"better": "better", "worse": "worse", "equivalent": "equivalent"}


def certificates_beside(runs: Sequence[Run]) -> list[NoiseCertificate]:
    """Return the noise that was measured into the folders that the runs are in."""
    folders: dict[Path, None] = dict.fromkeys(run.path.parent / "noise" for run in runs)
    return [certificate for folder in folders for certificate in read_certificates(folder)]


def against(
    tables: Sequence[Table], baseline: str, certificates: Sequence[NoiseCertificate]
) -> Comparison | None:
    """Compare within each table, and adjust over all of them; None if nothing can be compared."""
    found = [
        compare(
            [Model(label=run.name, suites={table.suite: _results(table, run)}) for run in table.runs],
            baseline,
            Settings(allow=table.runs[0].allow),
            certificates,
        )
        for table in tables
        if len(table.runs) > 1 and table.run_of(baseline) is not None
    ]
    pairs = [pair for comparison in found for pair in comparison.pairs]
    if not pairs:
        return None
    question = found[0].question
    adjusted = zip(
        pairs,
        holm([pair.test.p_value for pair in pairs]),
        holm([pair.test.equivalence_p for pair in pairs]),
        strict=True,
    )
    pairs = [msgspec.structs.replace(pair, p_adjusted=p, equivalence_adjusted=q) for pair, p, q in adjusted]
    judged = tuple(msgspec.structs.replace(pair, finding=finding(pair, question.alpha)) for pair in pairs)
    return msgspec.structs.replace(found[0], pairs=judged, not_paired=())


def _results(table: Table, run: Run) -> Results:
    tallies = {task_id: run.tally(task_id) for task_id in table.task_ids}
    return Results(
        name=run.name,
        run_id=run.spec_file.run_id,
        spec=run.spec,
        style=run.spec_file.style,
        is_complete=True,
        tallies={task_id: tally for task_id, tally in tallies.items() if tally[0]},
        checks={},
        path=str(run.path),
    )


def columns(comparison: Comparison | None) -> pd.DataFrame:
    """Return the leaderboard's columns about differences, by ``model`` and ``run``.

    Columns: ``baseline``, ``difference``, ``difference_low``, ``difference_high``, ``p_value`` (of this
    comparison alone), ``p_adjusted`` (by Holm over all), ``noise_floor``, ``finding``, ``gained``, ``lost``.
    """
    return pd.DataFrame(
        [_row(pair) for pair in comparison.pairs] if comparison else [],
        columns=["model", "run", "baseline", "difference", "difference_low", "difference_high", "p_value",
                 "p_adjusted", "noise_floor", "finding", "gained", "lost"],
    )  # fmt: skip


def _row(pair: SuiteComparison) -> dict[str, object]:
    return {
        "model": pair.candidate,
        "run": pair.candidate_run,
        "baseline": pair.baseline,
        "difference": pair.test.difference,
        "difference_low": pair.test.low,
        "difference_high": pair.test.high,
        "p_value": pair.test.p_value,
        "p_adjusted": pair.p_adjusted,
        "noise_floor": pair.noise_floor,
        "finding": pair.finding,
        "gained": len(pair.test.gained),
        "lost": len(pair.test.lost),
    }


def sentences(tables: Sequence[Table], comparison: Comparison | None) -> list[Sentence]:
    """Return what a reader without statistics should take from the comparisons."""
    if comparison is None:
        return []
    of_run = {
        run.spec_file.run_id: name
        for table, name in zip(tables, names_of(tables), strict=True)
        for run in table.runs
    }
    return [
        Sentence(call=_CALLS.get(pair.finding, "unclear"),
                 text=f"{of_run[pair.candidate_run]}: {headline(pair, comparison)}.")
        for pair in comparison.pairs
    ]  # fmt: skip


def blocks(tables: Sequence[Table], comparison: Comparison | None) -> list[Block]:
    """Return a forest plot and a table for each table with comparisons."""
    if comparison is None:
        return []
    found = []
    for table in tables:
        own = {run.spec_file.run_id for run in table.runs}
        pairs = [pair for pair in comparison.pairs if pair.candidate_run in own]
        if pairs:
            found.append(_block(table, pairs))
    return found


def _block(table: Table, pairs: Sequence[SuiteComparison]) -> Block:
    names = [run.name for run in table.runs]
    drawn = intervals(
        [pair.candidate for pair in pairs],
        [(100 * pair.test.difference, 100 * pair.test.low, 100 * pair.test.high) for pair in pairs],
        [color_of(names.index(pair.candidate)) for pair in pairs],
        unit=f"points against {shortened([pairs[0].baseline])[0]}, with 95 % interval",
        zero=True,
        notes=[f"+{len(pair.test.gained)} / -{len(pair.test.lost)}" for pair in pairs],
    )
    frame = pd.DataFrame(
        {
            "model": pair.candidate,
            "points": f"{100 * pair.test.difference:+.1f}",
            "95 %": f"{100 * pair.test.low:+.1f} to {100 * pair.test.high:+.1f}",
            "gained": str(len(pair.test.gained)),
            "lost": str(len(pair.test.lost)),
            "p": f"{pair.test.p_value:.3g}",
            "p, all questions counted": f"{pair.p_adjusted:.3g}",
            "noise floor": "not measured" if pair.noise_floor is None else f"{100 * pair.noise_floor:.1f}",
            "finding": FINDINGS[pair.finding],
        }
        for pair in pairs
    )
    name = f"differences-{slug(table)}"
    return Block(title=table.label, frame=frame, figures=[Figure(name=name, figure=drawn)])
