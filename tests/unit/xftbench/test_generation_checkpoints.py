"""What a REF may be, what is said when it is something else, and the hash of a checkpoint's content."""

import json
import os
import shutil
import struct
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from xftbench.errors import BackendError, DataFileError, UsageProblem
from xftbench.generation import checkpoints, fingerprint, trust
from xftbench.generation.checkpoints import Checkpoint, resolve, resolve_samples


def safetensors(data: bytes = b"\0" * 8) -> bytes:
    header = json.dumps(
        {"w": {"dtype": "F32", "shape": [len(data) // 4], "data_offsets": [0, len(data)]}}
    ).encode()
    return struct.pack("<Q", len(header)) + header + data


def make_checkpoint(directory: Path, **config: Any) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps({"model_type": "llama"} | config))
    (directory / "model.safetensors").write_bytes(safetensors())
    (directory / "tokenizer.json").write_text("{}")
    return directory


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "ckpt")


def resolved(directory: Path, name: str = "m") -> Checkpoint:
    return resolve(name, str(directory), cache_dir=directory.parent / "cache")


def test_a_directory_with_config_and_weights_is_a_checkpoint(directory: Path) -> None:
    found = resolved(directory, "sft")
    assert (found.name, found.ref, found.path) == ("sft", str(directory), str(directory))
    assert (found.kind, found.model_type, found.has_chat_template) == ("dense", "llama", False)
    assert len(found.sha256) == 64


@pytest.mark.parametrize("key", ["num_experts", "num_local_experts", "n_routed_experts"])
def test_a_model_of_several_experts_is_an_moe(tmp_path: Path, key: str) -> None:
    assert resolved(make_checkpoint(tmp_path / "moe", **{key: 8})).kind == "moe"


def test_the_chat_template_is_found_in_either_place(directory: Path) -> None:
    (directory / "chat_template.jinja").write_text("{{ messages }}")
    assert resolved(directory).has_chat_template
    (directory / "chat_template.jinja").unlink()
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x"}))
    assert resolved(directory).has_chat_template


@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja",
     "modeling_moe.py", "tokenizer_config.json"],
)  # fmt: skip
def test_the_hash_covers_every_file_that_decides_the_output(directory: Path, name: str) -> None:
    before = resolved(directory).sha256
    path = directory / name
    if name == "model.safetensors":
        path.write_bytes(safetensors(b"\1" * 8))
    else:
        content = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(content | {"changed": True}))
    assert resolved(directory).sha256 != before


def test_the_hash_ignores_what_does_not_decide_the_output(directory: Path) -> None:
    before = resolved(directory).sha256
    for name in (
        "README.md",
        "trainer_state.json",
        "training_args.bin",
        "optimizer.bin",
        "pytorch_model.bin",
    ):
        (directory / name).write_bytes(b"anything")
    assert resolved(directory).sha256 == before


