"""A leaderboard's rows in the forms that people and programs read."""

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from xftbench.report.rows import score_columns
from xftbench.report.runs import extent
from xftbench.store.results import PLUS_ALONE

_Cells = Callable[[float], str]


def percent(value: float) -> str:
    """Return a share as people write it."""
    return f"{100 * value:.1f} %"


def count(value: float) -> str:
    """Return a large number in three digits: 7.03 B, 135 M."""
    for power, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if value >= power:
            return f"{value / power:.3g}{unit}"
    return f"{value:.3g}"


def _gibibytes(value: float) -> str:
    return f"{value / 2**30:.2f} GiB"


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


_OPTIONAL: dict[str, tuple[str, Callable[..., str]]] = {
    "p_value": ("p", _p_value),
    "p_adjusted": ("p, adjusted", _p_value),
    "finding": ("finding", str),
    "n_parameters": ("parameters", count),
    "n_active_parameters": ("active", count),
    "train_flops": ("training FLOPs", lambda value: f"{value:.2e}" if value else "0"),
    "train_device_hours": ("training hours", lambda value: f"{value:.3g}"),
    "n_tokens": ("tokens", lambda value: f"{value:.0f}"),
    "tokens_per_s": ("tokens/s", lambda value: f"{value:.0f}"),
    "total_s": ("seconds", lambda value: f"{value:.0f}"),
    "peak_memory_bytes": ("peak memory", _gibibytes),
    "peak_gpu_memory_bytes": ("peak GPU memory", _gibibytes),
    "tokens_per_solved": ("tokens/solved", lambda value: f"{value:.0f}"),
    "seconds_per_solved": ("s/solved", lambda value: f"{value:.2f}"),
    "money_per_solved": ("money/solved", lambda value: f"{value:.3g}"),
}
"""Column → its heading and how a cell is written; left out of a table in which all are blank."""

_BRIEF = ("n_tokens", "tokens_per_s", "total_s")
"""Those of them that fit beside the score on a terminal."""


def for_people(group: pd.DataFrame, *, brief: bool = False) -> pd.DataFrame:
    """Return a comparable group as a table of texts; columns that are blank throughout are left out.

    Args:
        group: Rows that may stand side by side.
        brief: Leave out what training cost, sizes, memory and cost per problem.
    """
    table = pd.DataFrame({"model": group["model"]})
    if group["stage"].notna().any() and not brief:
        table["made by"] = _cells(group["stage"], str)
    for column in score_columns(list(group.columns)):
        if group[column].isna().all():
            continue
        if not column.startswith("pass@"):
            heading = f"{column} ({PLUS_ALONE})" if column.startswith("plus@") else column
            table[heading] = _cells(group[column], percent)
            continue
        table[f"{column} (n={_n(group)})"] = _cells(group[column], percent)
        table[f"{column} 95 %"] = _intervals(group, column, percent)
    passed = zip(group["n_passed"], group["n_samples"], strict=True)
    table["passed"] = [f"{n_passed}/{n_samples}" for n_passed, n_samples in passed]
    if "difference" in group and group["difference"].notna().any():
        table["difference"] = _cells(group["difference"], _points)
        table["difference 95 %"] = _intervals(group, "difference", _points)
    for column, (heading, cell) in _OPTIONAL.items():
        if column in group and group[column].notna().any() and (column in _BRIEF or not brief):
            table[heading] = _cells(group[column], cell)
    if group["dtype"].any():
        table["precision"] = group["dtype"]
    table["run"] = group["run"]
    return table


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _cells(values: pd.Series, cell: Callable[..., str]) -> list[str]:
    return ["" if pd.isna(value) else cell(value) for value in values]


def _intervals(group: pd.DataFrame, column: str, cell: _Cells) -> list[str]:
    ends = zip(group[f"{column}_low"], group[f"{column}_high"], strict=True)
    return ["" if pd.isna(low) else f"{cell(low)} to {cell(high)}" for low, high in ends]


def caption(group: pd.DataFrame) -> str:
    """Return what is equal for all rows of a comparable group, and what tells it from others like it."""
    first = group.iloc[0]
    how = ", ".join(_decoding(first))
    if first["engine"] == "replay":
        how = f"completions made elsewhere, {how or 'decoding unknown'}"
    else:
        how += f", {first['engine']}"
    is_part = pd.notna(first["n_suite"]) and first["n_problems"] < first["n_suite"]
    part = f" of {first['n_suite']}" if is_part else ""
    left_out = f", LEFT OUT: {first['left_out']}" if first["left_out"] else ""
    apart = f", {first['apart']}" if first["apart"] else ""
    mark = f" * runs differ in {first['marks']}, which was allowed: not in the model alone"
    return (
        f"{first['suite']} {first['suite_version']}, {first['n_problems']}{part} problems{left_out}, "
        f"style {first['style']}, n={_n(group)}, {how}{apart}{mark if first['marks'] else ''}"
    )


