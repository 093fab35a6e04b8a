"""Full fine-tuning: its laws, its interruptions, and the whole line from a base to a merged model."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import save_file
from xft_pico import FAST, QUICK, TRAINS, WILD, fails, load, run, tensors

from xft.config import MoeConfig
from xft.errors import TrainingError, UsageProblem
from xft.lineage import read_lineage
from xft.router import XftRouter
from xft.training import TrainOptions, train
from xft.training.options import REFERENCE
from xft.training.trainer import ExpertAveraging, StepReport, share_of_peak
from xft.upcycle import upcycle

pytest.importorskip("trl", reason="trl is not installed: pip install 'xftbench[train]'")
pytestmark = TRAINS


def test_the_whole_line(ready: Path) -> None:
    run("sft", "dense", "--data", "d.jsonl", "-o", "sft", *FAST)
    run("upcycle", "dense", "-o", "moe", "--experts", "4", "--top-k", "3")
    run("train", "moe", "--data", "d.jsonl", "-o", "tuned", *FAST)
    run("learn-mixing", "tuned", "--data", "d.jsonl", "--style", "raw", "--steps", "3", "--batch-size", "2")
    out = run("merge", "tuned", "-o", "merged", "--verify")
    assert "largest logit difference to the mixing model: 0.00e+00" in out
    run("merge", "tuned", "-o", "by_use", "--rule", "frequency", "--frequencies", "tuned/xft_routing.json")
    tokenizer_bytes = (ready / "dense" / "tokenizer.json").read_bytes()
    for name, stage in (("sft", "sft"), ("tuned", "train"), ("merged", "merge")):
        lineage = read_lineage(ready / name)
        assert lineage is not None
        assert lineage.stage == stage
        assert (ready / name / "tokenizer.json").read_bytes() == tokenizer_bytes
    for tuned, source in (("sft", "dense"), ("tuned", "moe")):
        assert json.loads((ready / tuned / "config.json").read_text()) == json.loads(
            (ready / source / "config.json").read_text()
        )
    dense, merged = tensors(ready / "dense"), tensors(ready / "merged")
    assert dense.keys() == merged.keys() == tensors(ready / "sft").keys()
    assert all((merged[n].dtype, merged[n].shape) == (t.dtype, t.shape) for n, t in dense.items())
    assert any(not torch.equal(dense[name], merged[name]) for name in dense)
    assert not list(ready.glob(".*"))


def older(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """GPT-2's checkpoint as its authors published it: no prefix, and the masks in it."""
    masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 64, 64) for layer in range(2)}
    return {name.removeprefix("transformer."): tensor for name, tensor in state.items()} | masks


@pytest.mark.parametrize(("family", "change"), [("gpt_neox", dict), ("gpt2", older)])
def test_names_of_older_checkpoints_are_kept(
    save: Callable[..., Path], ready: Path, tokenizer: Any, family: str, change: Any
) -> None:
    source = save(family, name=family)
    tokenizer.save_pretrained(source)
    save_file(change(tensors(source)), source / "model.safetensors", {"format": "pt"})
    train(source, "d.jsonl", ready / "out", dataclasses.replace(QUICK, steps=1))
    before, after = tensors(source), tensors(ready / "out")
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if not name.endswith(".attn.bias")}


def test_what_could_not_be_saved_is_refused_before_the_first_step(ready: Path) -> None:
    state = tensors(ready / "dense")
    state.pop("model.norm.weight")
    save_file(state, ready / "dense" / "model.safetensors", {"format": "pt"})
    error = fails("sft", "dense", "--data", "d.jsonl", "-o", "out", *FAST)
    assert error.exit_code == 3
    assert "no tensor model.norm.weight" in error.message


