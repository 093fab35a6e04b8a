"""``xftbench score``: judge samples that exist, made here or elsewhere."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec

from xftbench.commands.models import REPLAY, open_run, refuse_infrastructure_errors
from xftbench.commands.options import execution_options, json_option, suite_options
from xftbench.commands.progress import ProgressView
from xftbench.execution.pool import Isolation, Pool
from xftbench.generation.checkpoints import resolve_samples
from xftbench.generation.replay import read_samples
from xftbench.pipeline import Task, evaluate, from_samples, preflight
from xftbench.plan import Suite, generation_spec, load_suite, scoring_spec
from xftbench.prompts.extract import ExtractionName
from xftbench.prompts.render import find_style
from xftbench.records import Limits, Sample, SamplingParams
from xftbench.scoring.aggregate import Scores
from xftbench.store.run_dir import RunDir, ScoresFile
from xftbench.store.spec import RunSpec

_logger = logging.getLogger(__name__)
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command
@click.option(
    "--samples",
    "samples_path",
    type=_FILE,
    required=True,
    help="samples.jsonl (ours or evalplus') or generations.json (bigcode), plain or .gz.",
)
@click.option("--run-dir", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option(
    "--style",
    help="How the completions were asked for, if code must still be taken out of them: base, chat or "
    "magicoder.  [default: appended to the prompt as they are]",
)
@suite_options
@execution_options
@json_option
def command(workers: int | None, as_json: bool, **options: Any) -> None:
    """Judge samples; needs neither torch nor vllm.

    A row's `completion` is appended to its problem's prompt, a `solution` stands alone, as in evalplus.
    RUN_DIR/verdicts.jsonl then has one line per sample.
    """
    request = _Request(**options)
    suite = load_suite(request.suite, data_dir=request.data_dir)
    samples = read_samples(request.samples_path, suite.task_ids)
    run, task = _plan(request, suite, samples)
    sampled = {sample.task_id for sample in samples}
    with (
        run as run_dir,
        Pool(workers or os.cpu_count() or 1, Limits(), request.isolation) as pool,
        ProgressView(request.samples_path.name) as view,
    ):
        if not run_dir.is_complete():
            asked = [problem for problem in suite.problems if problem.task_id in sampled]
            preflight(suite.benchmark, asked, pool)
        scores_file = evaluate(task, from_samples(samples), run_dir, pool, view)
    click.echo(
        _json(scores_file, request.run_dir) if as_json else _table(scores_file.scores, request.run_dir)
    )
    _warn(scores_file.scores)
    refuse_infrastructure_errors({request.run_dir: scores_file})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    samples_path: Path
    run_dir: Path
    style: str | None
    suite: str
    data_dir: Path | None
    isolation: Isolation


def _plan(request: _Request, suite: Suite, samples: Sequence[Sample]) -> tuple[RunDir, Task]:
    extraction: ExtractionName = "given"
    if request.style is not None:
        extraction = find_style(suite.benchmark.name, request.style).extraction
    checkpoint = resolve_samples(request.samples_path.stem, request.samples_path)
    n = max(sample.sample_index for sample in samples) + 1
    spec = RunSpec(
        generation=generation_spec(checkpoint, request.style or "given", (), SamplingParams(n=n), REPLAY),
        scoring=scoring_spec(suite, extraction, Limits(), request.isolation),
    )
    task = Task(benchmark=suite.benchmark, problems=suite.problems, extraction=extraction)
    return open_run(request.run_dir, spec, checkpoint), task


def _json(scores_file: ScoresFile, run_dir: Path) -> str:
    encoded = msgspec.to_builtins(scores_file) | {"run_dir": str(run_dir)}
    return msgspec.json.format(msgspec.json.encode(encoded), indent=2).decode()


def _table(scores: Scores, run_dir: Path) -> str:
    lines = [
        f"pass@{score.k} (n={score.n}): {100 * score.value:.1f} %   "
        f"95 % interval {100 * score.low:.1f} to {100 * score.high:.1f} %"
        for score in scores.pass_at
    ]
    lines += [f"{count:>6} {name}" for name, count in scores.counts.items()]
    lines.append(f"{scores.n_samples} samples of {scores.n_scored} of {scores.n_problems} problems")
    lines.append(f"verdicts: {run_dir / 'verdicts.jsonl'}")
    return "\n".join(lines)


def _warn(scores: Scores) -> None:
    if scores.n_scored < scores.n_problems:
        _logger.warning(
            "%d of %d problems have no sample: the score is over the other %d, and the run can't enter a "
            "leaderboard",
            scores.n_problems - scores.n_scored, scores.n_problems, scores.n_scored,
        )  # fmt: skip
