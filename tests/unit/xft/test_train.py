"""Full fine-tuning: its laws, its interruptions, and the whole line from a base to a merged model."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from processes import started
from safetensors.torch import save_file
from xft_pico import WILD, fails, load, run, tensors

from xft.config import MoeConfig
from xft.errors import OutputError, TrainingError, UsageProblem
from xft.lineage import read_lineage
from xft.router import XftRouter
from xft.training import TrainOptions, train
from xft.training.options import REFERENCE
from xft.training.trainer import ExpertAveraging, StepReport, share_of_peak
from xft.upcycle import upcycle

pytest.importorskip("trl", reason="trl is not installed: pip install 'xftbench[train]'")
pytestmark = [
    # TRL and accelerate, on what they call of transformers and torch.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

WORDS = ["add two numbers", "count the words", "sort a list", "open a file", "sum it up", "reverse it"]


@pytest.fixture
def ready(save: Callable[..., Path], tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base with a tokenizer, and data beside it; the current directory is theirs."""
    tokenizer.save_pretrained(save(dtype=torch.bfloat16))
    rows = [{"instruction": words, "response": "return a + b" + "!" * n} for n, words in enumerate(WORDS * 2)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path


FAST = ["--style", "raw", "--lr", "0.003", "--steps", "6", "--batch-size", "4", "--compute", "fp32"]
QUICK = TrainOptions(style="raw", lr=3e-3, steps=6, batch_size=2, compute="fp32")


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


class Crash(BaseException):
    """Stands for a kill: nobody catches it."""


@pytest.mark.parametrize("kind", ["dense", "moe", "packed", "ctrl-c", "adafactor", "reference"])
def test_interrupted_and_resumed_equals_uninterrupted(ready: Path, kind: str) -> None:
    source = ready / "dense"
    if kind != "dense":
        source = ready / "moe"
        upcycle(ready / "dense", source, WILD)
    optimizer: Any = "adafactor" if kind == "adafactor" else "adamw"
    options = TrainOptions(
        style="raw", lr=3e-3, epochs=1.5, batch_size=2, accumulate=2, compute="fp32",
        packing=kind == "packed", max_tokens=64, optimizer=optimizer, schedule="cosine",
    )  # fmt: skip
    if kind == "reference":
        options = dataclasses.replace(options, **REFERENCE)
    train(source, "d.jsonl", ready / "whole", options)

    def stop(report: StepReport) -> None:
        if report.step == 2:
            if kind != "ctrl-c":
                raise Crash
            signal.raise_signal(signal.SIGINT)

    expected: Any = KeyboardInterrupt if kind == "ctrl-c" else Crash
    with pytest.raises(expected):
        train(source, "d.jsonl", ready / "again", options, checkpoint_minutes=0, on_step=stop)
    assert not (ready / "again").exists()
    steps: list[int] = []
    train(source, "d.jsonl", ready / "again", options, on_step=lambda report: steps.append(report.step))
    assert steps[0] == (3 if kind == "ctrl-c" else 2), "it went on, and did not start anew"
    first, second = tensors(ready / "whole"), tensors(ready / "again")
    assert all(torch.equal(first[name], second[name]) for name in first)
    for file in ("training_log.jsonl", "xft_routing.json") if kind != "dense" else ("training_log.jsonl",):
        texts = [(ready / name / file).read_text() for name in ("whole", "again")]
        rows = [[json.loads(line) for line in text.splitlines()] for text in texts]
        for row in [*rows[0], *rows[1]]:
            row.pop("tokens_per_s", None)
        assert rows[0] == rows[1]
    assert not list(ready.glob(".*"))


@pytest.mark.parametrize("share", [0.5, 1.5], ids=["weights", "optimiser"])
def test_a_state_that_can_not_be_written_is_no_bug(ready: Path, share: float) -> None:
    size = 4 * sum(tensor.numel() for tensor in tensors(ready / "dense").values())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk(_: StepReport) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), limits[1]))

    try:
        with pytest.raises(OutputError, match=r"can't write .*\.out\.training"):
            train(
                ready / "dense", "d.jsonl", ready / "out", QUICK, checkpoint_minutes=0, on_step=fill_the_disk
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_unfinished_run_of_other_arguments_is_refused(ready: Path) -> None:
    def stop(_: StepReport) -> None:
        raise Crash

    with pytest.raises(Crash):
        train(ready / "dense", "d.jsonl", ready / "out", QUICK, on_step=stop)
    error = fails("sft", "dense", "--data", "d.jsonl", "-o", "out", *FAST)
    assert error.exit_code == 8
    assert "batch_size (2, now 4)" in error.message
    run("sft", "dense", "--data", "d.jsonl", "-o", "out", *FAST, "--overwrite")
    assert (ready / "out" / "config.json").exists()


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


def test_chance_deals_every_expert_the_same_number_of_tokens() -> None:
    router = XftRouter(EWA, 8).train()
    router.records = []
    _, weights, ids = router(torch.randn(103, 8))
    counts = ids.flatten().bincount(minlength=4)
    assert int(counts.max() - counts.min()) <= 1
    assert bool((weights == 1).all())
    assert float(router.records[0].loss) == 0
    assert router.eval()(torch.randn(5, 8))[2].flatten().tolist() == [0] * 5


def test_the_line_of_averaged_experts(ready: Path) -> None:
    run("upcycle", "dense", "-o", "moe", "--routing", "random", "--experts", "4", "--top-k", "1", "--verify")
    run("train", "moe", "--data", "d.jsonl", "-o", "tuned", *FAST, "--ewa", "0.3")
    run("merge", "tuned", "-o", "merged", "--rule", "mean", "--verify")
    assert tensors(ready / "merged").keys() == tensors(ready / "dense").keys()
    assert fails("sft", "dense", "--data", "d.jsonl", "-o", "x", *FAST, "--ewa", "0.3").exit_code == 3
    assert fails("train", "moe", "--data", "d.jsonl", "-o", "x", *FAST, "--ewa", "2").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_two_processes_compute_what_one_does(ready: Path, how: str, tmp_path: Path) -> None:
    arguments = ["-m", "xft", "sft", "dense", "--data", "d.jsonl", *FAST]
    if how == "ddp":
        launcher = ["torch.distributed.run", "--nproc_per_node", "2"]
    else:
        (tmp_path / "fsdp.yaml").write_text(
            "compute_environment: LOCAL_MACHINE\ndistributed_type: FSDP\nuse_cpu: true\nnum_processes: 2\n"
            "num_machines: 1\nmixed_precision: 'no'\nfsdp_config:\n  fsdp_version: 2\n"
            "  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP\n"
            "  fsdp_transformer_layer_cls_to_wrap: LlamaDecoderLayer\n"
            "  fsdp_state_dict_type: FULL_STATE_DICT\n"
        )
        launcher = ["accelerate.commands.launch", "--config_file", "fsdp.yaml"]
    environment = os.environ | {
        "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *arguments, "-o", "two", "--batch-size", "2"],
        env=environment, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("tuned on") == 1, "one process speaks"
    run(*arguments[2:], "-o", "one")
    logs = [
        [json.loads(line)["loss"] for line in (ready / name / "training_log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert logs[1] == pytest.approx(logs[0], abs=1e-3)
    assert logs[1][0] == pytest.approx(logs[0][0], abs=1e-5), "the first step sees the same weights and rows"


@pytest.mark.slow
def test_a_killed_training_goes_on(ready: Path) -> None:
    command = [sys.executable, "-m", "xft", "sft", "dense", "--data", "d.jsonl", "--style", "raw", "--steps"]
    command += ["400", "--batch-size", "2", "--compute", "fp32", "--checkpoint-minutes", "0.005", "-o"]
    path = os.pathsep.join(path for path in sys.path if path)
    options: dict[str, Any] = {"env": os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}}
    with started([*command, "again"], stderr=subprocess.DEVNULL, **options) as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if list(ready.glob(".again.training/checkpoint-*/xft_complete.json")):
                break
            time.sleep(0.01)
    assert not (ready / "again").exists()
    subprocess.run([*command, "again"], check=True, capture_output=True, **options)
    subprocess.run([*command, "whole"], check=True, capture_output=True, **options)
    first, second = tensors(ready / "whole"), tensors(ready / "again")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_two_processes_do_not_train_the_same_target(ready: Path) -> None:
    import fcntl

    state = ready / ".out.training"
    state.mkdir()
    descriptor = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        error = fails("sft", "dense", "--data", "d.jsonl", "-o", "out", *FAST)
    finally:
        os.close(descriptor)
    assert error.exit_code == 8
    assert "in use" in error.message
