"""Complete runs -> tables, through pandas; `formats` turns them into what people and programs read.

Rows that can't be compared are never in one table: runs are grouped by everything that must be equal, and
each group is a table with a caption that says what was equal.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from xftbench import jsonl
from xftbench.errors import StoreError
from xftbench.report import formats
from xftbench.report.formats import as_json, markdown
from xftbench.report.rows import row
from xftbench.report.runs import Run, Table, apart, into_tables, names_of, read_runs
from xftbench.store.run_dir import file_name, find_runs

__all__ = ["as_json", "averages", "build", "find_runs", "from_runs", "markdown", "write"]


def build(
    run_dirs: Iterable[Path], baseline: str | None = None, money_per_hour: float | None = None
) -> pd.DataFrame:
    """Return one row for each complete run, best first within each comparable group.

    Runs that are not complete are left out and named in the log. docs/leaderboard.md has every column.

    Args:
        run_dirs: Run directories.
        baseline: Name of the model that the others in its group are compared with.
        money_per_hour: What an hour of the machine costs, for the column ``money_per_solved``.
    """
    return from_runs(read_runs(run_dirs), baseline, money_per_hour)


def from_runs(
    runs: Sequence[Run], baseline: str | None = None, money_per_hour: float | None = None
) -> pd.DataFrame:
    """Return the rows of runs that were read already; see `build`."""
    frame = pd.DataFrame([row(run, money_per_hour) for run in runs])
    if frame.empty:
        return frame
    # Where one is blank (samples made elsewhere, old runs), it must not make 512 tokens 512.0.
    whole = dict.fromkeys(("max_new_tokens", "seed", "n_suite"), "Int64")
    frame = frame.astype(whole | {"temperature": float, "top_p": float})
    tables = into_tables(runs)
    frame["marks"] = frame["group"].map({table.group: ", ".join(table.marks) for table in tables})
    frame["apart"] = _apart(frame, tables)
    if baseline is not None:
        from xftbench.report import differences  # not at the top: it imports scipy

        found = differences.against(tables, baseline, differences.certificates_beside(runs))
        frame = frame.merge(differences.columns(found), on=["model", "run"], how="left")
    return frame.sort_values(
        ["suite", "group", "pass@1", "model", "run"], ascending=[True, True, False, True, True]
    ).reset_index(drop=True)


def _apart(frame: pd.DataFrame, tables: Sequence[Table]) -> list[str]:
    """Return for each row what its table's caption needs to differ from the others."""
    rows = frame.assign(apart="").groupby(["suite", "group"])
    captions = {key: formats.caption(group) for key, group in rows}
    told = apart(tables, [captions[table.suite, table.group] for table in tables])
    of_table = {(table.suite, table.group): text for table, text in zip(tables, told, strict=True)}
    return [of_table[key] for key in zip(frame["suite"], frame["group"], strict=True)]


def averages(runs: Sequence[Run]) -> pd.DataFrame:
    """Return each model's averages over the parts of each suite, and over the suites.

    ``macro`` gives each part the same weight, ``weighted`` each problem; pass@1 in both. A model that lacks
    a part that others have is left out of that average: it would be over other problems. There is none over
    suites if one was run in two ways that can't be compared.

    Columns: ``over`` (``suites``, or suite and tag; for a suite that was run in two ways what tells them
    apart, too), ``parts``, ``model``, ``n_parts``, ``n_problems``,
    ``macro``, ``weighted``.
    """
    parts: dict[str, dict[str, dict[str, tuple[float, int]]]] = {}
    tables = into_tables(runs)
    names = names_of(tables)
    # A suite that was run in two ways has two numbers, and no average takes both.
    is_one_way = names == [table.suite for table in tables]
    for table, label in zip(tables, names, strict=True):
        for run in table.runs:
            scores = run.scores_file.scores
            if is_one_way and (whole := scores.at(1)) is not None:
                parts.setdefault("suites", {}).setdefault(run.name, {})[label] = (
                    whole.value,
                    scores.n_scored,
                )
            for stratum in scores.strata:
                if value := next((score.value for score in stratum.pass_at if score.k == 1), None):
                    over = f"{label}: {stratum.tag}"
                    of_model = parts.setdefault(over, {}).setdefault(run.name, {})
                    of_model[stratum.value] = (value, stratum.n_problems)
    return pd.DataFrame([line for over, models in parts.items() for line in _averages(over, models)])


def _averages(over: str, models: dict[str, dict[str, tuple[float, int]]]) -> list[dict[str, object]]:
    everything = {part for of_model in models.values() for part in of_model}
    if len(everything) < 2:
        return []
    return [
        {
            "over": over,
            "parts": ", ".join(sorted(everything)),
            "model": model,
            "n_parts": len(values),
            "n_problems": sum(n for _, n in values.values()),
            "macro": sum(value for value, _ in values.values()) / len(values),
            "weighted": sum(value * n for value, n in values.values()) / sum(n for _, n in values.values()),
        }
        for model, values in models.items()
        if set(values) == everything
    ]


def write(frame: pd.DataFrame, directory: Path) -> list[Path]:
    """Write each suite's rows as CSV, Parquet, Markdown, LaTeX, JSON and YAML, and return the paths.

    Raises:
        StoreError: If the directory can't be written.
    """
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for suite, rows in frame.groupby("suite", sort=True):
            for name, encode in formats.FORMATS.items():
                path = directory / f"{file_name(str(suite))}.{formats.SUFFIXES.get(name, name)}"
                jsonl.write_atomically(path, encode(rows))
                written.append(path)
    except OSError as error:
        raise StoreError(
            f"can't write the leaderboard to {directory}: {error.strerror or error}",
            hint="the runs are kept; xftbench leaderboard writes the tables again",
        ) from error
    return written