def _n(group: pd.DataFrame) -> str:
    return extent(group["n"].min(), group["n_max"].max())


def _decoding(row: pd.Series) -> Iterator[str]:
    """Yield what is known of how answers were drawn."""
    if row["temperature"] == 0:
        yield "greedy"
    elif pd.notna(row["temperature"]):
        yield f"T={row['temperature']:g}"
    if pd.notna(row["top_p"]) and row["temperature"] != 0:
        yield f"top-p {row['top_p']:g}"
    if pd.notna(row["max_new_tokens"]):
        yield f"at most {row['max_new_tokens']} tokens"


def groups(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the comparable groups of a leaderboard, in its order."""
    return [group for _, group in frame.groupby(["suite", "group"], sort=False)] if not frame.empty else []


def markdown_table(frame: pd.DataFrame) -> str:
    """Return texts as a table in Markdown, whatever is in them."""
    shown = frame.rename(columns=_cell).map(_cell)
    return str(shown.to_markdown(index=False, disable_numparse=True))


def _cell(value: object) -> str:
    line = " ".join(str(value).splitlines())
    # A backslash before the bar would undo its escape, unless it is escaped itself.
    return re.sub(r"(\\*)\|", r"\1\1\\|", line)


def markdown(frame: pd.DataFrame, *, brief: bool = False) -> str:
    """Return the tables for people: one for each comparable group, under a caption; see `for_people`."""
    tables = [(caption(group), markdown_table(for_people(group, brief=brief))) for group in groups(frame)]
    return "\n\n".join(f"{told}\n\n{table}" for told, table in tables)


def latex(frame: pd.DataFrame) -> str:
    r"""Return the tables for papers: booktabs, each with its caption. Needs ``\usepackage{booktabs}``."""
    return "\n".join(
        for_people(group).to_latex(index=False, escape=True, caption=_escaped(caption(group)))
        for group in groups(frame)
    )


def _escaped(text: str) -> str:
    for character in "&%$#_{}":
        text = text.replace(character, f"\\{character}")
    return text


def as_json(frame: pd.DataFrame) -> str:
    """Return the rows as a JSON list of objects."""
    # Not frame.to_json: it writes 15 digits at most, and a number may need 17 to be read as it was.
    rows = [{name: _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
    return json.dumps(rows, indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it: null for what is blank or no number."""
    if isinstance(value, (str, list, tuple)):
        return value
    return None if pd.isna(value) or value in (math.inf, -math.inf) else value


_DATASETS = {
    "humaneval": ("HumanEval", "openai_humaneval"),
    "humaneval+": ("HumanEval+", "evalplus/humanevalplus"),
    "mbpp": ("MBPP", "mbpp"),
    "mbpp+": ("MBPP+", "evalplus/mbppplus"),
    "multipl-e": ("MultiPL-E", "nuprl/MultiPL-E"),
    "ds1000": ("DS-1000", "xlangai/DS-1000"),
}
"""Suite family → the name and the hub id that model cards use."""


def model_index(frame: pd.DataFrame) -> str:
    """Return ``model-index`` metadata for the model cards of a hub: YAML, one document for each model."""
    return "---\n".join(_card(str(model), rows) for model, rows in frame.groupby("model", sort=False))


def _card(model: str, rows: pd.DataFrame) -> str:
    lines = ["model-index:", f"- name: {_quoted(model)}", "  results:"]
    for index, row in rows.iterrows():
        suite = str(row["suite"])
        name, hub_id = _DATASETS.get(suite.partition(":")[0], (suite, suite))
        lines += [
            "  - task:",
            "      type: text-generation",
            "    dataset:",
            f"      name: {_quoted(name)}",
            f"      type: {_quoted(hub_id)}",
            # The hub joins results of one config: it says all that tells two runs of a model apart.
            f"      config: {_quoted(caption(rows.loc[[index]]))}",
            f"      revision: {_quoted(str(row['suite_version']))}",
            "    metrics:",
        ]
        for column in score_columns(list(rows.columns)):
            if pd.isna(row[column]):
                continue
            check, _, k = column.partition("@")
            made = f"{'' if check == 'pass' else check + ', '}xftbench {row['xftbench']}, run {row['run']}"
            lines += [
                "    - type: pass@" + k,
                f"      name: {_quoted(f'pass@{k} ({made})')}",
                f"      value: {round(float(row[column]), 6)}",
                "      verified: false",
            ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML one


FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": lambda frame: frame.to_csv(index=False).encode(),
    "parquet": lambda frame: frame.to_parquet(index=False),
    "markdown": lambda frame: (markdown(frame) + "\n").encode(),
    "latex": lambda frame: latex(frame).encode(),
    "json": lambda frame: (as_json(frame) + "\n").encode(),
    "model-index": lambda frame: model_index(frame).encode(),
}
SUFFIXES = {"markdown": "md", "latex": "tex", "model-index": "yaml"}
