"""Interruptions of a training, and several processes: the same bytes come of it."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import started
from xft_pico import FAST, QUICK, TRAINS, WILD, fails, run, tensors

from xft.errors import OutputError
from xft.training import TrainOptions, train
from xft.training.options import REFERENCE
from xft.training.state import COMPLETE, claim
from xft.training.trainer import StepReport
from xft.upcycle import upcycle

pytest.importorskip("trl", reason="trl is not installed: pip install 'xftbench[train]'")
pytestmark = TRAINS


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


def test_a_state_that_was_half_removed_or_half_written_is_nobodys(tmp_path: Path) -> None:
    whole, cut_off = tmp_path / "checkpoint-1", tmp_path / "checkpoint-2"
    claim(tmp_path, {"seed": 1}, overwrite=False).close()
    whole.mkdir()
    cut_off.mkdir()
    (whole / COMPLETE).touch()
    claim(tmp_path, {"seed": 1}, overwrite=False).close()
    assert list(tmp_path.glob("checkpoint-*")) == [whole]
    (tmp_path / "spec.json").unlink()
    claim(tmp_path, {"seed": 2}, overwrite=False).close()
    assert not list(tmp_path.glob("checkpoint-*")), "whose it was, nobody knows"


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


def launched(*arguments: str) -> str:
    """Run a module of Python's, here a launcher of several processes, and return its stdout."""
    environment = os.environ | {
        "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


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
    said = launched(*launcher, *arguments, "-o", "two", "--batch-size", "2")
    assert said.count("tuned on") == 1, "one process speaks"
    run(*arguments[2:], "-o", "one")
    logs = [
        [json.loads(line)["loss"] for line in (ready / name / "training_log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    assert logs[1] == pytest.approx(logs[0], abs=1e-3)
    assert logs[1][0] == pytest.approx(logs[0][0], abs=1e-5), "the first step sees the same weights and rows"


@pytest.mark.slow
def test_processes_stop_together_and_each_goes_on_where_it_was(ready: Path) -> None:
    upcycle(ready / "dense", ready / "moe", WILD)
    code = (
        "import signal\n"
        "from pathlib import Path\n"
        "from xft.training import TrainOptions, train\n"
        "def stop(report):  # called in one process only\n"
        "    if report.step == 3:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "def run(name, on_step=None):\n"
        "    options = TrainOptions(style='raw', lr=3e-3, steps=6, batch_size=2, compute='fp32')\n"
        "    train(Path('moe'), 'd.jsonl', Path(name), options, on_step=on_step)\n"
        "run('whole')\n"
        "try:\n"
        "    run('again', stop)\n"
        "except KeyboardInterrupt:\n"
        "    run('again')\n"
    )
    (ready / "two.py").write_text(code)
    launched("torch.distributed.run", "--nproc_per_node", "2", "two.py")
    for file in ("model.safetensors", "xft_routing.json"):
        assert (ready / "whole" / file).read_bytes() == (ready / "again" / file).read_bytes()
    costs = [
        json.loads((ready / n / "xft_lineage.json").read_text())["recipe"]["cost"] for n in ("whole", "again")
    ]
    assert costs[0]["tokens"] == costs[1]["tokens"]


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
