"""What a score costs: the measure that all runs of a table have, the one least tied to a machine first."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoints:
    """(model, cost, pass@1 in per cent) of each run, and what the cost is."""

    name: str
    points: list[tuple[str, float, float]]


def inference_flops(rows: pd.DataFrame) -> pd.Series:
    """Return FLOPs per generated sample: 2 per active parameter and token; prompts are left out."""
    return 2.0 * rows["n_active_parameters"] * rows["n_tokens"] / rows["n_samples"]


def cost_points(rows: pd.DataFrame) -> CostPoints | None:
    """Return the points of a table; None with fewer than two runs or without a cost that all have."""
    if len(rows) < 2 or "pass@1" not in rows:
        return None
    candidates = {
        "inference FLOPs per sample": inference_flops(rows.astype({"n_active_parameters": "float64",
                                                                   "n_tokens": "float64"})),
        "tokens per sample": rows["n_tokens"].astype("float64") / rows["n_samples"],
        "seconds of generation": rows["generation_s"].astype("float64"),
    }  # fmt: skip
    for name, costs in candidates.items():
        if costs.notna().all():
            values = zip(rows["model"], costs, rows["pass@1"], strict=True)
            return CostPoints(name=name, points=[(model, cost, 100 * score) for model, cost, score in values])
    return None
