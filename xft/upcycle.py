"""Dense checkpoint → MoE checkpoint, byte range by byte range: no tensor is loaded, no model imported.

Every MLP tensor is written once per expert, everything else once, so the mixture of N equal experts is
the dense model for any router whose weights sum to 1. The router is new and small.

Source: arXiv 2404.15247, section on upcycling; the packed layout is the one that transformers' and
vLLM's expert modules read (E, 2F, D) and (E, D, F), gate rows before up rows.
"""

import hashlib
import logging
import math
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xft.architecture import MlpLayout, find_mlps
from xft.checkpoint import (
    DEFAULT_WRITING,
    LINEAGE,
    Checkpoint,
    Plan,
    Writing,
    open_checkpoint,
    write_checkpoint,
)
from xft.config import MoeConfig
from xft.lineage import encode, record
from xft.output import new_directory, refuse_overlap
from xft.tensorfile import ByteRange, PlannedTensor

logger = logging.getLogger(__name__)

_RELEASED_ROPE_BASE = 10000.0
_TRAVELLERS = {"modeling.py": "modeling_xft.py", "moe.py": "xft_moe.py", "router.py": "xft_router.py"}


def upcycle(
    dense_dir: Path,
    target: Path,
    moe: MoeConfig,
    *,
    seed: int = 42,
    writing: Writing = DEFAULT_WRITING,
) -> MlpLayout:
    """Write the MoE made of copies of a dense checkpoint's MLPs.

    Args:
        dense_dir: A dense decoder in safetensors, in any number of shards.
        target: The new checkpoint directory; it appears whole or not at all.
        moe: Experts and routing.
        seed: Seed of the router weights.
        writing: How to write the target.

    Returns:
        Where the MLPs were found and how they were stacked.

    Raises:
        CheckpointError: If the source is missing, truncated or an MoE already.
        ArchitectureError: If the model can't be upcycled.
        OutputError: If the target exists or can't be written.
    """
    dense = open_checkpoint(dense_dir)
    dense.require_dense("upcycling")
    refuse_overlap(target, [dense_dir])
    layout = find_mlps(dense)
    with new_directory(target, writing.overwrite) as directory:
        write_checkpoint(_plan(dense, layout, moe, seed, writing.full_hash), directory, writing)
    return layout


def _plan(dense: Checkpoint, layout: MlpLayout, moe: MoeConfig, seed: int, full_hash: bool) -> Plan:
    recipe = {"moe": moe.to_json(), "layout": layout.to_json()}
    base = released_rope(dense.config) if moe.reference else dense.config
    lineage = record("upcycle", [dense], recipe, seed=seed, full_hash=full_hash)
    texts = _travelling_files(dense.config["architectures"][0])
    texts[LINEAGE] = encode(lineage)
    std = moe.init_std or float(dense.config.get("initializer_range") or 0.02)
    return Plan(
        config=_config(base, layout, moe),
        tensors=list(planned_tensors(dense, layout, moe, std, seed)),
        side_files=dense.side_files(),
        texts=texts,
    )


def _config(base: dict[str, Any], layout: MlpLayout, moe: MoeConfig) -> dict[str, Any]:
    """Return the MoE's config: the base's, whole and flat, and what was decided here.

    Only a plain SwiGLU model gets the fields that make an engine take it for an MoE: vLLM would compute
    any other MLP as SwiGLU, without an error.
    """
    config = dict(base)
    config.pop("auto_map", None)
    config["model_type"] = f"xft_{base['model_type']}"
    config["architectures"] = ["XftForCausalLM"]
    config["auto_map"] = {
        "AutoConfig": "modeling_xft.XftConfig",
        "AutoModel": "modeling_xft.XftModel",
        "AutoModelForCausalLM": "modeling_xft.XftForCausalLM",
    }
    if layout.container == "experts":
        config["num_experts"] = moe.num_experts
        config["num_experts_per_tok"] = moe.top_k
        config["moe_intermediate_size"] = layout.inner
    # Inside the config: the merge needs it, and a trainer's save_pretrained keeps no other file.
    return config | moe.to_json() | layout.to_json() | {"xft_base_config": base}


