"""``xftbench run``: from checkpoints to a leaderboard."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from xftbench.commands.models import (
    ModelRun,
    ModelsRequest,
    plan_models,
    refuse_infrastructure_errors,
    warn_of_cut_replies,
)
from xftbench.commands.options import (
    SpreadCommand,
    cache_option,
    execution_options,
    extraction_option,
    generation_options,
    json_option,
    leaderboards_option,
    no_cache_option,
    outcomes_path,
    suite_options,
    suite_request,
)
from xftbench.commands.progress import ProgressView
from xftbench.judge import Court
from xftbench.pipeline import evaluate
from xftbench.store.comparable import comparable_key
from xftbench.store.run_dir import ScoresFile, is_settled

_logger = logging.getLogger(__name__)


@click.command(cls=SpreadCommand)
@generation_options
@suite_options
@execution_options
@extraction_option
@cache_option
@no_cache_option
@leaderboards_option
@json_option
def command(
    workers: int, no_cache: bool, extraction: Any, leaderboards: Path, as_json: bool, **options: Any
) -> None:
    """Generate completions, execute them as they come, and write a leaderboard.

    A run that was interrupted goes on where it stopped when the same command is given again; one that is
    complete is only read. Each model is loaded once for all suites.
    """
    request = ModelsRequest(suites=suite_request(options), policy=extraction, **options)
    suites, models = plan_models(request)
    runs = [run for model in models for run in model.runs]
    results: dict[Path, ScoresFile] = {}
    cache = outcomes_path(request.cache_dir, no_cache=no_cache)
    with Court(workers, request.suites.isolation, cache) as court:
        for suite in suites:
            if not all(is_settled(run.path) for run in runs if run.suite is suite):
                _logger.info(
                    "%s: checking the known-good programs of %d problems", suite.name, len(suite.problems)
                )
                court.check(suite, suite.problems)
        for model in models:
            with model.loader:
                for run in model.runs:
                    results[run.path] = make_run(run, court)
    _report(request.out, runs, leaderboards, as_json=as_json)
    refuse_infrastructure_errors(results)


def make_run(run: ModelRun, court: Court) -> ScoresFile:
    """Bring a run to its end from wherever it stands."""
    with run.open() as run_dir, ProgressView(run.label) as view:
        if run_dir.is_complete():
            _logger.info("%s: already complete in %s", run.label, run.path)
        elif run_dir.samples:
            _logger.info(
                "%s: going on in %s with %d of %d samples",
                run.label, run.path, len(run_dir.samples), len(run.source.keys),
            )  # fmt: skip
        scores_file = evaluate(run.task, run.source, run_dir, court.judge(run.suite), view)
    counts = ", ".join(f"{count} {name}" for name, count in scores_file.scores.counts.items())
    _logger.info("%s: %s, in %s", run.label, counts, run.path)
    warn_of_cut_replies(run.label, run_dir)
    return scores_file


def _report(out: Path, runs: Sequence[ModelRun], leaderboards: Path, *, as_json: bool) -> None:
    """Write the suites' tables from all runs in `out`; print those that this command's runs are in."""
    # Not at the top: pandas takes longer to import than everything else here, and is needed last.
    from xftbench.report import leaderboard

    frame = leaderboard.build(leaderboard.find_runs(out))
    if not frame.empty:
        frame = frame[frame["suite"].isin({run.suite.name for run in runs})]
        paths = leaderboard.write(frame, leaderboards)
        _logger.info("tables: %s", ", ".join(str(path) for path in paths))
        frame = frame[frame["group"].isin({comparable_key(run.spec) for run in runs})]
    click.echo(leaderboard.as_json(frame) if as_json else leaderboard.markdown(frame, brief=True))
