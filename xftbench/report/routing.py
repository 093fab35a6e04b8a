"""Routing of stored replies -> what a layer does, by language and by whether the program passed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import figure as mpl

from xftbench.records import SampleRouting
from xftbench.report.pack import language_of
from xftbench.report.page import Block, Figure, Section
from xftbench.report.plots import heat, lines
from xftbench.report.runs import Run, Table
from xftbench.store.routing import read_routing

DEAD = 0.001
"""An expert that fewer tokens than this share choose is called dead."""

_EXPLAINED = (
    "Which experts wrote the replies, from one pass over each stored reply. Load is over an even one: 1 is "
    "even, red is busier, blue idler. Entropy 1 means that the router is undecided, 0 that it is sure. An "
    f"expert is called dead if fewer than {DEAD:.1%} of the tokens choose it."
)

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Routing:
    """Means over the tokens of some replies."""

    n_samples: int
    n_tokens: int
    has_shared: bool
    load: _Array
    """(layers, experts): share of the tokens that the expert took part in."""
    weight: _Array
    """(layers, experts): mean weight."""
    entropy: _Array
    """(layers): of the routed scores; 1 is undecided, 0 is sure."""
    together: _Array
    """(layers, routed, routed): share of the tokens that chose both."""

    @property
    def routed(self) -> _Array:
        """(layers, routed): the load without the shared expert, over an even one."""
        load = self.load[:, int(self.has_shared) :]
        even: _Array = load / load.mean(axis=1, keepdims=True)
        return even

    @property
    def dead(self) -> list[tuple[int, int]]:
        """(layer, expert) of every expert that is hardly chosen."""
        return [(int(layer), int(expert)) for layer, expert in np.argwhere(self.load < DEAD)]


def summarize(records: Iterable[SampleRouting]) -> Routing | None:
    """Return the means over replies, each token counting the same; None for none."""
    found = list(records)
    n_tokens = sum(record.n_tokens for record in found)
    if not n_tokens:
        return None
    load = _mean([record.load for record in found], n_tokens)
    shared = found[0].has_shared
    n_routed = load.shape[1] - shared
    together = np.zeros((load.shape[0], n_routed, n_routed))
    pairs = _mean([record.pairs for record in found], n_tokens).reshape(len(load), -1)
    for number, (a, b) in enumerate(combinations(range(n_routed), 2)):
        together[:, a, b] = together[:, b, a] = pairs[:, number]
    together[:, range(n_routed), range(n_routed)] = load[:, shared:]
    return Routing(
        n_samples=len(found),
        n_tokens=n_tokens,
        has_shared=shared,
        load=load,
        weight=_mean([record.weight for record in found], n_tokens),
        entropy=_mean([record.entropy for record in found], n_tokens),
        together=together,
    )


def _mean(sums: Sequence[object], n_tokens: int) -> _Array:
    mean: _Array = np.sum([np.array(values, dtype=np.float64) for values in sums], axis=0) / n_tokens
    return mean


def by_part(table: Table, run: Run) -> dict[str, Routing]:
    """Return the routing of all replies of a run, of those that passed and failed, and of each language."""
    passed = {
        verdict.key: verdict.verdict == "passed" for found in run.verdicts.values() for verdict in found
    }
    groups: dict[str, list[SampleRouting]] = {"all": [], "passed": [], "failed": []}
    for key, record in read_routing(run.path).items():
        groups["all"].append(record)
        if key in passed:
            groups["passed" if passed[key] else "failed"].append(record)
        for part in _parts(table, key[0]):
            groups.setdefault(part, []).append(record)
    only_one_part = len(groups) == 4  # then it is the suite again
    found = {
        name: summarize(records) for name, records in list(groups.items())[: 3 if only_one_part else None]
    }
    return {name: routing for name, routing in found.items() if routing is not None}


def _parts(table: Table, task_id: str) -> list[str]:
    problem = table.problems.get(task_id)
    parts = [language_of(table, problem)]
    if problem is not None:
        parts += [f"{tag}: {value}" for tag, value in problem.tags.items() if tag != "language"]
    return [part for part in parts if part]


def frame(parts: dict[str, Routing]) -> pd.DataFrame:
    """Return one row per part and layer.

    Columns: ``part``, ``layer``, ``n_samples``, ``n_tokens``, ``load_E`` and ``weight_E`` for each expert,
    ``together_A_B`` for each pair of routed experts (share of the tokens that chose both),
    ``shared_weight``, ``entropy``, ``busiest`` (over an even load), ``dead`` (experts, with commas).
    """
    rows: list[dict[str, object]] = []
    for part, routing in parts.items():
        for layer in range(len(routing.load)):
            row: dict[str, object] = {
                "part": part,
                "layer": layer,
                "n_samples": routing.n_samples,
                "n_tokens": routing.n_tokens,
                "shared_weight": routing.weight[layer, 0] if routing.has_shared else None,
                "entropy": routing.entropy[layer],
                "busiest": routing.routed[layer].max(),
                "dead": ",".join(str(expert) for at, expert in routing.dead if at == layer),
            }
            row |= {f"load_{expert}": value for expert, value in enumerate(routing.load[layer])}
            row |= {f"weight_{expert}": value for expert, value in enumerate(routing.weight[layer])}
            row |= _pairs(routing, layer)
            rows.append(row)
    return pd.DataFrame(rows)


def _pairs(routing: Routing, layer: int) -> dict[str, float]:
    first = int(routing.has_shared)
    pairs = combinations(range(routing.together.shape[1]), 2)
    return {f"together_{a + first}_{b + first}": routing.together[layer, a, b] for a, b in pairs}


def summary(parts: dict[str, Routing]) -> pd.DataFrame:
    """Return one row of texts per part: what a reader looks at first."""
    return pd.DataFrame(
        {
            "replies": part,
            "samples": str(routing.n_samples),
            "tokens": f"{routing.n_tokens:,}",
            "entropy": f"{routing.entropy.mean():.3f}",
            "shared weight": f"{routing.weight[:, 0].mean():.3f}" if routing.has_shared else "",
            "busiest expert": f"{routing.routed.max():.2f} x even",
            "idlest expert": f"{routing.routed.min():.2f} x even",
            "dead experts": _named(routing.dead),
        }
        for part, routing in parts.items()
    )


def _named(dead: Sequence[tuple[int, int]]) -> str:
    if not dead:
        return "none"
    named = ", ".join(f"layer {layer} expert {expert}" for layer, expert in dead[:4])
    return f"{len(dead)}: {named}{', …' if len(dead) > 4 else ''}"


def section(tables: Sequence[Table]) -> Section | None:
    """Return the routing part of a report; None if no run has any."""
    blocks = [
        _block(table, run, parts) for table in tables for run in table.runs if (parts := by_part(table, run))
    ]
    if not blocks:
        return None
    return Section(
        id="routing",
        title="Routing",
        intro=_EXPLAINED,
        blocks=blocks,
    )


def _block(table: Table, run: Run, parts: dict[str, Routing]) -> Block:
    everything = parts["all"]
    name = f"{run.name}-{run.spec_file.run_id}"
    first = int(everything.has_shared)
    experts = [str(expert) for expert in range(first, everything.load.shape[1])]
    figures = [
        Figure(
            name=f"routing-load-{name}",
            figure=heat(everything.routed, title="Load of the routed experts", rows="layer", columns=experts,
                        unit="x even", center=1.0),
        ),
        Figure(
            name=f"routing-together-{name}",
            figure=heat(everything.together.mean(axis=0), title="Chosen together",
                        rows="expert", columns=experts, unit="share of tokens", first_row=first),
        ),
    ]  # fmt: skip
    if "passed" in parts and "failed" in parts:
        change = parts["passed"].routed - parts["failed"].routed
        drawn = heat(change, title="Load: passed minus failed", rows="layer", columns=experts, unit="x even",
                     center=0.0)  # fmt: skip
        figures.append(Figure(name=f"routing-passed-{name}", figure=drawn))
    figures.append(Figure(name=f"routing-layers-{name}", figure=_by_layer(parts)))
    return Block(title=f"{run.name} · {table.label}", frame=summary(parts), figures=figures)


def _by_layer(parts: dict[str, Routing]) -> mpl.Figure:
    layers = list(range(len(parts["all"].entropy)))
    series = [
        (f"entropy, {part}", layers, list(parts[part].entropy))
        for part in ("all", "passed", "failed")
        if part in parts
    ]
    if parts["all"].has_shared:
        series.append(("shared weight, all", layers, list(parts["all"].weight[:, 0])))
    return lines(series, title="By layer", x="layer", y="entropy, weight", markers=False)
