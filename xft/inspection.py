"""What a checkpoint is: sizes, experts, how far they drifted apart, lineage. Needs no torch."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from xft.architecture import MlpLayout, find_mlps
from xft.checkpoint import Checkpoint, open_checkpoint
from xft.config import MoeConfig
from xft.errors import ArchitectureError
from xft.lineage import content_hash, read_lineage
from xft.merge import Rows, expert_ranges
from xft.numeric import read_values
from xft.tensorfile import FileReader


def inspect_checkpoint(
    directory: Path, with_experts: bool = False, full_hash: bool = False
) -> dict[str, Any]:
    """Return what is known of a checkpoint, ready to print.

    Args:
        directory: The checkpoint.
        with_experts: For an MoE, measure how far its experts are from each other; reads every expert.
        full_hash: See `xft.lineage.content_hash`.

    Raises:
        CheckpointError: If it is missing or truncated.
    """
    checkpoint = open_checkpoint(directory)
    total = sum(math.prod(entry.shape) for entry in checkpoint.tensors.values())
    found: dict[str, Any] = {
        "kind": "MoE" if checkpoint.is_moe else "dense",
        "architecture": ", ".join(checkpoint.config.get("architectures") or ["unknown"]),
        "parameters": total,
        "bytes": sum(entry.data.n_bytes for entry in checkpoint.tensors.values()),
        "dtypes": sorted({entry.dtype for entry in checkpoint.tensors.values()}),
        "shards": len({entry.data.path for entry in checkpoint.tensors.values()}),
        "content_hash": content_hash(checkpoint, full_hash),
    }
    found |= _moe(checkpoint, total, with_experts) if checkpoint.is_moe else _dense(checkpoint)
    lineage = read_lineage(directory)
    found["stage"] = lineage.stage if lineage else None
    found["parents"] = (
        [f"{parent.path} ({parent.content_hash[:12]})" for parent in lineage.parents] if lineage else []
    )
    return found


def _dense(checkpoint: Checkpoint) -> dict[str, Any]:
    try:
        layout = find_mlps(checkpoint)
    except ArchitectureError as error:
        return {"can be upcycled": f"no: {error.message}"}
    kernel = "fused experts" if layout.container == "experts" else "expert by expert: not plain SwiGLU"
    where = f"{layout.n_layers} x {layout.layers}.*.{layout.mlp}"
    return {"can be upcycled": f"yes: {where}, in vLLM {kernel}"}


def _moe(checkpoint: Checkpoint, total: int, with_experts: bool) -> dict[str, Any]:
    layout, moe = MlpLayout.from_json(checkpoint.config), MoeConfig.from_json(checkpoint.config)
    stacked = [
        checkpoint.tensors[layout.stack_name(layer, stack)]
        for layer in range(layout.n_layers)
        for stack in layout.stacks
    ]
    in_experts = sum(math.prod(entry.shape) for entry in stacked)
    found: dict[str, Any] = {
        "base": checkpoint.config["xft_base_config"]["architectures"][0],
        "active parameters": total - in_experts + in_experts * moe.top_k // moe.num_experts,
        "experts": f"{moe.num_experts}, top-{moe.top_k}, routing {moe.routing}, {moe.router} router",
    }
    if with_experts:
        found["experts drift"] = [_drift(checkpoint, layout, layer) for layer in range(layout.n_layers)]
    return found


def _drift(checkpoint: Checkpoint, layout: MlpLayout, layer: int) -> str:
    """Say how far the experts of a layer are from their mean, relative to its norm."""
    squares, mean_square = 0.0, 0.0
    with FileReader() as reader:
        for stack in layout.stacks:
            entry = checkpoint.tensors[layout.stack_name(layer, stack)]
            ranges = expert_ranges(entry, Rows(0, entry.shape[1:]))
            values = [read_values(source, entry.dtype, reader).astype(np.float64) for source in ranges]
            mean = np.mean(values, axis=0)
            squares += sum(float(np.sum((value - mean) ** 2)) for value in values) / len(values)
            mean_square += float(np.sum(mean**2))
    return f"layer {layer}: {math.sqrt(squares / mean_square) if mean_square else 0.0:.2e} of the mean's norm"