def test_the_same_seed_gives_the_same_model(ready: Path) -> None:
    run("upcycle", "dense", "-o", "moe", "--experts", "4", "--top-k", "3")
    for name in ("a", "b"):
        run("train", "moe", "--data", "d.jsonl", "-o", name, *FAST)
    first, second = tensors(ready / "a"), tensors(ready / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["model.layers.0.mlp.router.proj_in.weight"].dtype == torch.float32


def test_the_loss_falls_and_every_figure_is_kept(ready: Path) -> None:
    upcycle(ready / "dense", ready / "moe", WILD)
    reports: list[StepReport] = []
    options = TrainOptions(style="raw", steps=20, batch_size=8, lr=3e-3, compute="fp32")
    train(ready / "moe", "d.jsonl", ready / "tuned", options, on_step=reports.append)
    assert reports[-1].loss < 0.7 * reports[0].loss
    assert all(report.balance_loss > 0 and report.busiest >= 1 for report in reports)
    assert all(0 < report.router_entropy <= 1 for report in reports)
    groups = {"shared expert", "routed experts", "router", "attention", "rest"}
    assert set(reports[0].grad_norms) == groups
    assert "busiest expert" in str(reports[0])
    log = [json.loads(line) for line in (ready / "tuned" / "training_log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == list(range(1, 21))
    assert log[4]["grad_norms"] == reports[4].grad_norms
    counts = json.loads((ready / "tuned" / "xft_routing.json").read_text())["counts"]
    assert [len(layer) for layer in counts] == [3, 3]
    lineage = read_lineage(ready / "tuned")
    assert lineage is not None
    assert lineage.recipe["cost"]["tokens"] > 0


def test_accumulation_equals_the_whole_batch(save: Callable[..., Path], ready: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(save(name="wide"))
    finals = []
    for name, sizes in (("whole", {"batch_size": 8}), ("parts", {"batch_size": 2, "accumulate": 4})):
        options = TrainOptions(style="raw", steps=2, compute="fp32", **sizes)  # type: ignore[arg-type]
        train(ready / "wide", "d.jsonl", ready / name, options)
        finals.append(tensors(ready / name))
    for name, tensor in finals[0].items():
        torch.testing.assert_close(finals[1][name], tensor, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("packing", [False, True])
def test_rows_that_share_a_sequence_do_not_see_each_other(ready: Path, packing: bool) -> None:
    """The loss of a pass is that of its rows, each computed alone."""
    from xft.checkpoint import open_checkpoint
    from xft.data import encode, read_rows
    from xft.training import _prepare

    source = open_checkpoint(ready / "dense")
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(ready / "dense")
    examples = encode(read_rows("d.jsonl"), tokenizer, 64, "raw").examples[:4]
    options = TrainOptions(style="raw", batch_size=4, packing=packing, max_tokens=64, compute="fp32")
    trainer, _ = _prepare(source, tokenizer, examples, options, ready / "state")
    batches = list(trainer.get_train_dataloader())
    (batch,) = batches
    assert batch["input_ids"].shape[0] == 1
    model: Any = trainer.model.eval()
    expected, n_labels = 0.0, 0
    with torch.no_grad():
        for example in examples:
            logits = model(input_ids=torch.tensor([example.ids])).logits[0, :-1]
            labels = torch.tensor(example.labels)[1:]
            expected += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            n_labels += int((labels >= 0).sum())
        assert int((batch["labels"] >= 0).sum()) == n_labels
        ours = float(trainer._cross_entropy(model, dict(batch), n_labels))
        theirs = float(
            super(type(trainer), trainer).compute_loss(model, dict(batch), num_items_in_batch=n_labels)
        )
    assert ours == pytest.approx(expected / n_labels, abs=1e-5)
    assert theirs == pytest.approx(ours, abs=1e-5), "what a GPU computes"


def test_a_model_that_would_mix_rows_is_padded_instead(
    save: Callable[..., Path], ready: Path, tokenizer: Any
) -> None:
    from xft.training.trainer import keeps_rows_apart

    tokenizer.save_pretrained(save("falcon", name="falcon"))
    assert keeps_rows_apart(load(ready / "dense"))
    assert not keeps_rows_apart(load(ready / "falcon"))
    convolving: Any = transformers.Lfm2Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, layer_types=["conv", "full_attention"],
    )  # fmt: skip
    torch.manual_seed(0)
    assert not keeps_rows_apart(transformers.Lfm2ForCausalLM(convolving)), "a fresh one leaks very little"
    losses: list[float] = []
    train(
        ready / "falcon", "d.jsonl", ready / "out", QUICK, on_step=lambda report: losses.append(report.loss)
    )
    assert losses[-1] < losses[0]
    error = fails("sft", "falcon", "--data", "d.jsonl", "-o", "packed", *FAST, "--packing")
    assert error.exit_code == 2
    assert "see each other" in error.message


def test_recomputed_layers_change_nothing(save: Callable[..., Path], ready: Path, tokenizer: Any) -> None:
    tokenizer.save_pretrained(save(name="wide"))
    upcycle(ready / "wide", ready / "moe", WILD)
    finals = []
    for name, recompute in (("stored", False), ("recomputed", True)):
        options = TrainOptions(
            style="raw", steps=2, batch_size=4, compute="fp32", checkpoint_activations=recompute
        )
        train(ready / "moe", "d.jsonl", ready / name, options)
        finals.append(tensors(ready / name))
    for name, tensor in finals[0].items():
        torch.testing.assert_close(finals[1][name], tensor, atol=1e-6, rtol=1e-5)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(ready: Path) -> None:
    options = TrainOptions(style="raw", lr=1e30, steps=6, batch_size=2, warmup=0.0, clip=0.0, compute="fp32")
    with pytest.raises(TrainingError, match=r"at step [23]; the last good state is .*checkpoint-1") as caught:
        train(ready / "dense", "d.jsonl", ready / "out", options, checkpoint_minutes=0)
    assert caught.value.exit_code == 8
    assert not (ready / "out").exists()
    assert list((ready / ".out.training").glob("checkpoint-1/model.safetensors"))


def test_schedules_warm_up_from_the_first_step_and_end_near_0() -> None:
    for schedule in ("linear", "cosine"):
        options = TrainOptions(schedule=schedule, warmup=0.2)  # type: ignore[arg-type]
        shares = [share_of_peak(step, 20, options) for step in range(20)]
        assert shares[0] == 0.25
        assert max(shares) == 1.0
        assert shares[4:] == sorted(shares[4:], reverse=True)
        assert 0 < shares[-1] < 0.1


def test_reference_is_what_the_release_does_unless_told_otherwise(ready: Path) -> None:
    run(
        "sft",
        "dense",
        "--data",
        "d.jsonl",
        "-o",
        "out",
        "--style",
        "raw",
        "--steps",
        "1",
        "--reference",
        "--clip",
        "2",
    )
    lineage = read_lineage(ready / "out")
    assert lineage is not None
    assert {name: lineage.recipe[name] for name in REFERENCE} == REFERENCE | {"clip": 2.0}


def test_slips(ready: Path) -> None:
    run("upcycle", "dense", "-o", "moe")
    assert fails("sft", "moe", "--data", "d.jsonl", "-o", "out").exit_code == 3
    assert fails("train", "dense", "--data", "d.jsonl", "-o", "out").exit_code == 3
    assert fails("train", "moe", "--data", "nowhere", "-o", "out").exit_code == 7
    assert fails("train", "moe", "--data", "d.jsonl", "-o", "dense").exit_code == 5
    assert fails("train", "moe", "--data", "d.jsonl", "-o", "out", "--max-tokens", "2").exit_code == 7
    assert fails("train", "moe", "--data", "d.jsonl", "-o", "/proc/nowhere/out").exit_code == 5
    assert not (ready / "out").exists()
    with pytest.raises(UsageProblem):
        TrainOptions(lr=-1.0)
    assert load(ready / "dense") is not None


EWA = MoeConfig(num_experts=4, top_k=1, routing="random")


def test_averaging_moves_experts_together_and_keeps_their_mean(ready: Path) -> None:
    upcycle(ready / "dense", ready / "moe", EWA)
    model = load(ready / "moe", dtype=torch.float64)
    stack = next(p for n, p in model.named_parameters() if "experts" in n)
    with torch.no_grad():
        stack.copy_(torch.randn(stack.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    before = stack.detach().clone()
    ExpertAveraging(model, 0.3).on_optimizer_step(None, None, None)
    expected = torch.stack([
        0.7 * before[i] + 0.3 / 3 * sum(before[j] for j in range(4) if j != i) for i in range(4)
    ])  # fmt: skip
    torch.testing.assert_close(stack.detach(), expected)
    torch.testing.assert_close(stack.detach().mean(0), before.mean(0))
    assert not any(".router." in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("k", [1, 3])
def test_chance_deals_every_expert_the_same_number_of_tokens(k: int) -> None:
    router = XftRouter(MoeConfig(num_experts=4, top_k=k, routing="random"), 8).train()
    router.records = []
    _, weights, ids = router(torch.randn(103, 8))
    counts = ids.flatten().bincount(minlength=4)
    assert int(counts.max() - counts.min()) <= 1
    assert all(len(set(row)) == k for row in ids.tolist())
    torch.testing.assert_close(weights, torch.full((103, k), 1 / k))
    assert float(router.records[0].loss) == 0
    assert router.eval()(torch.randn(5, 8))[2].tolist() == [list(range(k))] * 5


def test_the_line_of_averaged_experts(ready: Path) -> None:
    run("upcycle", "dense", "-o", "moe", "--routing", "random", "--experts", "4", "--top-k", "1", "--verify")
    run("train", "moe", "--data", "d.jsonl", "-o", "tuned", *FAST, "--ewa", "0.3")
    run("merge", "tuned", "-o", "merged", "--rule", "mean", "--verify")
    assert tensors(ready / "merged").keys() == tensors(ready / "dense").keys()
    assert fails("sft", "dense", "--data", "d.jsonl", "-o", "x", *FAST, "--ewa", "0.3").exit_code == 3
    assert fails("train", "moe", "--data", "d.jsonl", "-o", "x", *FAST, "--ewa", "2").exit_code == 2
