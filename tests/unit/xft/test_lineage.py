"""Content hashes and the lineage record."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from xft.checkpoint import LINEAGE, open_checkpoint
from xft.errors import CheckpointError
from xft.lineage import content_hash, encode, read_lineage, record


@pytest.mark.parametrize("full", [False, True])
def test_sharding_does_not_change_the_hash(save: Callable[..., Path], full: bool) -> None:
    one, many = open_checkpoint(save(name="one")), open_checkpoint(save(name="many", max_shard_size="20KB"))
    assert content_hash(one, full) == content_hash(many, full)


@pytest.mark.parametrize("full", [False, True])
def test_a_changed_weight_changes_the_hash(save: Callable[..., Path], full: bool) -> None:
    directory = save()
    before = content_hash(open_checkpoint(directory), full)
    tensors = load_file(directory / "model.safetensors")
    tensors["model.norm.weight"][0] += 1
    save_file(tensors, directory / "model.safetensors")
    assert content_hash(open_checkpoint(directory), full) != before


def test_only_the_full_hash_sees_the_middle_of_a_large_tensor(save: Callable[..., Path]) -> None:
    """The price of the quick hash, said so in its documentation."""
    directory = save(name="wide")
    path = directory / "model.safetensors"
    tensors = load_file(path) | {"extra": torch.zeros(10_000)}
    save_file(tensors, path)
    first = open_checkpoint(directory)
    before = content_hash(first, False), content_hash(first, True)
    tensors["extra"][5_000] = 1
    save_file(tensors, path)
    second = open_checkpoint(directory)
    assert content_hash(second, False) == before[0]
    assert content_hash(second, True) != before[1]


def test_a_record_reads_back(save: Callable[..., Path]) -> None:
    directory = save()
    made = record("merge", [open_checkpoint(directory)], {"rule": "uniform"}, seed=3)
    assert read_lineage(directory) is None
    (directory / LINEAGE).write_text(encode(made))
    assert read_lineage(directory) == made
    (directory / LINEAGE).write_text('{"stage": "guess"}')
    with pytest.raises(CheckpointError, match=LINEAGE):
        read_lineage(directory)
