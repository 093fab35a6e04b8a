"""Upcycled checkpoints: what is in them, and that they work where xft is not installed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from xft_pico import WILD, load, tensors

from xft.checkpoint import Writing, open_checkpoint
from xft.config import MoeConfig
from xft.errors import CheckpointError, OutputError
from xft.lineage import read_lineage
from xft.output import new_directory, remove_leftovers
from xft.upcycle import upcycle


@pytest.fixture
def moe_dir(save: Callable[..., Path], tmp_path: Path) -> Path:
    """An upcycled pico Llama whose experts were then made to differ."""
    upcycle(save(), tmp_path / "moe", WILD)
    model = load(tmp_path / "moe")
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "experts." in name:
                parameter.mul_(1 + 0.3 * torch.randn_like(parameter))
    model.save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


def test_experts_are_byte_copies_gate_rows_first(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save(dtype=torch.bfloat16), tmp_path / "moe", WILD)
    dense, moe = tensors(tmp_path / "dense"), tensors(tmp_path / "moe")
    prefix = "model.layers.1.mlp."
    gate_up = torch.cat([dense[prefix + "gate_proj.weight"], dense[prefix + "up_proj.weight"]])
    assert torch.equal(moe[prefix + "experts.gate_up_proj"], gate_up.expand(4, -1, -1))
    assert torch.equal(
        moe[prefix + "experts.down_proj"], dense[prefix + "down_proj.weight"].expand(4, -1, -1)
    )
    assert {n for n in dense if ".mlp." not in n} == {n for n in moe if ".mlp." not in n}


def test_many_shards_give_what_one_file_gives(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save(name="one"), tmp_path / "a", WILD)
    upcycle(
        save(name="many", max_shard_size="20KB"), tmp_path / "b", WILD, writing=Writing(shard_bytes=50_000)
    )
    assert len(list((tmp_path / "b").glob("*.safetensors"))) > 2
    one, many = tensors(tmp_path / "a"), tensors(tmp_path / "b")
    assert one.keys() == many.keys()
    assert all(torch.equal(one[name], many[name]) for name in one)
    assert not list((tmp_path / "b").glob(".*"))


def test_tied_embeddings_stay_tied(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save("llama-tied"), tmp_path / "moe", WILD)
    assert "lm_head.weight" not in open_checkpoint(tmp_path / "moe").tensors
    model = load(tmp_path / "moe")
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_side_files_and_config_survive_unchanged(save: Callable[..., Path], tmp_path: Path) -> None:
    dense = save()
    for name in ("tokenizer.json", "chat_template.jinja", "LICENSE"):
        (dense / name).write_bytes(b"{%- \xff")
    (dense / "pytorch_model.bin").write_bytes(b"old")
    upcycle(dense, tmp_path / "moe", WILD)
    for name in ("tokenizer.json", "chat_template.jinja", "LICENSE", "generation_config.json"):
        assert (tmp_path / "moe" / name).read_bytes() == (dense / name).read_bytes()
    assert not (tmp_path / "moe" / "pytorch_model.bin").exists()
    before, after = (json.loads((path / "config.json").read_text()) for path in (dense, tmp_path / "moe"))
    changed = {"architectures", "model_type"}
    assert {key: after[key] for key in before if key not in changed} == {
        key: value for key, value in before.items() if key not in changed
    }
    assert load(tmp_path / "moe").config.rope_parameters["rope_theta"] == 100000.0


def test_the_lineage_names_parent_recipe_and_seed(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save(), tmp_path / "moe", WILD, seed=7)
    upcycle(tmp_path / "dense", tmp_path / "same", WILD, seed=7)
    first, second = read_lineage(tmp_path / "moe"), read_lineage(tmp_path / "same")
    assert first is not None
    assert first == second
    assert (first.stage, first.seed, first.recipe["moe"]["xft_top_k"]) == ("upcycle", 7, 3)
    assert len(first.parents[0].content_hash) == 64


def test_the_seed_decides_the_router_and_nothing_else(save: Callable[..., Path], tmp_path: Path) -> None:
    save()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        upcycle(tmp_path / "dense", tmp_path / name, WILD, seed=seed)
    a, b, c = (tensors(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert {name for name in a if not torch.equal(a[name], c[name])} == {
        name for name in a if ".router.proj" in name
    }
    weight = a["model.layers.0.mlp.router.proj_in.weight"]
    assert weight.dtype == torch.float32
    assert weight.std().item() == pytest.approx(0.5, rel=0.3)
    assert torch.equal(a["model.layers.0.mlp.router.noise.weight"], torch.zeros(3, 32))


def test_the_reference_draws_noise_weights(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save(), tmp_path / "moe", MoeConfig(reference=True))
    assert tensors(tmp_path / "moe")["model.layers.0.mlp.router.noise.weight"].abs().sum() > 0


def test_it_loads_where_xft_is_not_installed(moe_dir: Path, token_ids: torch.Tensor, tmp_path: Path) -> None:
    expected = load(moe_dir)(token_ids).logits
    torch.save(token_ids, tmp_path / "ids.pt")
    script = (
        "import sys, torch\n"
        "from transformers import AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1], trust_remote_code=True).eval()\n"
        "torch.save(model(torch.load(sys.argv[2])).logits.detach(), sys.argv[3])\n"
        "assert not any(name.split('.')[0] == 'xft' for name in sys.modules)\n"
    )
    arguments = [str(moe_dir), str(tmp_path / "ids.pt"), str(tmp_path / "out.pt")]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([sys.executable, "-c", script, *arguments], check=True, cwd=tmp_path, env=environment)
    torch.testing.assert_close(torch.load(tmp_path / "out.pt"), expected.detach())


def test_saving_and_loading_is_the_identity(moe_dir: Path, token_ids: torch.Tensor, tmp_path: Path) -> None:
    model = load(moe_dir)
    model.save_pretrained(tmp_path / "again", max_shard_size="30KB")
    first, second = tensors(moe_dir), tensors(tmp_path / "again")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(load(tmp_path / "again")(token_ids).logits, model(token_ids).logits)


def test_the_router_stays_fp32_in_a_bf16_model(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save(dtype=torch.bfloat16), tmp_path / "moe", WILD)
    model = load(tmp_path / "moe")
    assert model.model.layers[0].mlp.experts.down_proj.dtype == torch.bfloat16
    assert model.model.layers[0].mlp.router.proj_in.weight.dtype == torch.float32


def test_greedy_generation_with_cache_equals_without(moe_dir: Path, token_ids: torch.Tensor) -> None:
    model = load(moe_dir)
    model.generation_config.eos_token_id = None
    options = {"max_new_tokens": 10, "do_sample": False, "pad_token_id": 0}
    cached, plain = (model.generate(token_ids, use_cache=cache, **options) for cache in (True, False))
    assert torch.equal(cached, plain)
    assert cached.shape == (2, 22)


def test_left_padding_does_not_change_real_tokens(moe_dir: Path, token_ids: torch.Tensor) -> None:
    model = load(moe_dir)
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.long), token_ids], dim=1)
    mask = torch.cat([torch.zeros(2, 3, dtype=torch.long), torch.ones_like(token_ids)], dim=1)
    positions = (mask.cumsum(-1) - 1).clamp_min(0)
    found = model(padded, attention_mask=mask, position_ids=positions).logits[:, 3:]
    torch.testing.assert_close(found, model(token_ids).logits, atol=1e-5, rtol=1e-5)


def test_the_balance_loss_is_the_same_with_gradient_checkpointing(
    moe_dir: Path, token_ids: torch.Tensor
) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = load(moe_dir).train()
        model.config.use_cache = False
        if checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        torch.manual_seed(0)
        with model.recorded_balance() as records:
            loss = model(token_ids, attention_mask=torch.ones_like(token_ids), labels=token_ids).loss
        (loss + sum(balance.loss for balance in records)).backward()
        assert len(records) == 2, "one per layer, recomputation not counted"
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-6, rtol=1e-5)


def test_the_model_tells_its_routers_what_is_padding(moe_dir: Path, token_ids: torch.Tensor) -> None:
    model = load(moe_dir).train()
    mask = torch.ones_like(token_ids)
    mask[0, 8:] = 0
    with model.recorded_balance() as records:
        model(token_ids, attention_mask=mask)
    assert all(balance.load.sum() < 20 * 2 + 1 for balance in records), (
        "20 real tokens, 2 routed experts each"
    )
    model(token_ids)
    assert model.model.layers[0].mlp.router.token_mask_T is None


def test_an_existing_target_is_left_alone(save: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "moe").mkdir()
    (tmp_path / "moe" / "precious").write_text("x")
    with pytest.raises(OutputError, match="exists already"):
        upcycle(save(), tmp_path / "moe", WILD)
    assert [path.name for path in (tmp_path / "moe").iterdir()] == ["precious"]
    upcycle(tmp_path / "dense", tmp_path / "moe", WILD, writing=Writing(overwrite=True))
    assert not (tmp_path / "moe" / "precious").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dense", "moe"]


def test_a_failure_midway_leaves_nothing(save: Callable[..., Path], tmp_path: Path) -> None:
    dense = save()

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upcycle(dense, tmp_path / "moe", WILD, writing=Writing(on_bytes=fail))
    assert [path.name for path in tmp_path.iterdir()] == ["dense"]


@pytest.mark.parametrize(
    "damage", ["no config", "no weights", "missing shard", "short shard", "pickled", "stray"]
)
def test_damaged_sources_are_refused(save: Callable[..., Path], tmp_path: Path, damage: str) -> None:
    dense = save(max_shard_size="20KB")
    shards = sorted(dense.glob("*.safetensors"))
    if damage == "no config":
        (dense / "config.json").unlink()
    elif damage == "missing shard":
        shards[0].unlink()
    elif damage == "short shard":
        os.truncate(shards[1], 100)
    else:
        for path in [*shards, dense / "model.safetensors.index.json"]:
            path.unlink()
        if damage != "no weights":
            (dense / ("pytorch_model.bin" if damage == "pickled" else "model-00001.safetensors")).write_bytes(
                b""
            )
    with pytest.raises(CheckpointError):
        upcycle(dense, tmp_path / "moe", WILD)
    assert [path.name for path in tmp_path.iterdir()] == ["dense"]


def test_what_a_killed_run_left_is_removed(save: Callable[..., Path], tmp_path: Path) -> None:
    dense = save()
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from xft.checkpoint import Writing\n"
        "from xft.config import MoeConfig\n"
        "from xft.upcycle import upcycle\n"
        "kill = Writing(on_bytes=lambda done, total: os.kill(os.getpid(), signal.SIGKILL))\n"
        "upcycle(Path(sys.argv[1]), Path(sys.argv[2]), MoeConfig(), writing=kill)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
    command = [sys.executable, "-c", code, str(dense), str(tmp_path / "moe")]
    assert subprocess.run(command, env=environment).returncode == -9
    left = sorted(path.name for path in tmp_path.iterdir())
    assert len(left) == 2, "the source and a hidden temporary directory"
    assert left[0].startswith(".moe.")
    (tmp_path / f".moe.{os.getpid()}0.tmp.d").mkdir()
    upcycle(dense, tmp_path / "moe", WILD)
    assert {path.name for path in tmp_path.iterdir()} == {"dense", "moe", f".moe.{os.getpid()}0.tmp.d"}


def test_a_target_that_a_kill_left_aside_stays_until_there_is_another(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    target = tmp_path / "moe"
    aside, half, old = (tmp_path / f".moe.{ended.pid}{end}" for end in (".old", ".tmp", ".0.old"))
    for path in (aside, half, old):
        path.mkdir()
    remove_leftovers(target)
    assert set(tmp_path.iterdir()) == {aside, old}
    with new_directory(target):
        pass
    assert set(tmp_path.iterdir()) == {target, old}


def test_a_killed_process_of_another_container_may_have_had_our_number(tmp_path: Path) -> None:
    target, half = tmp_path / "moe", tmp_path / f".moe.{os.getpid()}.tmp"
    half.mkdir()
    with new_directory(target) as directory:
        (directory / "file").touch()
    assert set(tmp_path.iterdir()) == {target}


def test_the_reference_has_the_released_rope_base(save: Callable[..., Path], tmp_path: Path) -> None:
    upcycle(save(), tmp_path / "moe", MoeConfig(reference=True))
    config = json.loads((tmp_path / "moe" / "config.json").read_text())
    assert config["rope_parameters"]["rope_theta"] == 10000.0
    assert config["rope_parameters"]["factor"] == 4.0, "scaling is kept"
    assert config["xft_base_config"]["rope_parameters"] == config["rope_parameters"], (
        "so the merged model has it too"
    )
