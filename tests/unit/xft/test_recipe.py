"""``xft recipe``: the whole line, its interruptions, and its slips."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from processes import started
from xft_pico import TRAINS, fails, run, tensors

from xft.checkpoint import open_checkpoint
from xft.cli import cli
from xft.config import MoeConfig
from xft.flops import token_flops
from xft.lineage import read_lineage
from xft.recipe import builtin, read_recipe

pytest.importorskip("trl", reason="trl is not installed: pip install 'xftbench[train]'")
pytestmark = TRAINS

RECIPE = """
base = "dense"
[data]
source = "d.jsonl"
style = "raw"
held_out = 2
clean_of = []
[budget]
moe_epochs = 2
mixing_epochs = 1
flop_matched_sft = true
[moe]
num_experts = 4
top_k = 3
[sft]
batch_size = 4
compute = "fp32"
[train]
batch_size = 4
compute = "fp32"
[mixing]
batch_size = 4
shared_weight = 0.5
[merge]
rules = ["learned", "uniform", "frequency"]
"""
MADE = ["sft", "sft-flops", "moe", "xft", "xft-uniform", "xft-frequency"]


@pytest.fixture
def ready(save: Callable[..., Path], tmp_path: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A base, data, and a recipe that names them."""
    tokenizer.save_pretrained(save(dtype=torch.bfloat16))
    rows = [{"instruction": "add two numbers", "response": "return a + b" + " !" * n} for n in range(14)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "r.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def weights(out: Path) -> dict[str, torch.Tensor]:
    return {f"{name}/{key}": t for name in MADE for key, t in tensors(out / name).items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_everything_is_made_and_a_second_run_makes_nothing(ready: Path) -> None:
    out = run("recipe", "r.toml", "-o", "out")
    assert [line.split()[0] for line in out.splitlines()] == ["base", *MADE]
    stages = {name: read_lineage(ready / "out" / name) for name in MADE}
    assert [lineage.stage for lineage in stages.values() if lineage] == [
        "sft",
        "sft",
        "train",
        *["merge"] * 3,
    ]
    tuned, control, flops = (stages[name].recipe for name in ("moe", "sft", "sft-flops"))  # type: ignore[union-attr]
    assert (tuned["epochs"], control["epochs"]) == (2, 3), "the control has as many epochs as both"
    cost = token_flops(open_checkpoint(ready / "dense"), MoeConfig(num_experts=4, top_k=3))
    assert flops["epochs"] == pytest.approx((2 * cost.moe + cost.mixing) / cost.sft, abs=1e-3)
    assert flops["epochs"] > 3
    merged = [stages[name].recipe for name in ("xft", "xft-uniform", "xft-frequency")]  # type: ignore[union-attr]
    assert [recipe["shared_weights"] for recipe in merged] == [[0.5, 0.5]] * 3, "λ is [mixing]'s"
    report = json.loads((ready / "out" / "mixing_report.json").read_text())
    assert len(report["layers"]) == 2
    written = {path: path.stat().st_mtime_ns for path in (ready / "out").rglob("*") if path.is_file()}
    assert run("recipe", "r.toml", "-o", "out") == out
    unchanged = {path: path.stat().st_mtime_ns for path in (ready / "out").rglob("*") if path.is_file()}
    assert unchanged == written


def test_what_is_missing_is_made_again_and_nothing_else(ready: Path) -> None:
    run("recipe", "r.toml", "-o", "out")
    before = weights(ready / "out")
    for name in ("xft", "upcycled"):
        subprocess.run(["rm", "-r", str(ready / "out" / name)], check=True)
    out = run("recipe", "r.toml", "-o", "out", "--dry-run")
    to_make = [line.split()[2] for line in out.splitlines() if line.startswith("to make")]
    assert to_make == ["xft"], "nobody needs the upcycled model any more"
    run("recipe", "r.toml", "-o", "out")
    assert same(weights(ready / "out"), before)


def test_other_settings_are_refused_and_with_overwrite_made(ready: Path) -> None:
    run("recipe", "r.toml", "-o", "out")
    before = weights(ready / "out")
    (ready / "r.toml").write_text(RECIPE.replace("[train]\n", "[train]\nlr = 0.001\n"))
    error = fails("recipe", "r.toml", "-o", "out")
    assert error.exit_code == 5
    assert "lr 5e-05 (now 0.001)" in error.message
    assert same(weights(ready / "out"), before), "nothing was lost"
    run("recipe", "r.toml", "-o", "out", "--overwrite")
    after = weights(ready / "out")
    changed = {name.split("/")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"moe", "xft", "xft-uniform", "xft-frequency"}, "the controls were kept"
    (ready / "r.toml").write_text((ready / "r.toml").read_text().replace("0.5", "0.25"))
    to_make = run("recipe", "r.toml", "-o", "out", "--overwrite", "--dry-run")
    remade = [line.split()[2] for line in to_make.splitlines() if line.startswith("to make")]
    assert remade == ["mixing", "xft", "xft-uniform", "xft-frequency"]


def test_what_was_begun_with_other_settings_is_refused_and_with_overwrite_dropped(
    ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ready / "r.toml").write_text(RECIPE.replace("flop_matched_sft = true", ""))

    def change(part: str) -> None:
        recipe = ready / "r.toml"
        recipe.write_text(recipe.read_text().replace(f"[{part}]\n", f"[{part}]\nlr = 0.001\n"))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("xft.training._run", interrupt)
        assert isinstance(CliRunner().invoke(cli, ["recipe", "r.toml", "-o", "out"]).exception, SystemExit)
    assert (ready / "out" / ".sft.training").exists()
    change("sft")
    assert "differs in lr" in fails("recipe", "r.toml", "-o", "out").message
    with monkeypatch.context() as patched:
        patched.setattr("xft.learn._KEEP_EVERY_S", 0.0)
        patched.setattr("xft.commands.learn_mixing.show_step", interrupt)
        again = CliRunner().invoke(cli, ["recipe", "r.toml", "-o", "out", "--overwrite"])
        assert isinstance(again.exception, SystemExit)
    assert (ready / "out" / ".mixing.state").exists()
    change("mixing")
    assert "another MoE, data or options" in fails("recipe", "r.toml", "-o", "out").message
    run("recipe", "r.toml", "-o", "out", "--overwrite")
    assert read_lineage(ready / "out" / "sft").recipe["lr"] == 0.001  # type: ignore[union-attr]
    assert (ready / "out" / "xft").exists()


def test_changed_data_is_noticed(ready: Path) -> None:
    run("recipe", "r.toml", "-o", "out")
    with (ready / "d.jsonl").open("a") as file:
        file.write('{"instruction": "more", "response": "a"}\n')
    error = fails("recipe", "r.toml", "-o", "out")
    assert "source_version" in error.message


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_any_point_it_goes_on_to_the_same_end(ready: Path) -> None:
    path = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, "-m", "xft", "recipe", "r.toml", "-o", "out"]
    # Not in this process: what other tests set in torch may change the last bit.
    subprocess.run([*command[:-1], "whole"], env=environment, check=True, capture_output=True, timeout=200)
    watched = ["data", ".sft.training", "sft", ".moe.training", "moe", "mixing.json", "xft"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    n_kills = 0
    for target in watched:
        with started(command, env=environment, **quiet) as process:
            deadline = time.monotonic() + 100
            while process.poll() is None and not (ready / "out" / target).exists():
                if time.monotonic() > deadline:
                    break
                time.sleep(0.002)
        n_kills += process.returncode == -signal.SIGKILL
    assert n_kills >= 4
    # What a kill between two lines would have left: all of it goes, although nothing is to be made.
    (ready / "out" / ".sft.training").mkdir()
    (ready / "out" / f".recipe.json.{process.pid}.tmp").touch()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert same(weights(ready / "out"), weights(ready / "whole"))
    leftovers = [path.name for path in (ready / "out").iterdir() if path.name.startswith(".")]
    assert leftovers == [".lock"]


@pytest.mark.parametrize(
    ("change", "code", "complaint"),
    [
        (("[moe]", "[moee]"), 2, "did you mean moe?"),
        (("top_k = 3", "top_k = 9"), 2, "top-k is 9"),
        (("top_k = 3", "topk = 3"), 2, "did you mean top_k?"),
        (('compute = "fp32"\n[train]', 'compute = "fp8"\n[train]'), 2, "[sft]"),
        (("[sft]", "[sft]\nepochs = 3"), 2, "[budget]"),
        (("moe_epochs = 2", "moe_epochs = 0"), 2, "epochs must be positive"),
        (("moe_epochs = 2", "moe_epochs = nan"), 2, "epochs must be positive"),
        (('base = "dense"', 'base = "dense"\nseed = -1'), 2, "seed: Expected `int` >= 0"),
        (("held_out = 2", "held_out = -3"), 2, "[data]: Expected `float` > 0"),
        (("held_out = 2", "held_out = inf"), 2, "[data]: the number of rows held out is inf"),
        (("held_out = 2", "held_out = 2\nrows = 0"), 2, "[data]: Expected `int` >= 1"),
        (("held_out = 2", "held_out = 2\nmax_tokens = 0"), 2, "[data]: Expected `int` >= 1"),
        (('rules = ["learned", ', 'rules = ["best", '), 2, "[merge]"),
        (('base = "dense"', ""), 2, "has no base"),
        (('base = "dense"', "base = dense"), 2, "not TOML"),
        (('base = "dense"', 'base = "nowhere"'), 3, "no checkpoint directory"),
        (('source = "d.jsonl"', 'source = "e.jsonl"'), 7, "no file e.jsonl"),
        (("clean_of = []", 'clean_of = ["humanevil"]'), 7, "no suite and no file"),
        (("shared_weight = 0.5", "shared_weight = 1.5"), 2, "λ is 1.5"),
    ],
)
def test_slips(ready: Path, change: tuple[str, str], code: int, complaint: str) -> None:
    assert change[0] in RECIPE
    (ready / "r.toml").write_text(RECIPE.replace(*change))
    error = fails("recipe", "r.toml", "-o", "out")
    assert error.exit_code == code
    assert complaint in str(error)
    assert not (ready / "out" / "sft").exists()


def test_two_at_once_do_not_mix(ready: Path) -> None:
    import fcntl

    (ready / "out").mkdir()
    with (ready / "out" / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert fails("recipe", "r.toml", "-o", "out").exit_code == 5


def test_the_recipes_that_come_with_xft_are_valid() -> None:
    assert builtin() == ["smollm2"]
    recipe = read_recipe("smollm2")
    assert recipe.base == "smollm2"
    assert fails("recipe", "smollm").exit_code == 2
