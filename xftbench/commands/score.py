"""``xftbench score``: judge samples that exist, made here or elsewhere."""

import logging
import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from xftbench.commands.options import execution_options, json_option, suite_options
from xftbench.commands.progress import ProgressView
from xftbench.errors import SandboxError
from xftbench.execution.pool import Pool
from xftbench.generation.backend import Engine
from xftbench.generation.checkpoints import resolve_samples
from xftbench.generation.replay import read_samples
from xftbench.pipeline import Task, check_canonical, evaluate, from_samples
from xftbench.plan import generation_spec, load_suite, scoring_spec
from xftbench.prompts.render import find_style
from xftbench.records import Limits, SamplingParams
from xftbench.scoring.aggregate import Scores
from xftbench.store.environment import capture
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
def command(
    samples_path: Path,
    run_dir: Path,
    style: str | None,
    suite: str,
    data_dir: Path | None,
    workers: int | None,
    isolation: str,
    as_json: bool,
) -> None:
    """Judge samples; needs neither torch nor vllm.

    A row's `completion` is appended to its problem's prompt, a `solution` stands alone, as in evalplus.
    RUN_DIR/verdicts.jsonl then has one line per sample.
    """
    loaded = load_suite(suite, data_dir=data_dir)
    samples = read_samples(samples_path, loaded.task_ids)
    extraction = "given" if style is None else find_style(loaded.benchmark.name, style).extraction
    spec = RunSpec(
        generation=generation_spec(
            resolve_samples(samples_path.stem, samples_path),
            style or "given",
            (),
            SamplingParams(n=max(sample.sample_index for sample in samples) + 1),
            Engine(name="replay", version="1", dtype="", device=""),
        ),
        scoring=scoring_spec(loaded, extraction, Limits(), isolation),
    )
    environment = capture(
        name=samples_path.stem,
        ref=str(samples_path),
        kind="samples",
        command=[shlex.quote(word) for word in ["xftbench", *sys.argv[1:]]],
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    task = Task(benchmark=loaded.benchmark, problems=loaded.problems, extraction=extraction)
    sampled = {sample.task_id for sample in samples}
    asked = [problem for problem in loaded.problems if problem.task_id in sampled]
    with (
        RunDir(run_dir, spec, environment) as store,
        Pool(workers or os.cpu_count() or 1, Limits(), isolation) as pool,
        ProgressView(samples_path.name) as view,
    ):
        if not store.is_complete():
            check_canonical(loaded.benchmark, asked, pool)
        scores_file = evaluate(task, from_samples(samples), store, pool, view)
    click.echo(_json(scores_file, run_dir) if as_json else _table(scores_file.scores, run_dir))
    _warn(scores_file.scores, run_dir)


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


def _warn(scores: Scores, run_dir: Path) -> None:
    if scores.n_scored < scores.n_problems:
        _logger.warning(
            "%d of %d problems have no sample: the score is over the other %d, and the run can't enter a "
            "leaderboard",
            scores.n_problems - scores.n_scored, scores.n_problems, scores.n_scored,
        )  # fmt: skip
    if count := scores.counts.get("infrastructure_error", 0):
        raise SandboxError(
            f"the sandbox failed on {count} samples, which are neither passed nor failed ({run_dir})",
            hint="run the same command again; only those samples are tried again",
        )
