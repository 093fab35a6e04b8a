"""Merging on disk: equal to the sum in memory, whatever the family, dtype and rule."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from transformers import AutoModelForCausalLM
from xft_pico import FAMILIES, WILD, load, tensors

from xft.checkpoint import Writing
from xft.coefficients import MIXING_FILE, Mixing, by_rule
from xft.config import MoeConfig
from xft.errors import CheckpointError, UsageProblem
from xft.lineage import read_lineage
from xft.merge import MergeOptions, merge
from xft.mixing import make_mixing, to_record
from xft.upcycle import upcycle
from xft.verify import verify_merged

UNIFORM = MergeOptions(rule="uniform")


def trained(
    save: Callable[..., Path], tmp_path: Path, family: str = "llama", dtype: torch.dtype = torch.float32
) -> Path:
    """An upcycled checkpoint whose tensors were all made to differ, saved in two shards."""
    upcycle(save(family, dtype=dtype), tmp_path / "moe", WILD)
    model = load(tmp_path / "moe")
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_((0.05 * torch.randn(parameter.shape)).to(parameter.dtype))
    model.save_pretrained(tmp_path / "trained", max_shard_size="60KB")
    return tmp_path / "trained"


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
@pytest.mark.parametrize("family", FAMILIES)
def test_merged_computes_what_the_mixing_model_does(
    family: str, save: Callable[..., Path], tmp_path: Path, token_ids: torch.Tensor
) -> None:
    moe_dir = trained(save, tmp_path, family)
    model = load(moe_dir)
    mixed = make_mixing(model)
    with torch.no_grad():
        for mlp in mixed:
            mlp.logits[0].normal_()
    (tmp_path / "mix.json").write_bytes(msgspec.json.encode(to_record(mixed)))
    merge(moe_dir, tmp_path / "merged", MergeOptions(mixing=tmp_path / "mix.json"))
    merged, info = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with torch.no_grad():
        torch.testing.assert_close(
            merged.eval()(token_ids).logits, model(token_ids).logits, atol=2e-5, rtol=1e-5
        )
    dense, found = tensors(tmp_path / "dense"), tensors(tmp_path / "merged")
    assert {name: (t.shape, t.dtype) for name, t in dense.items()} == {
        name: (t.shape, t.dtype) for name, t in found.items()
    }


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rule", ["uniform", "mean", "shared-only"])
def test_merging_copies_gives_the_dense_model_back_exactly(
    save: Callable[..., Path], tmp_path: Path, dtype: torch.dtype, rule: Any
) -> None:
    upcycle(save(dtype=dtype), tmp_path / "moe", WILD)
    merge(tmp_path / "moe", tmp_path / "merged", MergeOptions(rule=rule, shared_weight=0.37))
    dense, merged = tensors(tmp_path / "dense"), tensors(tmp_path / "merged")
    assert dense.keys() == merged.keys()
    assert all(torch.equal(dense[name], merged[name]) for name in dense)
    assert json.loads((tmp_path / "dense" / "config.json").read_text()) == json.loads(
        (tmp_path / "merged" / "config.json").read_text()
    )


def test_the_sum_is_rounded_once(save: Callable[..., Path], tmp_path: Path) -> None:
    moe_dir = trained(save, tmp_path, dtype=torch.bfloat16)
    merge(moe_dir, tmp_path / "merged", UNIFORM)
    stack = tensors(moe_dir)["model.layers.0.mlp.experts.down_proj"]
    c = torch.tensor([0.75] + [0.25 / 3] * 3, dtype=torch.float64)
    exact = torch.einsum("e,eij->ij", c, stack.double())
    merged = tensors(tmp_path / "merged")["model.layers.0.mlp.down_proj.weight"]
    error, least = ((value.double() - exact).abs() for value in (merged, exact.bfloat16()))
    assert (error <= least + 1e-6 * exact.abs()).all(), "to nearest, but for ties"


def test_a_vocabulary_that_grew_in_the_moe_is_that_of_the_merged_model(
    save: Callable[..., Path], tmp_path: Path
) -> None:
    upcycle(save(), tmp_path / "moe", WILD)
    path = tmp_path / "moe" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"vocab_size": 72}))
    merge(tmp_path / "moe", tmp_path / "merged", MergeOptions(rule="uniform"))
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["vocab_size"] == 72


def test_another_dtype_can_be_asked_for(save: Callable[..., Path], tmp_path: Path) -> None:
    moe_dir = trained(save, tmp_path)
    used = merge(moe_dir, tmp_path / "merged", MergeOptions(rule="uniform", out_dtype="BF16"))
    assert {t.dtype for t in tensors(tmp_path / "merged").values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == "bfloat16"
    trained_norm = tensors(moe_dir)["model.norm.weight"]
    assert torch.equal(tensors(tmp_path / "merged")["model.norm.weight"], trained_norm.bfloat16())
    del used


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_verification_compares_with_the_mixing_model(
    save: Callable[..., Path], tmp_path: Path, dtype: torch.dtype
) -> None:
    moe_dir = trained(save, tmp_path, dtype=dtype)
    used = merge(moe_dir, tmp_path / "merged", UNIFORM)
    assert verify_merged(moe_dir, tmp_path / "merged", used).largest == 0.0
    other = merge(moe_dir, tmp_path / "other", MergeOptions(rule="shared-only"))
    assert not verify_merged(moe_dir, tmp_path / "merged", other).is_within


def test_the_lineage_holds_every_coefficient(save: Callable[..., Path], tmp_path: Path) -> None:
    moe_dir = trained(save, tmp_path)
    counts = [[1.0, 1.0, 2.0]] * 2
    merge(moe_dir, tmp_path / "merged", MergeOptions(rule="frequency", counts=counts, shared_weight=0.5))
    lineage = read_lineage(tmp_path / "merged")
    assert lineage is not None
    mixing = Mixing(shared_weights=lineage.recipe["shared_weights"], logits=lineage.recipe["logits"])
    assert mixing.of(1, "x") == pytest.approx([0.5, 0.125, 0.125, 0.25])


def test_learned_coefficients_lie_in_the_moe(save: Callable[..., Path], tmp_path: Path) -> None:
    moe_dir = trained(save, tmp_path)
    with pytest.raises(CheckpointError, match=MIXING_FILE):
        merge(moe_dir, tmp_path / "merged", MergeOptions())
    record = Mixing(shared_weights=[1.0, 1.0], logits=[{"*": [0.0] * 3}] * 2)
    (moe_dir / MIXING_FILE).write_bytes(msgspec.json.encode(record))
    merge(moe_dir, tmp_path / "merged", MergeOptions())
    assert not (tmp_path / "merged" / MIXING_FILE).exists()


@pytest.mark.parametrize(
    ("record", "error", "reason"),
    [
        (Mixing(shared_weights=[1.0], logits=[{"*": [0.0] * 3}]), CheckpointError, "1 layers"),
        (Mixing(shared_weights=[1.0] * 2, logits=[{"*": [0.0] * 7}] * 2), CheckpointError, "7 routed"),
        (Mixing(shared_weights=None, logits=[{"*": [0.0] * 3}] * 2), CheckpointError, "disagree"),
        (Mixing(shared_weights=[1.0, -0.1], logits=[{"*": [0.0] * 3}] * 2), UsageProblem, "λ"),
        (Mixing(shared_weights=[1.0], logits=[{"*": [0.0] * 3}] * 2), CheckpointError, "λ for 1 layers"),
        (Mixing(shared_weights=[1.0] * 3, logits=[{"*": [0.0] * 3}] * 2), CheckpointError, "λ for 3 layers"),
        (
            Mixing(shared_weights=[1.0] * 2, logits=[{"up_proj.weight": [0.0] * 3}] * 2),
            CheckpointError,
            "no log",
        ),
        (
            Mixing(shared_weights=[1.0] * 2, logits=[{"*": [0.0] * 3, "up": [0.0] * 3}] * 2),
            CheckpointError,
            "up,",
        ),
        ({"logits": 3}, CheckpointError, "mix.json"),
    ],
)
def test_coefficients_that_do_not_fit_are_refused(
    save: Callable[..., Path], tmp_path: Path, record: Any, error: type[Exception], reason: str
) -> None:
    upcycle(save(), tmp_path / "moe", WILD)
    (tmp_path / "mix.json").write_bytes(msgspec.json.encode(record))
    with pytest.raises(error, match=reason):
        merge(tmp_path / "moe", tmp_path / "merged", MergeOptions(mixing=tmp_path / "mix.json"))
    assert not (tmp_path / "merged").exists()


def test_rules() -> None:
    moe = MoeConfig(num_experts=4, top_k=2)
    assert by_rule("uniform", moe, 1, 0.7)[0] == pytest.approx([0.7, 0.1, 0.1, 0.1])
    assert by_rule("mean", moe, 2, 0.7) == [[0.25] * 4] * 2
    assert by_rule("shared-only", moe, 1, 0.7) == [[1.0, 0.0, 0.0, 0.0]]
    vanilla = MoeConfig(num_experts=4, top_k=2, routing="topk")
    assert by_rule("uniform", vanilla, 1, 0.7) == [[0.25] * 4]
    for counts in (
        None,
        [[1.0, 1.0]],
        [[0.0] * 3],
        [[-1.0, 2.0, 1.0]],
        [[math.nan, 1.0, 1.0]],
        [[math.inf, 1.0, 1.0]],
    ):
        with pytest.raises(UsageProblem):
            by_rule("frequency", moe, 1, 0.5, counts)
    with pytest.raises(UsageProblem, match="no shared expert"):
        by_rule("shared-only", vanilla, 1, 0.7)


def test_a_failure_midway_leaves_nothing(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save(), tmp_path / "moe", WILD)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(tmp_path / "moe", tmp_path / "merged", UNIFORM, writing=Writing(on_bytes=fail))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "moe"]
