"""``xftbench run``: from checkpoints to a leaderboard."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import click

from xftbench.commands.models import (
    ModelRun,
    ModelsRequest,
    plan_runs,
    refuse_infrastructure_errors,
)
from xftbench.commands.options import (
    SpreadCommand,
    execution_options,
    generation_options,
    json_option,
    leaderboards_option,
    suite_options,
)
from xftbench.commands.progress import ProgressView
from xftbench.execution.pool import Pool
from xftbench.pipeline import evaluate, preflight
from xftbench.records import Limits, SamplingParams
from xftbench.store.run_dir import ScoresFile

_logger = logging.getLogger(__name__)


def sampling_of(options: dict[str, Any]) -> SamplingParams:
    """Take the sampling options out of a command's options."""
    names = ("n", "temperature", "top_p", "max_new_tokens", "seed")
    return SamplingParams(**{name: options.pop(name) for name in names})


@click.command(cls=SpreadCommand)
@generation_options
@suite_options
@execution_options
@leaderboards_option
@json_option
def command(workers: int | None, leaderboards: Path, as_json: bool, **options: Any) -> None:
    """Generate completions, execute them as they come, and write a leaderboard.

    A run that was interrupted goes on where it stopped when the same command is given again; one that is
    complete is only read.
    """
    request = ModelsRequest(sampling=sampling_of(options), **options)
    suite, runs = plan_runs(request)
    with Pool(workers or os.cpu_count() or 1, Limits(), request.isolation) as pool:
        _logger.info("checking the canonical solutions of %d problems", len(suite.problems))
        started = time.monotonic()
        preflight(suite.benchmark, suite.problems, pool)
        _logger.info("all %d pass (%.1f s)", len(suite.problems), time.monotonic() - started)
        results = [(run, _make(run, pool)) for run in runs]
    _report(request.out, [run for run, _ in results], leaderboards, as_json=as_json)
    refuse_infrastructure_errors({run.path: scores_file for run, scores_file in results})


def _make(run: ModelRun, pool: Pool) -> ScoresFile:
    with run.open() as run_dir, ProgressView(run.checkpoint.name) as view:
        if run_dir.is_complete():
            _logger.info("%s: already complete in %s", run.checkpoint.name, run.path)
        elif run_dir.samples:
            _logger.info(
                "%s: going on in %s with %d of %d samples",
                run.checkpoint.name, run.path, len(run_dir.samples), len(run.source.keys),
            )  # fmt: skip
        scores_file = evaluate(run.task, run.source, run_dir, pool, view)
    counts = ", ".join(f"{count} {name}" for name, count in scores_file.scores.counts.items())
    _logger.info("%s: %s, in %s", run.checkpoint.name, counts, run.path)
    return scores_file


def _report(out: Path, runs: list[ModelRun], leaderboards: Path, *, as_json: bool) -> None:
    """Write the suite's tables from all runs in `out`; print those that this command's runs are in."""
    # Not at the top: pandas takes longer to import than everything else here, and is needed last.
    from xftbench.report import leaderboard

    frame = leaderboard.build(leaderboard.find_runs(out))
    if not frame.empty:
        frame = frame[frame["suite"] == runs[0].task.benchmark.name]
        paths = leaderboard.write(frame, leaderboards)
        _logger.info("tables: %s", ", ".join(str(path) for path in paths))
        frame = frame[frame["group"].isin({leaderboard.comparable_key(run.spec) for run in runs})]
    click.echo(leaderboard.as_json(frame) if as_json else leaderboard.markdown(frame))
