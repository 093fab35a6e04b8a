"""Full fine-tuning, and the whole line from a base to a merged model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from xft_pico import WILD, fails, load, run, tensors

from xft.data import Example
from xft.errors import TrainingError, UsageProblem
from xft.lineage import read_lineage
from xft.train import StepReport, TrainOptions, tune
from xft.upcycle import upcycle


@pytest.fixture
def examples() -> list[Example]:
    rows = torch.randint(3, 64, (8, 10), generator=torch.Generator().manual_seed(2)).tolist()
    return [Example(row, [-100] * 4 + row[4:]) for row in rows]


@pytest.fixture
def ready(save: Callable[..., Path], tmp_path: Path, tokenizer: Any) -> Path:
    """A base with a tokenizer, and data beside it; the current directory is theirs."""
    tokenizer.save_pretrained(save(dtype=torch.bfloat16))
    rows = [{"instruction": "add two numbers", "response": "return a + b"}] * 8
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


FAST = ["--style", "raw", "--lr", "0.003", "--steps", "6", "--batch-size", "4"]


def test_the_whole_line(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ready)
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
    dense, merged = tensors(ready / "dense"), tensors(ready / "merged")
    assert dense.keys() == merged.keys()
    assert all((merged[n].dtype, merged[n].shape) == (t.dtype, t.shape) for n, t in dense.items())
    assert any(not torch.equal(dense[name], merged[name]) for name in dense)
    assert not list(ready.glob(".*"))


def test_the_same_seed_gives_the_same_model(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ready)
    run("upcycle", "dense", "-o", "moe", "--experts", "4", "--top-k", "3")
    for name in ("a", "b"):
        run("train", "moe", "--data", "d.jsonl", "-o", name, *FAST)
    first, second = tensors(ready / "a"), tensors(ready / "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["model.layers.0.mlp.router.proj_in.weight"].dtype == torch.float32


def test_the_loss_falls(save: Callable[..., Path], tmp_path: Path, examples: list[Example]) -> None:
    upcycle(save(), tmp_path / "moe", WILD)
    reports: list[StepReport] = []
    counts = tune(load(tmp_path / "moe"), examples, 0, TrainOptions(steps=20, lr=3e-3), reports.append)
    assert reports[-1].loss < 0.7 * reports[0].loss
    assert all(report.balance_loss > 0 and report.busiest >= 1 for report in reports)
    assert "busiest expert" in str(reports[0])
    assert [len(layer) for layer in counts] == [3, 3]


def test_accumulation_equals_the_whole_batch(save: Callable[..., Path], examples: list[Example]) -> None:
    directory = save()
    finals = []
    for options in (TrainOptions(steps=2, batch_size=8), TrainOptions(steps=2, batch_size=2, accumulate=4)):
        tune(model := load(directory), examples, 0, options)
        finals.append(model.state_dict())
    for name, tensor in finals[0].items():
        torch.testing.assert_close(finals[1][name], tensor, atol=1e-5, rtol=1e-4)


def test_a_loss_that_is_not_finite_writes_nothing(
    ready: Path, monkeypatch: pytest.MonkeyPatch, examples: list[Example]
) -> None:
    monkeypatch.chdir(ready)
    model = load(ready / "dense")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="at step 1"):
        tune(model, examples, 0, TrainOptions(steps=2))
    model.save_pretrained("dense")
    assert fails("sft", "dense", "--data", "d.jsonl", "-o", "out", *FAST).exit_code == 8
    assert not (ready / "out").exists()


def test_slips(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ready)
    run("upcycle", "dense", "-o", "moe")
    assert fails("sft", "moe", "--data", "d.jsonl", "-o", "out").exit_code == 3
    assert fails("train", "dense", "--data", "d.jsonl", "-o", "out").exit_code == 3
    assert fails("train", "moe", "--data", "nowhere", "-o", "out").exit_code == 7
    assert fails("train", "moe", "--data", "d.jsonl", "-o", "dense").exit_code == 5
    assert fails("train", "moe", "--data", "d.jsonl", "-o", "out", "--max-tokens", "2").exit_code == 7
    assert not (ready / "out").exists()
    with pytest.raises(UsageProblem):
        TrainOptions(lr=-1.0)
