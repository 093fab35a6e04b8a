"""The figures of the page and of papers: one matplotlib figure each, as themed SVG, plain SVG or PNG.

matplotlib, because the figures of a paper and those of the page are then the same, a figure costs the page
some 20 kB and no script, and it prints. In the page its colours become CSS variables: that is how it turns
dark.
"""

import io
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SERIES = ("#0b6fb8", "#d1600a", "#1b8a5a", "#a8489b", "#8a6d00", "#5b6472")
"""Of models, in their order; told apart by the colour-blind, and never the only mark."""
INK, MUTED, LINE = "#1c2430", "#5c6774", "#d9dee6"
GOOD, BAD = "#1b8a5b", "#c2362b"
_VARIABLES = {color: f"var(--s{number})" for number, color in enumerate(SERIES, start=1)} | {
    INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", GOOD: "var(--good)", BAD: "var(--bad)",
}  # fmt: skip
_MARKERS = "osD^vPX*"
_DECADES_APART = 20
"""Costs further apart than this are drawn on a logarithmic axis."""
_LONGEST_NAME, _LONGEST_NAME_INSIDE = 45, 30
"""Characters of a model's name that leave room for what is drawn, beside it and between its points."""
_TITLE_WIDTH, _UNIT_WIDTH = 58, 60
"""Characters of a line of text that fit the narrowest figure that has such a text."""
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a model may be called $x$
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
}


def color_of(index: int) -> str:
    """Return the colour of the n-th model."""
    return SERIES[index % len(SERIES)]


def marker_of(index: int) -> str:
    """Return the marker of the n-th model."""
    return _MARKERS[index % len(_MARKERS)]


def shortened(names: Sequence[str], length: int = _LONGEST_NAME) -> list[str]:
    """Return names on one line, the long ones cut in the middle; those that then look alike are numbered."""
    short = [_cut(" ".join(name.split()), length) for name in names]
    return [
        f"{text} ({short[: at + 1].count(text)})" if "…" in text and short.count(text) > 1 else text
        for at, text in enumerate(short)
    ]


def _cut(name: str, length: int) -> str:
    head = (length - 1) // 2
    return name if len(name) <= length else f"{name[:head]}…{name[head + 1 - length :]}"


def intervals(
    labels: Sequence[str], values: Sequence[tuple[float, float, float]], colors: Sequence[str], *,
    unit: str = "pass@1, %", zero: bool = False, notes: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """Return a dot with its 95 % interval for each label, top to bottom; `zero` draws the line of no change.

    Args:
        labels: Rows.
        values: (value, low, high) of each, in per cent or points.
        colors: Of each.
        unit: Of the axis.
        zero: For differences.
        notes: At the right of each row.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.6, 0.65 + 0.34 * len(labels)), layout="constrained")
        axes = figure.add_subplot()
        for row, ((value, low, high), color) in enumerate(zip(values, colors, strict=True)):
            axes.plot([low, high], [row, row], color=color, linewidth=2.2, solid_capstyle="round", alpha=0.55)
            axes.plot([value], [row], marker="o", markersize=7, color=color)
        axes.set_yticks(range(len(labels)), labels=shortened(labels))
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        if zero:
            axes.axvline(0, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)))
        for row, note in enumerate(notes):
            axes.annotate(
                note, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=8.5, color=MUTED
            )
        # Beside wide names the axes are too narrow for a text below their middle.
        is_narrow = max(map(len, labels), default=0) > _LONGEST_NAME // 2
        axes.set_xlabel(
            textwrap.fill(unit, _UNIT_WIDTH, break_on_hyphens=False), loc="right" if is_narrow else "center"
        )
    return figure


def pareto(points: Sequence[tuple[str, float, float]], *, title: str, cost: str) -> Figure:
    """Return pass@1 against cost, with the line of those that none beats in both.

    Args:
        points: (model, cost, pass@1 in per cent) of each.
        title: Above it.
        cost: What the cost is.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 3.6), layout="constrained")
        axes = figure.add_subplot()
        front = pareto_front(points)
        axes.step(
            [x for _, x, _ in front], [y for _, _, y in front], where="post", color=MUTED, linewidth=1.2,
            linestyle=(0, (4, 3)), zorder=1,
        )  # fmt: skip
        for index, (_, x, y) in enumerate(points):
            axes.scatter([x], [y], s=64, marker=marker_of(index), color=color_of(index), zorder=2)
        costs = [x for _, x, _ in points]
        if min(costs) > 0 and max(costs) / min(costs) > _DECADES_APART:
            axes.set_xscale("log")
        else:
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=False)
        axes.margins(0.18, 0.18)
        bottom, top = axes.get_ylim()
        if all(y == points[0][2] for _, _, y in points):
            bottom, top = points[0][2] - 5, points[0][2] + 5
        axes.set_ylim(max(bottom, -2), min(top, 102))
        _write_names(axes, points)
        axes.grid()
        axes.set_xlabel(f"{cost} (less is better)")
        axes.set_ylabel("pass@1, %")
        axes.set_title(textwrap.fill(title, _TITLE_WIDTH))
    return figure


