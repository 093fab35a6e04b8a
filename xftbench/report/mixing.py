"""What merging did: how far the shares moved from equal ones, and the score along a sweep of λ."""

import math
from collections.abc import Sequence
from statistics import fmean

import pandas as pd
from matplotlib import figure as mpl

from xftbench.report.comparison import Comparison, SuiteComparison
from xftbench.report.formats import percent
from xftbench.report.page import Block, Figure, Section, slug
from xftbench.report.plots import lines
from xftbench.report.runs import Run, Table

_LEAST_POINTS = 3
_AXIS = "λ, weight of the shared expert"
_SWEEP_NOTE = (
    "Bands are 95 % intervals: on the left of each score, on the right of the paired difference to the "
    "baseline. Of many λ the best one looks better than it is: choose by a band, not by a peak."
)
_INTRO = (
    "λ is the shared expert's weight in the merge; the rest is divided among the routed experts, by learned "
    "shares or equally."
)


def shares_of(run: Run) -> tuple[tuple[float, ...], ...]:
    """Return how much of each expert is in a merge, per layer; nothing for what is no merge."""
    facts = run.spec_file.environment.model
    return facts.shares if facts else ()


def shared_weight(run: Run) -> float | None:
    """Return λ if it is the same in every layer."""
    found = {round(layer[0], 9) for layer in shares_of(run)}
    return found.pop() if len(found) == 1 else None


def movement(shares: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Return, per layer, how far the shares of the routed experts are from equal ones.

    Columns: ``layer``, ``shared_weight`` (λ), ``largest_change`` (of a share, relative to an equal one; 0 if
    none moved), ``entropy`` (of the shares, over the most it can be; 1 if none moved).
    """
    return pd.DataFrame([_layer(number, layer) for number, layer in enumerate(shares)])


def _layer(number: int, layer: Sequence[float]) -> dict[str, float]:
    routed = layer[1:]
    total = math.fsum(routed)
    if total <= 0 or len(routed) < 2:
        return {"layer": number, "shared_weight": layer[0], "largest_change": 0.0, "entropy": 1.0}
    shares = [share / total for share in routed]
    entropy = -sum(share * math.log(share) for share in shares if share > 0) / math.log(len(shares))
    return {
        "layer": number,
        "shared_weight": layer[0],
        "largest_change": max(abs(share * len(shares) - 1) for share in shares),
        "entropy": entropy,
    }


def sweep(table: Table) -> list[list[Run]]:
    """Return the merges of each mixture that differ in λ, by λ; only those with enough for a line."""
    mixtures: dict[str, dict[float, Run]] = {}
    for run in table.runs:
        facts, weight = run.spec_file.environment.model, shared_weight(run)
        if facts is not None and weight is not None:
            mixtures.setdefault(facts.merged_from, {}).setdefault(weight, run)
    return [
        [runs[weight] for weight in sorted(runs)] for runs in mixtures.values() if len(runs) >= _LEAST_POINTS
    ]


def section(tables: Sequence[Table], comparison: Comparison | None) -> Section | None:
    """Return the part of a report on merges; None if no run is of one."""
    blocks = [_sweep_block(table, runs, comparison) for table in tables for runs in sweep(table)]
    seen: set[str] = set()
    for run in (run for table in tables for run in table.runs):
        if shares_of(run) and run.spec.generation.checkpoint_sha256 not in seen:
            seen.add(run.spec.generation.checkpoint_sha256)
            if (block := _movement_block(run)) is not None:
                blocks.append(block)
    if not blocks and not seen:
        return None
    if not blocks:
        blocks = [Block(notes=("No merge here learned its shares: they are equal in every layer.",))]
    return Section(
        id="mixing",
        title="Merging",
        intro=_INTRO,
        blocks=blocks,
    )


def _sweep_block(table: Table, runs: Sequence[Run], comparison: Comparison | None) -> Block:
    points = [
        (run, weight, score)
        for run in runs
        if (weight := shared_weight(run)) is not None and (score := run.scores_file.scores.at(1)) is not None
    ]
    weights = [weight for _, weight, _ in points]
    frame = pd.DataFrame(
        {
            "model": run.name,
            "λ": f"{weight:g}",
            "pass@1": percent(score.value),
            "95 %": f"{percent(score.low)} to {percent(score.high)}",
        }
        for run, weight, score in points
    )
    drawn = lines(
        [("merges", weights, [100 * score.value for _, _, score in points])],
        title="Score along λ", x=_AXIS, y="pass@1, %",
        bands=[([100 * score.low for _, _, score in points], [100 * score.high for _, _, score in points])],
    )  # fmt: skip
    name = f"{slug(table)}-{runs[0].spec_file.run_id}"
    figures = [Figure(name=f"lambda-{name}", figure=drawn)]
    own = {(run.name, run.spec_file.run_id) for run in runs}
    pairs = {
        pair.candidate: pair
        for pair in (comparison.pairs if comparison else ())
        if (pair.candidate, pair.candidate_run) in own
    }
    compared = [(weight, pairs[run.name]) for run, weight, _ in points if run.name in pairs]
    if len(compared) >= _LEAST_POINTS:
        figures.append(Figure(name=f"lambda-difference-{name}", figure=_differences(compared)))
        frame["points"] = [_points(pairs.get(model)) for model in frame["model"]]
        frame["finding"] = [pairs[model].finding if model in pairs else "" for model in frame["model"]]
    return Block(title=f"λ sweep · {table.label}", notes=(_SWEEP_NOTE,), frame=frame, figures=figures)


def _differences(compared: Sequence[tuple[float, SuiteComparison]]) -> mpl.Figure:
    """Draw the paired difference along λ: where its band leaves zero out, it is significant on its own."""
    weights = [weight for weight, _ in compared]
    tests = [pair.test for _, pair in compared]
    baseline = compared[0][1].baseline
    return lines(
        [(f"merges against {baseline}", weights, [100 * test.difference for test in tests]),
         (baseline, weights, [0.0] * len(weights))],
        title="Paired difference along λ", x=_AXIS, y="points",
        bands=[([100 * test.low for test in tests], [100 * test.high for test in tests])],
    )  # fmt: skip


def _points(pair: SuiteComparison | None) -> str:
    if pair is None:
        return ""
    test = pair.test
    return f"{100 * test.difference:+.1f} ({100 * test.low:+.1f} to {100 * test.high:+.1f})"


def _movement_block(run: Run) -> Block | None:
    frame = movement(shares_of(run))
    if frame["largest_change"].max() < 1e-6:
        return None
    layers = list(frame["layer"])
    drawn = lines(
        [("largest change", layers, list(100 * frame["largest_change"]))],
        title="How far the shares moved", x="layer", y="from an equal share, %", markers=False,
    )  # fmt: skip
    note = (
        f"Shares moved by up to {percent(frame['largest_change'].max())} of an equal one (mean over layers "
        f"{percent(fmean(frame['largest_change']))}); their entropy is {frame['entropy'].mean():.4f} of the "
        "most it can be. Less than a few per cent means that the merge is all but an average."
    )
    return Block(
        title=f"{run.name}: learned shares",
        notes=(note,),
        figures=[Figure(name=f"shares-{run.name}-{run.spec_file.run_id}", figure=drawn)],
    )
