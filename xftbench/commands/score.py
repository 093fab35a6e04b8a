"""``xftbench score``: judge samples that exist, made here or elsewhere."""

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from xftbench.benchmarks import parse_suite
from xftbench.commands.models import open_run, refuse_infrastructure_errors, task_of, warn_of_cut_replies
from xftbench.commands.options import (
    DIRECTORY,
    PATH,
    cache_option,
    execution_options,
    extraction_option,
    json_option,
    no_cache_option,
    one_suite_options,
    outcomes_path,
    suite_request,
)
from xftbench.commands.origin import Origin, fill_in, generation_of, origin_of
from xftbench.commands.progress import ProgressView
from xftbench.commands.tables import scores_table
from xftbench.errors import UsageProblem
from xftbench.generation.replay import read_samples, samples_file
from xftbench.judge import Court
from xftbench.pipeline import evaluate, from_samples
from xftbench.plan import Suite, plan_suites, scoring_spec
from xftbench.prompts.presets import expand
from xftbench.reading import Reading, reading_of
from xftbench.records import Sample, Verdict
from xftbench.scoring.aggregate import Scores
from xftbench.store.run_dir import RunDir, ScoresFile
from xftbench.store.spec import RunSpec

_logger = logging.getLogger(__name__)


@click.command
@click.option(
    "--samples",
    "samples_path",
    type=PATH,
    required=True,
    help="samples.jsonl (ours or evalplus'), generations.json (bigcode), plain or .gz, or a directory that "
    "holds them; docs/scoring.md has every format.",
)
@click.option("--run-dir", type=DIRECTORY, required=True)
@click.option(
    "--style",
    help="How the completions were asked for.  [default: what the samples say; otherwise they are appended "
    "to the prompt as they are]",
)
@one_suite_options
@execution_options
@extraction_option
@cache_option
@no_cache_option
@json_option
def command(workers: int, no_cache: bool, cache_dir: Path, as_json: bool, **options: Any) -> None:
    """Judge samples; needs neither torch nor vllm.

    Of a run directory of ours the suite and its problems are known. A row's `completion` is read in the style
    that the row names; without one it is appended to its problem's prompt. A `solution` stands alone, as in
    evalplus. RUN_DIR/verdicts.jsonl then has one line per sample.
    """
    style = options.pop("style")
    path, run_dir = samples_file(options["samples_path"]), options["run_dir"]
    origin = origin_of(path)
    fill_in(origin, options)
    request = suite_request(options)
    _refuse_several(request.suites)
    (suite,) = plan_suites(request)
    samples = _selected(suite, read_samples(path, suite.data.answerable), path)
    reading = reading_of(suite, samples, style, options["extraction"], path)
    run, task = _open(suite, samples, origin, run_dir, reading), task_of(suite, reading)
    cache = outcomes_path(cache_dir, no_cache=no_cache)
    with (
        run as opened,
        Court(workers, suite.executor.isolation, cache) as court,
        ProgressView(path.name) as view,
    ):
        if not opened.is_complete():
            sampled = {sample.task_id for sample in samples}
            court.check(suite, [problem for problem in suite.problems if problem.task_id in sampled])
        scores_file = evaluate(task, from_samples(samples), opened, court.judge(suite), view)
    verdicts = list(opened.verdicts.values())
    if as_json:
        click.echo(_json(scores_file, suite, run_dir))
    else:
        click.echo(scores_table(scores_file, verdicts, suite, run_dir))
    _warn(scores_file.scores, suite)
    _warn_of_samples(verdicts, reading)
    warn_of_cut_replies(path.name, opened)
    refuse_infrastructure_errors({run_dir: scores_file})


def _refuse_several(words: Sequence[str]) -> None:
    """Say so before anything is looked for that one of several suites needs."""
    names = [parse_suite(selection.suite)[0].name for selection in expand(list(words))]
    if len(names) > 1:
        raise UsageProblem(
            f"score judges one suite at a time, and --suite names {', '.join(names)}",
            hint="give each suite a command and a --run-dir of its own",
        )


def _selected(suite: Suite, samples: Sequence[Sample], path: Path) -> list[Sample]:
    selected = set(suite.task_ids)
    kept = [sample for sample in samples if sample.task_id in selected]
    if not kept:
        raise UsageProblem(f"{path} has no sample of the problems that were selected")
    return kept


def _open(suite: Suite, samples: list[Sample], origin: Origin, run_dir: Path, reading: Reading) -> RunDir:
    generation, checkpoint, style = generation_of(origin, suite, samples, reading)
    spec = RunSpec(generation=generation, scoring=scoring_spec(suite, reading.extraction, reading.policy))
    return open_run(run_dir, spec, checkpoint, style)


def _json(scores_file: ScoresFile, suite: Suite, run_dir: Path) -> str:
    encoded = msgspec.to_builtins(scores_file) | {
        "run_dir": str(run_dir),
        "suite": suite.name,
        "suite_version": suite.data.version,
        "n_suite": len(suite.data.problems),
        "left_out": suite.left_out,
    }
    return msgspec.json.format(msgspec.json.encode(encoded), indent=2).decode()


def _warn_of_samples(verdicts: Sequence[Verdict], reading: Reading) -> None:
    """Say so if most samples are replies that are read as programs, or problems differ in their number."""
    fenced = sum(verdict.verdict == "compile_error" and "```" in verdict.solution for verdict in verdicts)
    if reading.policy == "strict" and 2 * fenced > len(verdicts):
        _logger.warning(
            "%d of %d samples have a fence (```) in what was taken as the program, and don't compile: "
            "if they are replies, --style chat or --extraction lenient takes the code out of them",
            fenced, len(verdicts),
        )  # fmt: skip
    n_of_task = Counter(verdict.task_id for verdict in verdicts).values()
    if len(set(n_of_task)) > 1:
        _logger.warning(
            "problems have %d to %d samples: n is the smallest number", min(n_of_task), max(n_of_task)
        )


def _warn(scores: Scores, suite: Suite) -> None:
    if scores.n_scored < scores.n_problems:
        _logger.warning(
            "%d of %d problems have no sample: the score is over the other %d, and the run can't enter a "
            "leaderboard",
            scores.n_problems - scores.n_scored, scores.n_problems, scores.n_scored,
        )  # fmt: skip
    if suite.left_out:
        _logger.warning("left out, because they can't be run here: %s", ", ".join(suite.left_out))
    if scores.n_problems < len(suite.data.problems):
        _logger.warning(
            "only %d of the %d problems of %s were selected: this is not the suite's score",
            scores.n_problems, len(suite.data.problems), suite.name,
        )  # fmt: skip
