"""Figures of models that are called anything."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from xftbench.report import plots

WIDE = [
    f"Qwen2.5-Coder-1.5B-Instruct-{way}-of-evol-instruct-66k-epoch-3-lambda-0.75" for way in ("sft", "xft")
]
NAMES = [*WIDE, "m" * 80, "a\nb", "sft"]
VALUES = [(50.0 + row, 40.0, 60.0) for row in range(len(NAMES))]


def test_a_wide_name_is_cut_in_the_middle() -> None:
    short, _ = plots.shortened([WIDE[0], "sft"])
    assert len(short) == 45
    assert short.startswith("Qwen2.5-Coder")
    assert short.endswith("epoch-3-lambda-0.75")
    assert plots.shortened(["sft", "a\nb", "x" * 45]) == ["sft", "a b", "x" * 45]


def test_names_that_are_cut_to_the_same_are_numbered() -> None:
    assert len(set(plots.shortened(WIDE))) == 2


def forest() -> Figure:
    unit = f"points against {plots.shortened(WIDE)[0]}, with 95 % interval"
    colors = [plots.color_of(row) for row in range(len(NAMES))]
    return plots.intervals(NAMES, VALUES, colors, unit=unit, notes=["+11 / -5"] * len(NAMES))


def costs() -> Figure:
    points = [(name, 181.0 + row, 50.0 + row) for row, name in enumerate([*WIDE, *WIDE])]
    return plots.pareto(
        points, title=f"humaneval 1.0 · base, greedy, n=1 · {'limits.cpu_s: 3, ' * 4}", cost="tokens"
    )


def along() -> Figure:
    return plots.lines([(name, [0.5, 1.0], [1.0, 2.0]) for name in WIDE], title="Score", x="x", y="y")


@pytest.mark.parametrize("draw", [forest, costs, along])
def test_no_text_of_a_figure_is_clipped(draw: Callable[[], Figure], tmp_path: Path) -> None:
    figure = draw()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.save(figure, tmp_path, "figure")
    figure.draw_without_rendering()
    for text in figure.findobj(Text):
        if any(map(str.isalpha, text.get_text())):  # numbers of an axis beyond its ends are not drawn
            box = text.get_window_extent()
            assert -1 <= box.x0 < box.x1 <= figure.bbox.x1 + 1, text.get_text()
