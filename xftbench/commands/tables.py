"""Scores as text for a terminal of 80 columns: the score, its other rules, and its parts."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean

from xftbench.plan import Suite
from xftbench.scoring.aggregate import PassAtK, Scores, Stratum
from xftbench.store.run_dir import ScoresFile


def scores_table(scores_file: ScoresFile, suite: Suite, run_dir: Path) -> str:
    """Return what `score` prints."""
    scores, timings = scores_file.scores, scores_file.timings
    part = "" if scores.n_problems == len(suite.data.problems) else f" selected of {len(suite.data.problems)}"
    lines = [*_pass_at(scores), *_checks(scores), *_strata(scores)]
    lines += [f"{count:>6} {name}" for name, count in scores.counts.items()]
    lines.append(f"{scores.n_samples} samples of {scores.n_scored} of {scores.n_problems} problems{part}")
    if suite.left_out:
        lines.append(f"LEFT OUT, can't be judged here: {', '.join(suite.left_out)}")
    if timings.n_repeated or timings.n_cached:
        lines.append(
            f"{timings.n_executed} programs executed, {timings.n_repeated} samples repeated one, "
            f"{timings.n_cached} were known"
        )
    lines.append(f"verdicts: {run_dir / 'verdicts.jsonl'}")
    return "\n".join(lines)


def _pass_at(scores: Scores) -> Iterator[str]:
    for score in scores.pass_at:
        yield f"pass@{score.k} (n={score.n}): {_interval(score)}"


def _interval(score: PassAtK) -> str:
    return f"{100 * score.value:.1f} %   95 % interval {100 * score.low:.1f} to {100 * score.high:.1f} %"


def _checks(scores: Scores) -> Iterator[str]:
    """Yield the score by each rule, where the suite has several; `plus` is the score itself."""
    for name, by_rule in scores.checks.items():
        for score in by_rule:
            yield f"  {name:<7} pass@{score.k}  {_interval(score)}"


def _strata(scores: Scores) -> Iterator[str]:
    for tag, group in groupby(scores.strata, key=lambda stratum: stratum.tag):
        strata = [stratum for stratum in group if stratum.pass_at]
        if len(strata) < 2:
            continue
        yield ""
        yield from _tag_table(tag, strata)
    if scores.strata:
        yield ""


def _tag_table(tag: str, strata: Sequence[Stratum]) -> Iterator[str]:
    ks = [score.k for score in strata[0].pass_at]
    width = max(len("problem-weighted average"), len(tag), *(len(stratum.value) for stratum in strata))
    yield f"{tag:<{width}} {'problems':>9}" + "".join(f"{f'pass@{k}':>10}" for k in ks)
    for stratum in strata:
        yield _row(stratum.value, width, stratum.n_problems, [score.value for score in stratum.pass_at])
    columns = [
        [stratum.pass_at[i].value for stratum in strata if i < len(stratum.pass_at)] for i in range(len(ks))
    ]
    weights = [stratum.n_problems for stratum in strata]
    n_problems = sum(weights)
    yield _row("macro average", width, n_problems, [fmean(column) for column in columns])
    weighted = [fmean(column, weights[: len(column)]) for column in columns]
    yield _row("problem-weighted average", width, n_problems, weighted)


def _row(name: str, width: int, n_problems: int, values: Sequence[float]) -> str:
    return f"{name:<{width}} {n_problems:>9}" + "".join(f"{f'{100 * value:.1f} %':>10}" for value in values)
