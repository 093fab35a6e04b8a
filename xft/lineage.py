"""Where a checkpoint comes from: ``xft_lineage.json``, written into every checkpoint that xft makes."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from xft.checkpoint import LINEAGE, Checkpoint
from xft.errors import CheckpointError

Stage = Literal["upcycle", "sft", "train", "merge", "baseline"]
_PACKAGES = ("xftbench", "torch", "transformers", "safetensors", "trl", "accelerate")
_BLOCK_BYTES = 1 << 20


class Parent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checkpoint that another was made from."""

    path: str
    """Where it lay; for people, not for identity."""
    content_hash: str
    """See `content_hash`."""
    hash_kind: Literal["structure", "bytes"]
    """What the hash covers."""


class Lineage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The record in ``xft_lineage.json``."""

    schema: Literal[1] = 1
    """Version of this record."""
    stage: Stage
    """What made the checkpoint."""
    parents: list[Parent]
    """What it was made from, in the order that the stage names them."""
    recipe: dict[str, Any]
    """Every choice of the stage, resolved."""
    seed: int | None = None
    """Seed of whatever was drawn."""
    data_hash: str | None = None
    """SHA-256 of the training data, if any was used."""
    versions: dict[str, str]
    """Python and the packages that took part."""


def content_hash(checkpoint: Checkpoint, full: bool) -> str:
    """Return a SHA-256 that identifies a checkpoint's weights and config, however they are sharded.

    Args:
        checkpoint: What to hash.
        full: Hash every byte of every tensor. If not, hash names, dtypes, shapes and the first and last
            4 KiB of each tensor: enough to tell trained siblings apart, at no cost for a 7 B model.
    """
    digest = hashlib.sha256(json.dumps(_identity(checkpoint.config), sort_keys=True).encode())
    for name in sorted(checkpoint.tensors):
        entry = checkpoint.tensors[name]
        digest.update(f"\0{name}\0{entry.dtype}\0{list(entry.shape)}\0".encode())
        with entry.data.path.open("rb") as file:
            for start, length in _sampled(entry.data.n_bytes, full):
                file.seek(entry.data.start + start)
                _update(digest, file, length)
    return digest.hexdigest()


def _identity(config: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in config.items() if key not in {"_name_or_path", "transformers_version"}
    }


def _sampled(n_bytes: int, full: bool) -> list[tuple[int, int]]:
    edge = 4096
    if full or n_bytes <= 2 * edge:
        return [(0, n_bytes)]
    return [(0, edge), (n_bytes - edge, edge)]


def _update(digest: "hashlib._Hash", file: Any, length: int) -> None:
    while length:
        block = file.read(min(_BLOCK_BYTES, length))
        if not block:
            raise CheckpointError(f"{file.name} became shorter while it was hashed")
        digest.update(block)
        length -= len(block)


def record(
    stage: Stage,
    parents: Sequence[Checkpoint],
    recipe: dict[str, Any],
    *,
    seed: int | None = None,
    data_hash: str | None = None,
    full_hash: bool = False,
) -> Lineage:
    """Build the record of a stage that was just run."""
    return Lineage(
        stage=stage,
        parents=[
            Parent(
                path=str(parent.directory.resolve()),
                content_hash=content_hash(parent, full_hash),
                hash_kind="bytes" if full_hash else "structure",
            )
            for parent in parents
        ],
        recipe=recipe,
        seed=seed,
        data_hash=data_hash,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def device_name() -> str:
    """Return what training runs on here: the GPU, or the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()


def encode(lineage: Lineage) -> str:
    """Return the record as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(lineage), indent=2).decode() + "\n"


def read_lineage(directory: Path) -> Lineage | None:
    """Return a checkpoint's record, or None if it has none.

    Raises:
        CheckpointError: If the file holds something else.
    """
    path = directory / LINEAGE
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lineage)
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path}: {error}") from error
