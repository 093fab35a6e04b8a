"""A checkpoint directory: its config, its shards, its side files; and how one is written whole or not at all.

The only module that knows how checkpoints are laid out on disk. What the tensors mean to the method is
`xft.architecture`'s business; the bytes inside a file are `xft.tensorfile`'s.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from xft.errors import CheckpointError, OutputError
from xft.tensorfile import FileReader, PlannedTensor, TensorEntry, read_header, write_file

OnBytes = Callable[[int, int], None]
"""Progress callback: (bytes written so far, bytes in all)."""

CONFIG = "config.json"
LINEAGE = "xft_lineage.json"
ROUTING_FILE = "xft_routing.json"
TRAINING_LOG = "training_log.jsonl"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".onnx", ".index.json")
# Written by xft itself or by a trainer: they belong to one checkpoint and not to its children.
_OWN_FILES = {CONFIG, LINEAGE, "xft_mixing.json", ROUTING_FILE, TRAINING_LOG}
_CODE_FILES = {"modeling_xft.py", "xft_moe.py", "xft_router.py"}
_OWN_FILES |= _CODE_FILES
_TRAINER_FILES = {"trainer_state.json", "training_args.bin", "scheduler.pt", "optimizer.pt"}
_NOT_CONVERTED = (
    "convert it once: AutoModelForCausalLM.from_pretrained(dir).save_pretrained(new_dir) writes safetensors"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was opened: config read, every shard's header checked against its size."""

    directory: Path
    config: dict[str, Any]
    tensors: dict[str, TensorEntry]

    @property
    def is_moe(self) -> bool:
        """Whether ``xft upcycle`` wrote it."""
        return "xft_num_experts" in self.config

    def require_dense(self, purpose: str) -> None:
        """Refuse an upcycled MoE.

        Raises:
            CheckpointError: If this is one.
        """
        if self.is_moe:
            raise CheckpointError(
                f"{self.directory} is an upcycled MoE, {purpose} needs a dense checkpoint",
                hint="pass the dense parent, or merge the MoE first: xft merge",
            )

    def require_moe(self, purpose: str) -> None:
        """Refuse everything but an upcycled MoE.

        Raises:
            CheckpointError: If this is not one.
        """
        if not self.is_moe:
            raise CheckpointError(
                f"{self.directory} is a dense checkpoint, {purpose} needs an upcycled MoE",
                hint="make one with: xft upcycle",
            )

    def side_files(self) -> list[Path]:
        """Return the files that travel unchanged: tokenizer, chat template, generation config, licence."""
        skipped = _OWN_FILES | _TRAINER_FILES
        return [
            path
            for path in sorted(self.directory.iterdir())
            if path.is_file()
            and path.name not in skipped
            and not path.name.startswith((".", "rng_state"))
            and not path.name.endswith(_WEIGHT_SUFFIXES)
        ]

    def code_files(self) -> dict[str, str]:
        """Return the modeling files that travel inside an MoE, by name."""
        return {
            name: (self.directory / name).read_text(encoding="utf-8")
            for name in sorted(_CODE_FILES)
            if (self.directory / name).is_file()
        }


def open_checkpoint(directory: Path) -> Checkpoint:
    """Open a checkpoint without loading a tensor.

    Raises:
        CheckpointError: If there is none, a file is missing or truncated, or it isn't in safetensors.
    """
    if not directory.is_dir():
        raise CheckpointError(f"no directory {directory}", hint="pass the folder that holds config.json")
    config = read_json(directory / CONFIG)
    if "quantization_config" in config:
        raise CheckpointError(
            f"{directory} is quantized, expected plain weights",
            hint="pass the checkpoint it was quantized from",
        )
    tensors = (
        _read_index(directory) if (directory / INDEX).is_file() else read_header(_single_file(directory))
    )
    return Checkpoint(directory, config, tensors)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        CheckpointError: If the file is missing or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"can't read {path}: {error.strerror}", hint=_hint_for(path)) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}, expected an object")
    return value


def _hint_for(path: Path) -> str | None:
    if (path.parent / "adapter_config.json").is_file():
        return "this is a LoRA adapter: merge it into its base first (peft: merge_and_unload)"
    return None


