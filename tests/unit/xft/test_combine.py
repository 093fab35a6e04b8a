"""Rules between dense checkpoints."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from xft_pico import build

from xft.combine import CombineOptions, combine, combine_values, dare, slerp, ties
from xft.errors import CheckpointError, UsageProblem

F = np.float32


@pytest.fixture
def siblings(tmp_path: Path) -> list[Path]:
    """A base and two models tuned from it."""
    paths = []
    for seed, name in enumerate(["base", "a", "b"]):
        model = build("llama")
        torch.manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(seed and 0.1 * torch.randn_like(parameter))
        model.save_pretrained(tmp_path / name)
        paths.append(tmp_path / name)
    return paths


def read(directory: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(directory / "model.safetensors"))


def test_soup_is_the_weighted_mean(siblings: list[Path], tmp_path: Path) -> None:
    _, a, b = siblings
    combine([a, b], None, tmp_path / "out", CombineOptions(rule="soup", weights=(0.3, 0.7)))
    for name, tensor in read(tmp_path / "out").items():
        torch.testing.assert_close(tensor, 0.3 * read(a)[name] + 0.7 * read(b)[name], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("rule", ["soup", "slerp", "ties", "dare", "task-arithmetic"])
def test_copies_combine_to_themselves(siblings: list[Path], tmp_path: Path, rule: Any) -> None:
    base, a, _ = siblings
    combine([a, a], base, tmp_path / "out", CombineOptions(rule=rule))
    for name, tensor in read(tmp_path / "out").items():
        torch.testing.assert_close(tensor, read(a)[name], atol=1e-6, rtol=1e-6)


def test_task_arithmetic_adds_scaled_differences(siblings: list[Path], tmp_path: Path) -> None:
    base, a, b = siblings
    options = CombineOptions(rule="task-arithmetic", weights=(1.0, 1.0), scale=0.4)
    combine([a, b], base, tmp_path / "out", options)
    origin = read(base)
    for name, tensor in read(tmp_path / "out").items():
        expected = origin[name] + 0.4 * (read(a)[name] + read(b)[name] - 2 * origin[name])
        torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=1e-5)


def test_slerp_goes_from_one_end_to_the_other() -> None:
    first, second = np.array([1, 0, 0], F), np.array([0, 2, 0], F)
    np.testing.assert_allclose(slerp(first, second, 0.0), first, atol=1e-7)
    np.testing.assert_allclose(slerp(first, second, 1.0), second, atol=1e-7)
    middle = slerp(first, second, 0.5)
    np.testing.assert_allclose(middle, (first + second) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(slerp(first * 0, second, 0.5), second / 2)
    assert slerp(np.array([1, 0], F), np.array([3, 0], F), 0.25).tolist() == [1.5, 0], "a straight line"


def test_ties_by_hand() -> None:
    first, second = np.array([4, -1, 3, 0.1], F), np.array([2, 2, -3.5, 0.2], F)
    # density 0.75 keeps the three largest of each; election: +, +, -, (none left)
    np.testing.assert_allclose(ties([first, second], [0.5, 0.5], 0.75), [3, 2, -3.5, 0], atol=1e-6)


def test_ties_elects_among_what_is_left_after_trimming() -> None:
    base, first, second = np.zeros(2, F), np.array([-1, 5], F), np.array([0.5, 0.1], F)
    options = CombineOptions(rule="ties", density=0.5)
    assert combine_values(base, [first, second], [0.5, 0.5], options, "x").tolist() == [0.5, 5]


def test_a_tied_election_goes_to_plus() -> None:
    assert ties([np.array([1], F), np.array([-1], F)], [0.5, 0.5], 1.0).tolist() == [1.0]


def test_one_model_at_full_density_is_itself() -> None:
    base, model = np.array([1, 2, 3], F), np.array([1.5, 1, 3], F)
    for rule in ("ties", "dare", "task-arithmetic"):
        options = CombineOptions(rule=rule)  # type: ignore[arg-type]
        np.testing.assert_allclose(combine_values(base, [model], [1.0], options, "x"), model)


def test_dare_keeps_the_mean_and_depends_on_its_key_alone() -> None:
    ones = np.ones(100_000, F)
    kept = dare(ones, 0.25, "a")
    assert set(np.unique(kept).tolist()) == {0.0, 4.0}
    assert kept.mean() == pytest.approx(1.0, abs=0.03)
    np.testing.assert_array_equal(kept, dare(ones, 0.25, "a"))
    assert (kept != dare(ones, 0.25, "b")).any()


def test_dare_draws_anew_for_each_model_tensor_and_seed() -> None:
    base, model = np.zeros(1000, F), np.ones(1000, F)

    def drawn(name: str, seed: int) -> list[float]:
        options = CombineOptions(rule="dare", density=0.5, seed=seed)
        return list(combine_values(base, [model, model], [0.5, 0.5], options, name))

    assert set(drawn("x", 1)) == {0.0, 1.0, 2.0}, "1: kept of one model and not of the other"
    assert drawn("x", 1) == drawn("x", 1)
    assert drawn("x", 2) != drawn("x", 1) != drawn("y", 1)


@pytest.mark.parametrize(
    ("fields", "n_models", "with_base"),
    [
        ({"rule": "ties"}, 2, False),
        ({"rule": "slerp"}, 1, False),
        ({"rule": "soup", "weights": (1.0,)}, 2, False),
        ({"rule": "soup", "weights": (1.0, 1.0)}, 2, False),
        ({"rule": "soup", "weights": (1.0, -1.0)}, 2, False),
        ({"rule": "ties", "density": 0.0}, 2, True),
        ({"rule": "slerp", "t": 1.1}, 2, False),
        ({"rule": "average"}, 2, False),
        ({"rule": "soup", "scale": math.nan}, 2, False),
        ({"rule": "soup", "weights": (0.5, math.inf)}, 2, False),
    ],
)
def test_impossible_requests_are_refused(
    siblings: list[Path], tmp_path: Path, fields: dict[str, Any], n_models: int, with_base: bool
) -> None:
    with pytest.raises(UsageProblem):
        combine(
            siblings[1:][:n_models],
            siblings[0] if with_base else None,
            tmp_path / "out",
            CombineOptions(**fields),
        )
    assert not (tmp_path / "out").exists()


def test_strangers_are_refused(siblings: list[Path], save: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="differ in tensors"):
        combine([siblings[0], save("llama-bias")], None, tmp_path / "out", CombineOptions())
    with pytest.raises(CheckpointError, match="BF16"):
        combine(
            [siblings[0], save(name="half", dtype=torch.bfloat16)], None, tmp_path / "out", CombineOptions()
        )