def released_rope(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config with the RoPE base that the released MoE code has, whatever the dense model's is.

    Parity: its attention never passes a base, so 10000 is used, in the MoE and in what it is merged to
    (a defect of the release). The upcycled model is then not the dense one.
    """
    changed = dict(config)
    if "rope_theta" in config:
        changed["rope_theta"] = _RELEASED_ROPE_BASE
    if isinstance(rope := config.get("rope_parameters"), dict) and "rope_theta" in rope:
        changed["rope_parameters"] = rope | {"rope_theta": _RELEASED_ROPE_BASE}
    return changed


def _travelling_files(architecture: str) -> dict[str, str]:
    """Return the modeling files of the checkpoint: our own sources, importing each other instead of xft."""
    texts = {}
    for source, name in _TRAVELLERS.items():
        text = Path(__file__).with_name(source).read_text(encoding="utf-8")
        text = text.replace("from xft.router import", "from .xft_router import")
        text = text.replace("from xft.moe import", "from .xft_moe import")
        texts[name] = text.replace(
            'BASE_ARCHITECTURE = "LlamaForCausalLM"', f"BASE_ARCHITECTURE = {architecture!r}"
        )
    return texts


def planned_tensors(
    dense: Checkpoint, layout: MlpLayout, moe: MoeConfig, std: float, seed: int
) -> Iterator[PlannedTensor]:
    """Plan every tensor of the MoE, layer by layer, in the order of the dense checkpoint."""
    first_parts = {layout.dense_name(layer, parts[0]): (layer, stack)
                   for layer in range(layout.n_layers) for stack, parts in layout.stacks.items()}  # fmt: skip
    joined = {layout.dense_name(layer, part) for layer in range(layout.n_layers)
              for parts in layout.stacks.values() for part in parts}  # fmt: skip
    routed: set[int] = set()
    for name, entry in dense.tensors.items():
        if name not in joined:
            yield PlannedTensor(name, entry.dtype, entry.shape, [entry.data])
        elif name in first_parts:
            layer, stack = first_parts[name]
            if layer not in routed:
                routed.add(layer)
                yield from _router_tensors(layout, moe, layer, std, seed)
            yield _stacked(dense, layout, moe.num_experts, layer, stack)


def _stacked(dense: Checkpoint, layout: MlpLayout, num_experts: int, layer: int, stack: str) -> PlannedTensor:
    entries = [dense.tensors[layout.dense_name(layer, part)] for part in layout.stacks[stack]]
    shape = entries[0].shape
    if len(entries) > 1:
        shape = (sum(entry.shape[0] for entry in entries), *shape[1:])
    pieces: list[ByteRange] = [entry.data for entry in entries] * num_experts
    return PlannedTensor(layout.stack_name(layer, stack), entries[0].dtype, (num_experts, *shape), pieces)


def _router_tensors(
    layout: MlpLayout, moe: MoeConfig, layer: int, std: float, seed: int
) -> Iterator[PlannedTensor]:
    """Draw a layer's router in fp32. The noise projection starts at zero, as the release meant it to.

    Parity: transformers' initialisation draws the release's noise weights anew.
    """
    for part, shape in moe.router_shapes(layout.width).items():
        name = layout.router_name(layer, part)
        scale = std if moe.reference or not part.startswith("noise") else 0.0
        yield PlannedTensor(name, "F32", shape, [_normal(math.prod(shape), scale, f"{seed}\0{name}")])


def _normal(count: int, std: float, key: str) -> bytes:
    """Return fp32 normal draws that depend on the key alone, not on the order of tensors or on torch."""
    generator = random.Random(hashlib.sha256(key.encode()).digest())
    return struct.pack(f"<{count}f", *(generator.gauss(0.0, std) if std else 0.0 for _ in range(count)))
