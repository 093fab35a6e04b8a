"""Numbers that others published, each with its setting and source: apart from what was measured here."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from xftbench.errors import DataFileError
from xftbench.report.formats import markdown_table, percent

COLUMNS = ("model", "suite", "suite_version", "check", "part", "k", "score", "setting", "source")


def read(directory: Path) -> pd.DataFrame:
    """Return the published rows of a folder of CSV files.

    Columns: ``kind`` (always ``published``) and those of the files: ``model``, ``suite``,
    ``suite_version``, ``check`` (``pass``, ``base``, ``plus``), ``part`` (a language or library; blank for
    the whole suite), ``k``, ``score`` (in [0, 1]; per cent in the files), ``setting``, ``source``.

    Raises:
        DataFileError: If there is no such folder, or a file is not of this kind or lacks a source.
    """
    paths = sorted(directory.glob("*.csv"))
    if not paths:
        raise DataFileError(
            f"{directory} has no .csv of published numbers",
            hint="they are in leaderboards/published/ of the repository; --published names the folder",
        )
    frame = pd.concat([_read(path) for path in paths], ignore_index=True)
    frame.insert(0, "kind", "published")
    return frame


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path, dtype={"suite_version": str, "part": str, "setting": str, "source": str})
        if tuple(frame.columns) != COLUMNS:
            raise ValueError(f"columns are {', '.join(frame.columns)}, expected {', '.join(COLUMNS)}")
        if not frame["score"].between(0, 100).all():
            raise ValueError("a score is not in 0 to 100")
        if frame["source"].isna().any():
            raise ValueError("a row has no source")
    except (OSError, ValueError) as error:
        raise DataFileError(f"can't read {path}: {error}") from error
    return frame.assign(part=frame["part"].fillna(""), score=(frame["score"] / 100).round(6))


def relevant(frame: pd.DataFrame, suites: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the families of some suites: ``multipl-e:java`` asks for ``multipl-e``.

    A suite and its plus suite belong together: the plus suite's rule ``base`` is the suite's own.
    """
    families = {suite.partition(":")[0].rstrip("+") for suite in suites}
    return frame[frame["suite"].str.rstrip("+").isin(families)]


def markdown(frame: pd.DataFrame) -> str:
    """Return the rows as a table, under a caption that says that nobody measured them here."""
    if frame.empty:
        return ""
    table = frame.drop(columns="kind").assign(score=[percent(score) for score in frame["score"]])
    caption = "Published numbers: taken from their sources, not measured here, and not comparable unasked"
    return f"{caption}\n\n{markdown_table(table)}"
