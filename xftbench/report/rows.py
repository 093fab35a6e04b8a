"""One row for each run: what docs/leaderboard.md documents, column by column."""

from collections.abc import Sequence

from xftbench.report.runs import Run
from xftbench.scoring.aggregate import PassAtK, Scores

CHECKS = ("base", "plus", "strict")


def row(run: Run, money_per_hour: float | None = None) -> dict[str, object]:
    """Return the leaderboard row of a run.

    Args:
        run: The run.
        money_per_hour: What an hour of the machine costs, in any currency; no cost in money without it.
    """
    environment, scores_file = run.spec_file.environment, run.scores_file
    generation, scoring = run.spec.generation, run.spec.scoring
    facts = environment.model
    return {
        "model": run.name,
        "kind": environment.kind,
        "stage": facts.stage if facts else None,
        "suite": scoring.suite,
        "style": generation.style,
        "n": run.n,
        "n_max": run.n_max,
        **_scores(scores_file.scores),
        "n_suite": scoring.n_suite,
        **_cost(run, money_per_hour),
        **generation.decoding,
        "engine": generation.engine,
        "engine_version": generation.engine_version,
        "dtype": generation.dtype,
        "device": generation.device,
        "processor": generation.processor,
        "extraction": scoring.extraction,
        "isolation": scoring.isolation,
        "left_out": ", ".join(scoring.left_out),
        "python": scoring.python,
        "suite_version": scoring.suite_version,
        "data_sha256": scoring.data_sha256,
        "checkpoint_ref": environment.ref,
        "checkpoint_sha256": generation.checkpoint_sha256,
        "prompts_sha256": generation.prompts_sha256,
        "group": run.group,
        "run": run.spec_file.run_id,
        "finished": scores_file.finished,
        "xftbench": environment.packages.get("xftbench", ""),
        "git_commit": environment.git_commit,
        "machine": environment.machine,
    }


def _scores(scores: Scores) -> dict[str, object]:
    values: dict[str, object] = {}
    for score in scores.pass_at:
        values |= _score("pass", score)
    for check in CHECKS:
        for score in scores.checks.get(check, ()):
            values |= _score(check, score)
    return values | {
        "n_problems": scores.n_problems,
        "n_samples": scores.n_samples,
        "n_passed": scores.counts.get("passed", 0),
    }


def _score(name: str, score: PassAtK) -> dict[str, object]:
    column = f"{name}@{score.k}"
    return {column: score.value, f"{column}_low": score.low, f"{column}_high": score.high}


def _cost(run: Run, money_per_hour: float | None) -> dict[str, object]:
    """Return what the run and the checkpoint took; None for what nobody wrote down."""
    facts, timings = run.spec_file.environment.model, run.scores_file.timings
    passed = run.scores_file.scores.counts.get("passed", 0)
    # Samples made elsewhere have no tokens, and a session that only judged has no rate.
    tokens = run.scores_file.n_tokens or None
    rate = timings.n_tokens / timings.generation_s if timings.n_tokens and timings.generation_s else None
    generation_s = tokens / rate if tokens and rate else None
    per_solved = generation_s / passed if generation_s and passed else None
    return {
        "n_parameters": facts.n_parameters if facts else None,
        "n_active_parameters": facts.n_active_parameters if facts else None,
        "line": " > ".join(step.stage for step in facts.line) or None if facts else None,
        "train_flops": facts.train_flops if facts else None,
        "train_device_hours": _hours(facts.train_device_s if facts else None),
        "train_device": facts.train_device if facts else None,
        "n_tokens": tokens,
        "tokens_per_s": rate,
        "generation_s": generation_s,
        "total_s": timings.total_s,
        "peak_memory_bytes": timings.peak_memory_bytes if run.spec.generation.engine != "replay" else None,
        "peak_gpu_memory_bytes": timings.peak_gpu_memory_bytes,
        "tokens_per_solved": tokens / passed if tokens and passed else None,
        "seconds_per_solved": per_solved,
        "money_per_solved": per_solved / 3600 * money_per_hour if per_solved and money_per_hour else None,
    }


def _hours(seconds: float | None) -> float | None:
    return None if seconds is None else seconds / 3600


def score_columns(columns: Sequence[str]) -> list[str]:
    """Return the names of the columns that are scores: ``pass@1``, ``base@1``, ..."""
    return [name for name in columns if "@" in name and not name.endswith(("_low", "_high"))]
