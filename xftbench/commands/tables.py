"""Scores as text for a terminal of 80 columns: the score, its other rules, and its parts."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean

from xftbench.benchmarks.clusters import clusters_of, counted_as
from xftbench.plan import Suite
from xftbench.records import Verdict
from xftbench.scoring.aggregate import PassAtK, Scores, Stratum
from xftbench.store.results import PLUS_ALONE
from xftbench.store.run_dir import ScoresFile

_SHOWN = 10


def scores_table(scores_file: ScoresFile, verdicts: Sequence[Verdict], suite: Suite, run_dir: Path) -> str:
    """Return what `score` prints."""
    scores, timings = scores_file.scores, scores_file.timings
    part = "" if scores.n_problems == len(suite.data.problems) else f" selected of {len(suite.data.problems)}"
    lines = [*_pass_at(scores), *_checks(scores, verdicts), *_strata(scores)]
    lines += [""] * bool(lines and lines[-1]) + [
        f"{count:>6} {name}" for name, count in scores.counts.items()
    ]
    lines.append(f"{scores.n_samples} samples of {scores.n_scored} of {scores.n_problems} problems{part}")
    lines += _counted(suite.benchmark.name, verdicts)
    if suite.left_out:
        lines.append(f"LEFT OUT, can't be judged here: {', '.join(suite.left_out)}")
    if timings.n_repeated or timings.n_cached:
        lines.append(
            f"{timings.n_executed} programs executed, {timings.n_repeated} samples repeated one, "
            f"{timings.n_cached} were known"
        )
    lines.append(f"verdicts: {run_dir / 'verdicts.jsonl'}")
    return "\n".join(lines)


def _counted(suite: str, verdicts: Sequence[Verdict]) -> Iterator[str]:
    scored = {verdict.task_id for verdict in verdicts if verdict.verdict != "infrastructure_error"}
    if counted := counted_as(suite, len(scored), len(set(map(clusters_of(suite), scored)))):
        yield f"in the intervals they are {counted}"


def _pass_at(scores: Scores) -> Iterator[str]:
    for score in scores.pass_at:
        yield f"pass@{score.k} (n={score.n}): {_interval(score)}"


def _interval(score: PassAtK) -> str:
    return f"{100 * score.value:.1f} %   95 % interval {100 * score.low:.1f} to {100 * score.high:.1f} %"


def _checks(scores: Scores, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the score by each rule side by side, where the suite has several, and where they differ."""
    if not scores.checks:
        return
    # What a plus suite publishes is both parts together; its `plus` is only the added inputs.
    rules = {"published": scores.pass_at} | {
        PLUS_ALONE if name == "plus" else name: by_rule for name, by_rule in scores.checks.items()
    }
    widths = [max(10, len(name) + 2) for name in rules]
    yield ""
    yield f"{'by rule':<24}" + "".join(f"{name:>{width}}" for name, width in zip(rules, widths, strict=True))
    for k in [score.k for score in scores.pass_at]:
        values = [next((s.value for s in by_rule if s.k == k), None) for by_rule in rules.values()]
        cells = zip(values, widths, strict=True)
        yield f"{f'pass@{k}':<24}" + "".join(f"{_percent(value):>{width}}" for value, width in cells)
    yield from _differing(verdicts)


def _differing(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield the samples on which a closed hole makes a difference."""
    found = [
        v for v in verdicts if v.strict is not None and (v.strict == "passed") != (v.verdict == "passed")
    ]
    if not found:
        yield "strict differs on no sample"
        return
    yield f"strict differs on {len(found)} samples:"
    for verdict in found[:_SHOWN]:
        yield (
            f"  {verdict.task_id}, sample {verdict.sample_index}: {verdict.verdict}, strict {verdict.strict}"
        )
    if len(found) > _SHOWN:
        yield f"  and {len(found) - _SHOWN} more (verdicts.jsonl has them)"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _strata(scores: Scores) -> Iterator[str]:
    for tag, group in groupby(scores.strata, key=lambda stratum: stratum.tag):
        strata = [stratum for stratum in group if stratum.pass_at]
        if len(strata) < 2:
            continue
        yield ""
        yield from _tag_table(tag, strata)


def _tag_table(tag: str, strata: Sequence[Stratum]) -> Iterator[str]:
    ks = sorted({score.k for stratum in strata for score in stratum.pass_at})
    width = max(len("problem-weighted average"), len(tag), *(len(stratum.value) for stratum in strata))
    yield f"{tag:<{width}} {'problems':>9}" + "".join(f"{f'pass@{k}':>10}" for k in ks)
    values = [{score.k: score.value for score in stratum.pass_at} for stratum in strata]
    weights = [stratum.n_problems for stratum in strata]
    for stratum, row in zip(strata, values, strict=True):
        yield _row(stratum.value, width, stratum.n_problems, [row.get(k) for k in ks])
    # A k that one of them has too few samples for has no average.
    columns = [[row[k] for row in values] if all(k in row for row in values) else None for k in ks]
    macro = [fmean(column) if column else None for column in columns]
    weighted = [fmean(column, weights) if column else None for column in columns]
    yield _row("macro average", width, sum(weights), macro)
    yield _row("problem-weighted average", width, sum(weights), weighted)


def _row(name: str, width: int, n_problems: int, values: Sequence[float | None]) -> str:
    return f"{name:<{width}} {n_problems:>9}" + "".join(f"{_percent(value):>10}" for value in values)