def test_the_hash_is_of_the_content_wherever_it_lies(directory: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(directory, copy)
    assert resolved(copy).sha256 == resolved(directory).sha256


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file that counts as large, so that its hash is remembered."""
    monkeypatch.setattr(fingerprint, "_REMEMBER_FROM_BYTES", 1)
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    return path


def test_a_large_file_is_hashed_once(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fingerprint.file_sha256(large, tmp_path / "cache")
    monkeypatch.setattr(fingerprint, "sha256_file", lambda path: pytest.fail("hashed again"))
    assert fingerprint.file_sha256(large, tmp_path / "cache") == first


def test_a_changed_file_is_hashed_again(large: Path, tmp_path: Path) -> None:
    first = fingerprint.file_sha256(large, tmp_path / "cache")
    large.write_bytes(b"abd")
    os.utime(large, ns=(1, 1))
    assert fingerprint.file_sha256(large, tmp_path / "cache") != first


@pytest.mark.parametrize("junk", [b"", b"{", b"\xff\xfe", b'{"sha256": "0"}', b"[]"])
def test_a_damaged_memory_of_a_hash_is_ignored(large: Path, tmp_path: Path, junk: bytes) -> None:
    first = fingerprint.file_sha256(large, tmp_path / "cache")
    (entry,) = (tmp_path / "cache" / "sha256").iterdir()
    entry.write_bytes(junk)
    assert fingerprint.file_sha256(large, tmp_path / "cache") == first


def test_a_memory_that_can_not_be_written_costs_nothing_but_time(large: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    assert len(fingerprint.file_sha256(large, blocked / "cache")) == 64


def test_several_may_remember_the_same_hash_at_once(large: Path, tmp_path: Path) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(fingerprint.file_sha256(large, tmp_path / "cache")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_directory_without_config_says_what_it_holds_and_what_was_meant(tmp_path: Path) -> None:
    make_checkpoint(tmp_path / "run" / "checkpoint-100")
    with pytest.raises(BackendError, match=r"no config\.json .*holds checkpoint-100") as caught:
        resolved(tmp_path / "run")
    assert "checkpoint-100" in str(caught.value.hint)


@pytest.mark.parametrize("content", [b"", b'{"model_type": "lla', b"\xff\xfe\x00junk", b"[]"])
def test_an_unreadable_config_is_named(directory: Path, content: bytes) -> None:
    (directory / "config.json").write_bytes(content)
    with pytest.raises(BackendError, match=r"config\.json (is not JSON|holds a list)"):
        resolved(directory)


def test_a_checkpoint_without_weights_is_refused(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "training_args.bin").write_bytes(b"x")
    with pytest.raises(BackendError, match="no weights"):
        resolved(directory)


def test_an_adapter_alone_is_not_a_model(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "adapter_model.safetensors")
    with pytest.raises(BackendError, match="only a LoRA adapter"):
        resolved(directory)


@pytest.mark.parametrize("size", [0, 4, 30, -1])
def test_weights_that_are_cut_off_are_refused(directory: Path, size: int) -> None:
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BackendError, match=r"cut off|is empty"):
        resolved(directory)


def test_a_missing_shard_is_named(directory: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BackendError, match=r"lacks 1 of the 2 .*model-00002-of-00002"):
        resolved(directory)


@pytest.mark.parametrize("is_indexed", [True, False])
def test_two_sets_of_weights_are_refused(directory: Path, *, is_indexed: bool) -> None:
    # transformers would take the file by itself, vLLM the shards.
    shard = directory / "model-00001-of-00001.safetensors"
    shutil.copy(directory / "model.safetensors", shard)
    if is_indexed:
        index = {"weight_map": {"a": shard.name}}
        (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(
        BackendError, match=r"two sets of weights, model.safetensors and model-00001-of-00001"
    ):
        resolved(directory)
    (directory / "model.safetensors").unlink()
    assert resolved(directory).kind == "dense"


def test_bin_weights_count_where_there_are_no_safetensors(directory: Path) -> None:
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(b"x")
    assert resolved(directory).kind == "dense"


def test_a_samples_file_stands_for_the_model_that_made_it(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text("{}\n")
    found = resolve("theirs", str(path), cache_dir=tmp_path)
    assert found == resolve_samples("theirs", path)
    assert (found.kind, found.path) == ("samples", str(path))


def test_a_missing_samples_file_gets_its_neighbours_suggested(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("{}\n")
    with pytest.raises(DataFileError, match="no samples file") as caught:
        resolve("m", str(tmp_path / "sample.jsonl"), cache_dir=tmp_path)
    assert "samples.jsonl" in str(caught.value.hint)


def test_a_misspelt_builtin_name_gets_the_right_one_suggested(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"unknown model 'smolm2'; did you mean smollm2\?") as caught:
        resolve("m", "smolm2", cache_dir=tmp_path)
    assert "checkpoint directory" in str(caught.value.hint)


def test_a_mistyped_path_gets_what_lies_beside_it_suggested(directory: Path) -> None:
    with pytest.raises(UsageProblem, match=rf"did you mean {directory}\?"):
        resolved(directory.with_name("ckpl"))


def test_a_mistyped_relative_path_is_not_taken_for_a_hub_id(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory.parent.parent)
    parent = directory.parent.name
    with pytest.raises(UsageProblem, match=rf"did you mean {parent}/ckpt\?"):
        resolve("m", f"{parent}/ckpl", cache_dir=directory.parent)


@pytest.mark.parametrize("ref", ["", "a b", "org/name/extra", "../nowhere", "/no/such/place", "http://x/y"])
def test_anything_else_is_refused_with_what_a_model_may_be(ref: str, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem) as caught:
        resolve("m", ref or "nothing at all", cache_dir=tmp_path)
    assert "hub id" in str(caught.value.hint)


def test_a_file_that_is_no_samples_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(UsageProblem, match="neither a checkpoint nor samples"):
        resolve("m", str(tmp_path / "model.gguf"), cache_dir=tmp_path)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The hub's answer to any id: a checkpoint in a directory named after its commit."""
    snapshot = make_checkpoint(tmp_path / "snapshots" / "0123abc")
    monkeypatch.setattr(checkpoints, "download", lambda repo, revision: (snapshot, snapshot.name))
    return snapshot


def test_a_hub_id_is_recorded_with_its_commit(hub: Path, tmp_path: Path) -> None:
    found = resolve("m", "org/name@main", cache_dir=tmp_path)
    assert (found.ref, found.path) == ("org/name@0123abc", str(hub))
    assert checkpoints.is_from_hub(found)


def test_offline_a_hub_id_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants", reason="the hub's client is not installed")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BackendError, match="not in the hub's cache") as caught:
        resolve("m", "no-such-org/no-such-model", cache_dir=tmp_path)
    assert "directory" in str(caught.value.hint)


def test_without_the_hub_client_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match="huggingface_hub is not installed"):
        resolve("m", "org/name", cache_dir=tmp_path)


def test_code_is_run_only_from_a_local_checkpoint_that_points_to_it(directory: Path) -> None:
    assert not trust.trusts_code(resolved(directory))
    make_checkpoint(directory, auto_map={"AutoModelForCausalLM": "modeling_moe.MoE"})
    assert trust.trusts_code(resolved(directory))


def test_code_straight_from_the_hub_is_not_run(hub: Path, tmp_path: Path) -> None:
    make_checkpoint(hub, auto_map={"AutoModelForCausalLM": "modeling_moe.MoE"})
    with pytest.raises(BackendError, match="its own Python code") as caught:
        trust.trusts_code(resolve("m", "org/name", cache_dir=tmp_path))
    assert str(hub) in str(caught.value.hint)