def _write_names(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Write each model's name beside its point, towards the middle."""
    names = shortened([name for name, _, _ in points], _LONGEST_NAME_INSIDE)
    short = [(name, x, y) for name, (_, x, y) in zip(names, points, strict=True)]
    for (x, y), here in _by_place(short).items():
        at = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))[0]
        side, offset = ("left", 8) if at < 0.5 else ("right", -8)
        axes.annotate(
            "\n".join(here), (x, y), xytext=(offset, 4), textcoords="offset points", fontsize=9, ha=side,
            in_layout=False,
        )  # fmt: skip


def _by_place(points: Sequence[tuple[str, float, float]]) -> dict[tuple[float, float], list[str]]:
    """Return the names at each place: labels of equal points would lie on each other."""
    places: dict[tuple[float, float], list[str]] = {}
    for name, x, y in points:
        places.setdefault((x, y), []).append(name)
    return places


def pareto_front(points: Sequence[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Return those of (name, cost, score) that no other is at least as good as in both, cheapest first."""
    front: list[tuple[str, float, float]] = []
    for point in sorted(points, key=lambda point: (point[1], -point[2])):
        if not front or point[2] > front[-1][2]:
            front.append(point)
    return front


def heat(
    values: npt.NDArray[np.float64], *, title: str, rows: str, columns: Sequence[str], unit: str,
    center: float | None = None, first_row: int = 0,
) -> Figure:  # fmt: skip
    """Return a heat map of (rows, columns); with a `center`, two colours part there."""
    with mpl.rc_context(_STYLE):
        n_rows, n_columns = values.shape
        figure = Figure(
            figsize=(max(3.5, 1.9 + 0.36 * n_columns), 1.0 + 0.15 * max(n_rows, 8)), layout="constrained"
        )
        axes = figure.add_subplot()
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        scale: Normalize = Normalize(low, max(high, low + 1e-9))
        if center is not None:
            # Each side has its own length: a load can't be less than none.
            scale = TwoSlopeNorm(center, min(low, center - 1e-9), max(high, center + 1e-9))
        mesh = axes.pcolormesh(
            values, cmap="viridis" if center is None else "RdBu_r", norm=scale, edgecolors="face",
            linewidth=0.2,
        )  # fmt: skip
        axes.set_xticks(np.arange(n_columns) + 0.5, labels=list(columns))
        step = max(1, n_rows // 12)
        axes.set_yticks(
            np.arange(0, n_rows, step) + 0.5, labels=[str(first_row + row) for row in range(0, n_rows, step)]
        )
        axes.invert_yaxis()
        axes.set_ylabel(rows)
        axes.set_title(title)
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = figure.colorbar(mesh, ax=axes, pad=0.03)
        bar.outline.set_visible(False)
        bar.set_label(unit)
    return figure


def lines(
    series: Sequence[tuple[str, Sequence[float], Sequence[float]]], *, title: str, x: str, y: str,
    bands: Sequence[tuple[Sequence[float], Sequence[float]]] = (), markers: bool = True,
) -> Figure:  # fmt: skip
    """Return lines, each (name, xs, ys), with a band of (lows, highs) around each where there are some."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        names = shortened([name for name, _, _ in series])
        for index, (name, (_, xs, ys)) in enumerate(zip(names, series, strict=True)):
            color = color_of(index)
            if index < len(bands):
                axes.fill_between(xs, *bands[index], color=color, alpha=0.16, linewidth=0)
            marker = marker_of(index) if markers else None
            axes.plot(xs, ys, color=color, marker=marker, markersize=5, linewidth=1.8, label=name)
        if len(series) > 1:
            axes.legend(fontsize=8.5)
        axes.grid()
        if x == "layer":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_title(title)
    return figure


def themed_svg(figure: Figure, name: str) -> str:
    """Return a figure for the page: colours as CSS variables, no id that another figure could have."""
    text = _svg(figure, name)
    text = text[text.index("<svg") :]
    text = re.sub(r'<g id="[^"]*">', "<g>", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font: bold ([\d.]+)px [^;\"]*", r"font-size: \1px; font-weight: 650", text)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, variable)
    return re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', _open_tag, text, count=1)


def _open_tag(match: "re.Match[str]") -> str:
    box = match.group(1)
    width = float(box.split()[2])
    return (
        f'<svg viewBox="{box}" style="max-width:{width * 4 / 3:.0f}px" role="img" aria-hidden="true" '
        'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    )


def save(figure: Figure, directory: Path, name: str) -> list[Path]:
    """Write a figure as SVG, and as PNG at 200 dots per inch on white; return the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    svg, png = directory / f"{name}.svg", directory / f"{name}.png"
    svg.write_text(_svg(figure, name), encoding="utf-8")
    with mpl.rc_context(_STYLE):
        figure.savefig(png, format="png", dpi=200, facecolor="white")
    return [svg, png]


def _svg(figure: Figure, name: str) -> str:
    buffer = io.StringIO()
    # The salt makes ids that differ between figures and are the same each time.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()