def _single_file(directory: Path) -> Path:
    if (directory / SINGLE).is_file():
        return directory / SINGLE
    others = sorted(path.name for path in directory.glob("*.safetensors"))
    if others:
        raise CheckpointError(
            f"{directory} has {', '.join(others[:3])} but no {INDEX}, so shards may be missing"
        )
    if any(directory.glob("*.bin")):
        raise CheckpointError(f"{directory} holds pickled weights, expected safetensors", hint=_NOT_CONVERTED)
    raise CheckpointError(f"{directory} holds no weights: expected {SINGLE} or {INDEX}")


def _read_index(directory: Path) -> dict[str, TensorEntry]:
    weight_map = read_json(directory / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise CheckpointError(f"{directory / INDEX} has no weight_map")
    headers = {file: read_header(directory / _plain_name(file)) for file in sorted(set(weight_map.values()))}
    missing = [name for name, file in weight_map.items() if name not in headers[file]]
    if missing:
        raise CheckpointError(
            f"{directory / weight_map[missing[0]]} lacks {missing[0]}, which the index puts there"
        )
    return {
        entry.name: entry
        for file, header in headers.items()
        for entry in header.values()
        if weight_map.get(entry.name) == file
    }


def _plain_name(file: str) -> str:
    if Path(file).name != file:
        raise CheckpointError(f"the index names {file!r}, expected a file name without a folder")
    return file


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a new checkpoint will hold, before a byte is written."""

    config: dict[str, Any]
    tensors: Sequence[PlannedTensor]
    side_files: Sequence[Path]
    texts: dict[str, str]
    """Further small files, by name."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a checkpoint is written, whatever it holds."""

    overwrite: bool = False
    """Replace an existing target."""
    shard_bytes: int = 5_000_000_000
    """A shard is closed before it would exceed this; one tensor is never split."""
    full_hash: bool = False
    """Hash every byte of the parents for the lineage, instead of a sample of each tensor."""
    on_bytes: OnBytes | None = None
    """Called after each tensor."""


DEFAULT_WRITING = Writing()


def write_checkpoint(plan: Plan, directory: Path, writing: Writing = DEFAULT_WRITING) -> None:
    """Write a planned checkpoint into an existing, empty directory, shard by shard.

    Args:
        plan: What to write.
        directory: Where; see `new_directory`.
        writing: Shard size and progress.

    Raises:
        CheckpointError: If a source file changes while it is read.
        OutputError: If the disk has too little space.
    """
    total = sum(tensor.n_bytes for tensor in plan.tensors)
    free = shutil.disk_usage(directory).free
    if free < total:
        raise OutputError(
            f"{directory.parent} has {free / 1e9:.1f} GB free, the checkpoint needs {total / 1e9:.1f} GB"
        )
    shards = _shards(plan.tensors, writing.shard_bytes)
    names = _shard_names(len(shards))
    weight_map: dict[str, str] = {}
    done = 0

    def written(tensor: PlannedTensor) -> None:
        nonlocal done
        done += tensor.n_bytes
        if writing.on_bytes is not None:
            writing.on_bytes(done, total)

    for name, shard in zip(names, shards, strict=True):
        with FileReader() as reader:
            write_file(directory / name, shard, reader, written)
        weight_map |= {tensor.name: name for tensor in shard}
    if len(names) > 1:
        _write_json(directory / INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})
    _copy_files(plan.side_files, directory)
    for name, text in plan.texts.items():
        (directory / name).write_text(text, encoding="utf-8")
    _write_json(directory / CONFIG, plan.config)


def _shards(tensors: Sequence[PlannedTensor], shard_bytes: int) -> list[list[PlannedTensor]]:
    shards: list[list[PlannedTensor]] = [[]]
    size = 0
    for tensor in tensors:
        if shards[-1] and size + tensor.n_bytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.n_bytes
    return shards


def _shard_names(count: int) -> list[str]:
    if count == 1:
        return [SINGLE]
    return [f"model-{index:05d}-of-{count:05d}.safetensors" for index in range(1, count + 1)]


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_files(paths: Sequence[Path], directory: Path) -> None:
    for path in paths:
        shutil.copyfile(path, directory / path.name)
