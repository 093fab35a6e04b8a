"""Complete runs -> tables, through pandas: for the screen, and as CSV, Parquet, Markdown and JSON.

Rows that can't be compared are never in one table: runs are grouped by everything that must be equal, and
each group is a table with a caption that says what was equal.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pandas as pd

from xftbench import jsonl
from xftbench.errors import StoreError
from xftbench.hashing import sha256_record, short_id
from xftbench.store.run_dir import ScoresFile, file_name, read_scores, read_spec
from xftbench.store.spec import RunSpec, SpecFile

_logger = logging.getLogger(__name__)


def find_runs(runs_dir: Path) -> list[Path]:
    """Return the run directories below a directory, incomplete ones included."""
    return sorted(path.parent for path in runs_dir.glob("*/spec.json"))


def comparable_key(spec: RunSpec) -> str:
    """Return a hash that is equal for two runs exactly if their scores may stand side by side.

    Left out are the checkpoint, the seed, what is shown as a column instead (the engine's version, its
    precision and device), and patch releases of Python and of the libraries that programs can import.
    """
    generation, scoring = msgspec.to_builtins(spec.generation), msgspec.to_builtins(spec.scoring)
    for name in ("checkpoint_sha256", "engine_version", "dtype", "device"):
        del generation[name]
    del generation["sampling"]["seed"]
    scoring["python"] = scoring["python"].rpartition(".")[0]
    scoring["libraries"] = sorted(scoring["libraries"])
    return short_id(sha256_record([generation, scoring]))


def build(run_dirs: Iterable[Path]) -> pd.DataFrame:
    """Return one row for each complete run, best first within each comparable group.

    Columns: see `row`. Runs that are not complete are left out and named in the log.
    """
    rows = []
    for path in run_dirs:
        try:
            spec_file, scores_file = read_spec(path), read_scores(path)
        except StoreError as error:
            _logger.warning("left out of the leaderboard: %s", error.message)
            continue
        if not scores_file.scores.is_complete:
            _logger.warning("left out of the leaderboard: %s is incomplete", path)
            continue
        rows.append(row(spec_file, scores_file))
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    return frame.sort_values(
        ["suite", "group", "pass@1", "model", "run"], ascending=[True, True, False, True, True]
    ).reset_index(drop=True)


def row(spec_file: SpecFile, scores_file: ScoresFile) -> dict[str, object]:
    """Return the leaderboard row of a run; docs/leaderboard.md documents every column."""
    generation, scoring = spec_file.spec.generation, spec_file.spec.scoring
    scores, timings = scores_file.scores, scores_file.timings
    values: dict[str, object] = {
        "model": spec_file.environment.name,
        "kind": spec_file.environment.kind,
        "suite": scoring.suite,
        "style": generation.style,
        "n": generation.sampling.n,
    }
    for score in scores.pass_at:
        values[f"pass@{score.k}"] = score.value
        values[f"pass@{score.k}_low"] = score.low
        values[f"pass@{score.k}_high"] = score.high
    values |= {
        "n_problems": scores.n_problems,
        "n_samples": scores.n_samples,
        "n_passed": scores.counts.get("passed", 0),
        "n_tokens": scores_file.n_tokens,
        "tokens_per_s": timings.n_tokens / timings.generation_s if timings.generation_s else None,
        "generation_s": timings.generation_s,
        "total_s": timings.total_s,
        "temperature": generation.sampling.temperature,
        "top_p": generation.sampling.top_p,
        "max_new_tokens": generation.sampling.max_new_tokens,
        "seed": generation.sampling.seed,
        "engine": generation.engine,
        "engine_version": generation.engine_version,
        "dtype": generation.dtype,
        "device": generation.device,
        "extraction": scoring.extraction,
        "isolation": scoring.isolation,
        "python": scoring.python,
        "suite_version": scoring.suite_version,
        "data_sha256": scoring.data_sha256,
        "checkpoint_ref": spec_file.environment.ref,
        "checkpoint_sha256": generation.checkpoint_sha256,
        "prompts_sha256": generation.prompts_sha256,
        "group": comparable_key(spec_file.spec),
        "run": spec_file.run_id,
        "finished": scores_file.finished,
        "xftbench": spec_file.environment.packages["xftbench"],
        "git_commit": spec_file.environment.git_commit,
        "machine": spec_file.environment.machine,
    }
    return values


def markdown(frame: pd.DataFrame) -> str:
    """Return the tables for people: one for each comparable group, under a caption."""
    return "\n\n".join(
        f"{_caption(group)}\n\n{_for_people(group).to_markdown(index=False, disable_numparse=True)}"
        for _, group in frame.groupby(["suite", "group"], sort=False)
    )


def as_json(frame: pd.DataFrame) -> str:
    """Return the rows as a JSON list of objects."""
    return frame.to_json(orient="records", indent=2, double_precision=15) or "[]"


def _caption(group: pd.DataFrame) -> str:
    first = group.iloc[0]
    how = "greedy" if first["temperature"] == 0 else f"T={first['temperature']:g}, top-p {first['top_p']:g}"
    return (
        f"{first['suite']} {first['suite_version']}, {first['n_problems']} problems, "
        f"style {first['style']}, {how}, n={first['n']}, at most {first['max_new_tokens']} tokens, "
        f"{first['engine']}"
    )


def _for_people(group: pd.DataFrame) -> pd.DataFrame:
    table = pd.DataFrame({"model": group["model"]})
    for column in [name for name in group.columns if name.startswith("pass@") and "_" not in name]:
        if group[column].isna().all():
            continue
        table[f"{column} (n={group.iloc[0]['n']})"] = [_percent(value) for value in group[column]]
        ends = zip(group[f"{column}_low"], group[f"{column}_high"], strict=True)
        table[f"{column} 95 %"] = [f"{_percent(low)} to {_percent(high)}" for low, high in ends]
    passed = zip(group["n_passed"], group["n_samples"], strict=True)
    table["passed"] = [f"{n_passed}/{n_samples}" for n_passed, n_samples in passed]
    table["tokens"] = [str(value) for value in group["n_tokens"]]
    table["tokens/s"] = ["" if pd.isna(value) else f"{value:.0f}" for value in group["tokens_per_s"]]
    table["seconds"] = [f"{value:.0f}" for value in group["total_s"]]
    table["precision"] = group["dtype"]
    table["run"] = group["run"]
    return table


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def write(frame: pd.DataFrame, directory: Path) -> list[Path]:
    """Write each suite's rows as CSV, Parquet, Markdown and JSON, and return the paths.

    Raises:
        StoreError: If the directory can't be written.
    """
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for suite, rows in frame.groupby("suite", sort=True):
            for suffix, data in _formats(rows).items():
                path = directory / f"{file_name(str(suite))}.{suffix}"
                jsonl.write_atomically(path, data)
                written.append(path)
    except OSError as error:
        raise StoreError(
            f"can't write the leaderboard to {directory}: {error.strerror or error}",
            hint="the runs are kept; xftbench leaderboard writes the tables again",
        ) from error
    return written


def _formats(rows: pd.DataFrame) -> dict[str, bytes]:
    return {
        "csv": rows.to_csv(index=False).encode(),
        "parquet": rows.to_parquet(index=False),
        "md": (markdown(rows) + "\n").encode(),
        "json": (as_json(rows) + "\n").encode(),
    }
