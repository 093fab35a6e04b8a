"""Merge invariants: all hold along a real line, and each planted fault is found by its own check."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pico import save_tokenizer
from safetensors.torch import load_file, save_file
from xft_pico import WILD

from xft.config import MoeConfig
from xft.invariants import Check, check_line
from xft.merge import MergeOptions, merge
from xft.upcycle import upcycle

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")


@pytest.fixture
def line(save: Callable[..., Path], tmp_path: Path) -> Path:
    """base -> upcycled -> merged, with a tokenizer."""
    base = save("llama", name="base", dtype=torch.bfloat16)
    save_tokenizer(base, "{{ messages }}")
    upcycle(base, tmp_path / "moe", WILD)
    merge(tmp_path / "moe", tmp_path / "merged", MergeOptions(rule="uniform"))
    return tmp_path


def failed(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.detail for check in checks if check.status == "failed"}


def test_a_real_line_holds_from_the_merged_model_to_the_base(line: Path) -> None:
    checks = list(check_line(line / "merged"))
    assert {check.status for check in checks} == {"ok"}, failed(checks)
    names = {check.name for check in checks}
    assert names == {
        "parent unchanged", "no NaN", "norms", "tokenizer and template", "RoPE, vocabulary, sizes", "routing",
        "upcycled equals dense", "mixing in range", "merge is reproducible",
    }  # fmt: skip
    assert {Path(check.checkpoint).name for check in checks} == {"merged", "moe", "base"}


def change_tensor(directory: Path, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    path = directory / "model.safetensors"
    tensors = load_file(path)
    tensors[name] = change(tensors[name]).contiguous()
    save_file(tensors, path, metadata={"format": "pt"})


def change_json(path: Path, change: Callable[[dict], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def spoil_nan(line: Path) -> None:
    def nan(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[3] = float("nan")
        return tensor

    change_tensor(line / "merged", "model.norm.weight", nan)


def spoil_one_merged_value(line: Path) -> None:
    def bump(tensor: torch.Tensor) -> torch.Tensor:
        tensor.view(-1)[7] += 0.5
        return tensor

    change_tensor(line / "merged", "model.layers.1.mlp.down_proj.weight", bump)


def spoil_scale(line: Path) -> None:
    change_tensor(line / "merged", "lm_head.weight", lambda tensor: tensor * 100)


def spoil_lambda(line: Path) -> None:
    change_json(
        line / "merged" / "xft_lineage.json",
        lambda value: value["recipe"]["shared_weights"].__setitem__(0, 1.4),
    )


def spoil_template(line: Path) -> None:
    (line / "merged" / "chat_template.jinja").write_text("{{ other }}")


def spoil_tokenizer(line: Path) -> None:
    (line / "merged" / "tokenizer.json").unlink()


def spoil_vocabulary(line: Path) -> None:
    change_json(
        line / "merged" / "tokenizer.json",
        lambda value: value["model"]["vocab"].__setitem__("zzz", len(value["model"]["vocab"])),
    )


def spoil_rope(line: Path) -> None:
    def other(config: dict) -> None:
        config["rope_parameters"]["rope_theta"] = 123.0

    change_json(line / "merged" / "config.json", other)


def spoil_expert(line: Path) -> None:
    change_tensor(line / "moe", "model.layers.0.mlp.experts.down_proj", lambda tensor: tensor * 1.5)


def spoil_router(line: Path) -> None:
    name = "model.layers.0.mlp.router.proj_out.weight"
    change_tensor(line / "moe", name, lambda tensor: torch.full_like(tensor, float("inf")))


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (spoil_nan, "no NaN"),
        (spoil_one_merged_value, "merge is reproducible"),
        (spoil_scale, "norms"),
        (spoil_lambda, "mixing in range"),
        (spoil_template, "tokenizer and template"),
        (spoil_tokenizer, "tokenizer and template"),
        (spoil_vocabulary, "tokenizer and template"),
        (spoil_rope, "RoPE, vocabulary, sizes"),
        (spoil_expert, "upcycled equals dense"),
        (spoil_expert, "parent unchanged"),
        (spoil_router, "routing"),
    ],
)
def test_a_planted_fault_is_found(line: Path, spoil: Callable[[Path], None], name: str) -> None:
    spoil(line)
    assert name in failed(list(check_line(line / "merged")))


def test_a_tensor_that_exploded_is_found_without_a_parent(save: Callable[..., Path]) -> None:
    base = save("llama", name="base")
    change_tensor(base, "lm_head.weight", lambda tensor: tensor * 1e5)
    assert "expected at most 1000" in failed(list(check_line(base)))["norms"]


def test_the_released_rope_base_is_right_where_it_was_asked_for(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    upcycle(save("llama", name="base"), tmp_path / "moe", MoeConfig(reference=True))
    merge(tmp_path / "moe", tmp_path / "merged", MergeOptions(rule="uniform"))
    assert not failed(list(check_line(tmp_path / "merged")))


def test_a_parent_that_is_gone_is_told_and_can_be_named(line: Path) -> None:
    (line / "moved").mkdir()
    shutil.move(line / "moe", line / "moved" / "moe")
    gone = list(check_line(line / "merged"))
    assert [check.name for check in gone if check.status == "not checked"] == ["parent"]
    found = list(check_line(line / "merged", parents=line / "moved"))
    assert {check.status for check in found} == {"ok"}
