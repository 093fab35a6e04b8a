"""Sizes and training costs against the method's own count, and what is said of a line that is broken."""

import json
import math
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from pico import save_model, save_tokenizer  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from xft.checkpoint import open_checkpoint  # noqa: E402
from xft.config import MoeConfig  # noqa: E402
from xft.flops import token_flops  # noqa: E402
from xft.lineage import encode, record  # noqa: E402
from xft.merge import MergeOptions, merge  # noqa: E402
from xft.upcycle import upcycle  # noqa: E402
from xftbench.store.model_facts import read_facts  # noqa: E402

MOE = MoeConfig(num_experts=4, top_k=2)
COST = {"tokens": 1000, "seconds": 3.0, "processes": 2, "device": "test", "data": "rows.jsonl"}


def tuned(source: Path, target: Path, stage: str) -> Path:
    """Copy a checkpoint as training would leave it, with its cost."""
    shutil.copytree(source, target)
    parent = open_checkpoint(source)
    lineage = record(stage, [parent], {"cost": COST}, seed=1)  # type: ignore[arg-type]
    (target / "xft_lineage.json").write_text(encode(lineage))
    return target


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("line")
    dense = root / "dense"
    save_model(dense, save_tokenizer(dense, None))
    upcycle(dense, root / "upcycled", MOE, seed=1)
    moe = tuned(root / "upcycled", root / "moe", "train")
    merge(moe, root / "merged", MergeOptions(rule="uniform"))
    sft = tuned(dense, root / "sft", "sft")
    return {"dense": dense, "moe": moe, "merged": root / "merged", "sft": sft}


def test_parameters_are_those_of_the_tensors(line: dict[str, Path]) -> None:
    for name in ("dense", "moe", "merged"):
        tensors = load_file(line[name] / "model.safetensors")
        facts = read_facts(line[name])
        assert facts is not None
        assert facts.n_parameters == sum(tensor.numel() for tensor in tensors.values())
        experts = sum(tensor.numel() for tensor in tensors.values() if tensor.ndim == 3)
        assert facts.n_active_parameters == facts.n_parameters - experts // 2


def test_training_flops_agree_with_the_methods_own_count(line: dict[str, Path]) -> None:
    per_token = token_flops(open_checkpoint(line["dense"]), MOE)
    sft, moe = read_facts(line["sft"]), read_facts(line["moe"])
    assert sft is not None
    assert moe is not None
    assert sft.train_flops == pytest.approx(1000 * per_token.sft)
    assert moe.train_flops == pytest.approx(1000 * per_token.moe)
    assert moe.train_device_s == 6.0
    assert [step.stage for step in moe.line] == ["upcycle", "train"]
    assert moe.line[1].data == "rows.jsonl"


def test_a_merge_costs_what_its_mixture_did(line: dict[str, Path]) -> None:
    merged, moe = read_facts(line["merged"]), read_facts(line["moe"])
    assert merged is not None
    assert moe is not None
    assert [step.stage for step in merged.line] == ["upcycle", "train", "merge"]
    assert merged.train_flops == moe.train_flops


def test_learning_the_mixing_is_a_step_of_its_own(line: dict[str, Path], tmp_path: Path) -> None:
    logits = [{"*": [0.0, 0.0, 0.0]}] * 2
    (tmp_path / "mixing.json").write_text(
        json.dumps({"schema": 1, "shared_weights": [0.75, 0.75], "logits": logits, "cost": COST})
    )
    merge(line["moe"], tmp_path / "merged", MergeOptions(mixing=tmp_path / "mixing.json"))
    facts = read_facts(tmp_path / "merged")
    assert facts is not None
    assert [step.stage for step in facts.line] == ["upcycle", "train", "mixing", "merge"]
    per_token = token_flops(open_checkpoint(line["dense"]), MOE)
    assert facts.train_flops == pytest.approx(1000 * (per_token.moe + per_token.mixing))


def test_a_merge_says_how_much_of_each_expert_is_in_it(line: dict[str, Path]) -> None:
    facts = read_facts(line["merged"])
    assert facts is not None
    assert facts.shares == (pytest.approx((0.75, 0.25 / 3, 0.25 / 3, 0.25 / 3)),) * 2
    assert len(facts.merged_from) == 64


def test_a_line_whose_parent_was_replaced_has_no_total(line: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(line["sft"], other)
    lineage = json.loads((other / "xft_lineage.json").read_text())
    lineage["parents"][0]["content_hash"] = "0" * 64
    (other / "xft_lineage.json").write_text(json.dumps(lineage))
    facts = read_facts(other)
    assert facts is not None
    assert "not the parent" in facts.unknown
    assert facts.train_flops is None
    assert facts.line[0].flops is not None


def test_a_stage_without_its_cost_is_unknown_and_not_free(line: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(line["sft"], other)
    lineage = json.loads((other / "xft_lineage.json").read_text())
    del lineage["recipe"]["cost"]
    (other / "xft_lineage.json").write_text(json.dumps(lineage))
    facts = read_facts(other)
    assert facts is not None
    assert facts.train_flops is None


def test_a_checkpoint_of_somebody_else_has_sizes_and_no_cost(line: dict[str, Path]) -> None:
    facts = read_facts(line["dense"])
    assert facts is not None
    assert facts.stage is None
    assert facts.train_flops is None
    assert not math.isnan(facts.n_parameters)


def test_what_is_not_a_checkpoint_has_no_facts(tmp_path: Path) -> None:
    assert read_facts(tmp_path) is None
