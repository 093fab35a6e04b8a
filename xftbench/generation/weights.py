"""Which weight files a checkpoint has, and whether they are whole: read from their headers, never loaded."""

import json
from pathlib import Path

from xftbench.errors import BackendError

# What trainers leave beside the weights.
_NOT_WEIGHTS = {"training_args.bin", "optimizer.bin", "scheduler.bin", "scaler.bin", "random_states_0.bin"}
_MAX_HEADER_BYTES = 100 << 20
_WHOLE = {".safetensors": "model.safetensors", ".bin": "pytorch_model.bin"}
"""What a checkpoint's weights are called where they are one file, by suffix."""


def find_weights(directory: Path) -> list[Path]:
    """Return a checkpoint's weight files: ``*.safetensors`` where there are any, otherwise ``*.bin``.

    Raises:
        BackendError: If there are none, a shard of the index is missing, a file is cut off, or there are two
            sets of them.
    """
    adapters = sorted(directory.glob("adapter_model.*"))
    # Mistral's own format, published beside the usual one; loading both would be loading twice.
    usual = [
        path for path in sorted(directory.glob("*.safetensors")) if not path.name.startswith("consolidated")
    ]
    weights = [path for path in usual if path not in adapters]
    if not weights:
        binaries = sorted(directory.glob("*.bin"))
        weights = [path for path in binaries if path.name not in _NOT_WEIGHTS and path not in adapters]
    if not weights:
        if adapters:
            raise BackendError(
                f"{directory} holds only a LoRA adapter ({adapters[0].name})",
                hint="merge the adapter into its base model and give the merged checkpoint",
            )
        raise BackendError(f"{directory} has a config.json but no weights (*.safetensors or *.bin)")
    _check_index(directory, weights)
    for path in weights:
        _check_whole(path)
    return weights


def _check_index(directory: Path, weights: list[Path]) -> None:
    suffix = weights[0].suffix
    names = {path.name for path in weights}
    shards: set[str] = set()
    for index in sorted(directory.glob(f"*{suffix}.index.json")):
        try:
            listed = set(json.loads(index.read_bytes())["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise BackendError(f"{index} is not an index of weights: {error!r}") from error
        if missing := sorted(listed - names):
            raise BackendError(
                f"{directory} lacks {len(missing)} of the {len(listed)} weight files in {index.name}: "
                + ", ".join(missing[:5]),
                hint="the copy or download is incomplete; make it again",
            )
        shards |= listed
    # transformers loads the file of this name, vLLM the index's files, or all that there are.
    whole = _WHOLE[suffix]
    if len(weights) > 1 and whole in names and whole not in shards:
        raise BackendError(
            f"{directory} holds two sets of weights, {whole} and "
            + ", ".join(sorted(names - {whole})[:5])
            + ": engines would load different ones",
            hint="take away the files that are not this model's",
        )


def _check_whole(path: Path) -> None:
    try:
        size = path.stat().st_size
        expected = _safetensors_size(path) if path.suffix == ".safetensors" else None
    except OSError as error:
        raise BackendError(f"can't read {path}: {error}") from error
    if size == 0 or (expected is not None and expected != size):
        whole = "not empty" if expected is None else f"{expected} bytes"
        raise BackendError(
            f"{path} is cut off: its header says {whole}, it has {size}" if size else f"{path} is empty",
            hint="the copy or download is incomplete; make it again",
        )


def _safetensors_size(path: Path) -> int:
    """Return the size that a safetensors file must have by its own header; -1 if that makes no sense.

    Layout: 8 bytes of header length, little endian; the header, JSON; the tensors' bytes.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _MAX_HEADER_BYTES:
            return -1
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return -1
    return 8 + length + max(ends, default=0)
