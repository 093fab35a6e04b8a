"""MoE checkpoint → dense checkpoint of the base architecture, tensor by tensor, on disk.

Every MLP tensor becomes Σ c_e · W_e, summed in fp32 in expert order and rounded once; everything else is
copied from the MoE (its attention, norms and embeddings were trained too), the config and side files from
the dense parent. What the coefficients are is `xft.coefficients`' business.

Source: arXiv 2404.15247, section on learnable merging.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xft.architecture import MlpLayout
from xft.checkpoint import (
    DEFAULT_WRITING,
    LINEAGE,
    Checkpoint,
    Plan,
    Writing,
    open_checkpoint,
    write_checkpoint,
)
from xft.coefficients import DEFAULT_SHARED_WEIGHT, MIXING_FILE, Mixing, Rule, as_mixing, by_rule, read_mixing
from xft.config import MoeConfig, check_shared_weight
from xft.errors import CheckpointError
from xft.lineage import encode, record
from xft.numeric import FLOAT_DTYPES, require_float, weighted_sum
from xft.output import new_directory, refuse_overlap
from xft.tensorfile import ByteRange, PlannedTensor, TensorEntry

DTYPE_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """Which rule makes the coefficients, and from what."""

    rule: Rule = "learned"
    """See `xft.coefficients.by_rule`; ``learned`` reads `mixing`."""
    mixing: Path | None = None
    """File of learned coefficients; by default ``xft_mixing.json`` inside the MoE."""
    shared_weight: float = DEFAULT_SHARED_WEIGHT
    """λ for the rules that learn nothing."""
    counts: Sequence[Sequence[float]] | None = None
    """Per layer, how often each routed expert was chosen; for the rule ``frequency``."""
    out_dtype: str | None = None
    """``BF16``, ``F16``, ``F32``: round every tensor to this; by default each keeps the MoE's dtype."""

    def __post_init__(self) -> None:
        check_shared_weight(self.shared_weight)


def merge(
    moe_dir: Path, target: Path, options: MergeOptions, *, writing: Writing = DEFAULT_WRITING
) -> Mixing:
    """Write the dense model that a mixture merges into.

    Returns:
        The coefficients that were used.

    Raises:
        CheckpointError: If the source is missing, truncated or dense, or the coefficients don't fit it.
        UsageProblem: If λ is outside [0, 1], or the rule needs what is not there.
        OutputError: If the target exists or can't be written.
    """
    source = open_checkpoint(moe_dir)
    source.require_moe("this merge")
    refuse_overlap(target, [moe_dir])
    layout = MlpLayout.from_json(source.config)
    moe = MoeConfig.from_json(source.config)
    mixing = _mixing(source, layout, moe, options)
    recipe: dict[str, Any] = {"rule": options.rule, "out_dtype": options.out_dtype}
    recipe |= {"shared_weights": mixing.shared_weights, "logits": mixing.logits, "mixing_cost": mixing.cost}
    plan = Plan(
        config=merged_config(source, options.out_dtype),
        tensors=list(planned_tensors(source, layout, mixing, options.out_dtype)),
        side_files=source.side_files(),
        texts={LINEAGE: encode(record("merge", [source], recipe, full_hash=writing.full_hash))},
    )
    with new_directory(target, writing.overwrite) as directory:
        write_checkpoint(plan, directory, writing)
    return mixing


def _mixing(source: Checkpoint, layout: MlpLayout, moe: MoeConfig, options: MergeOptions) -> Mixing:
    if options.rule == "learned":
        parts = [part for stacked in layout.stacks.values() for part in stacked]
        return read_mixing(options.mixing or source.directory / MIXING_FILE, layout.n_layers, moe, parts)
    return as_mixing(by_rule(options.rule, moe, layout.n_layers, options.shared_weight, options.counts), moe)


def merged_config(source: Checkpoint, out_dtype: str | None) -> dict[str, Any]:
    """Return the config of the dense model that an MoE merges into."""
    base = source.config.get("xft_base_config")
    if not isinstance(base, dict):
        raise CheckpointError(
            f"{source.directory}/config.json lacks xft_base_config, the dense parent's config"
        )
    config = dict(base)
    if "vocab_size" in source.config:  # embeddings may have been resized since
        config["vocab_size"] = source.config["vocab_size"]
    stored = out_dtype or _mlp_dtype(source)
    key = "torch_dtype" if "torch_dtype" in config else "dtype"
    return config | {key: DTYPE_NAMES[stored]}


def _mlp_dtype(source: Checkpoint) -> str:
    layout = MlpLayout.from_json(source.config)
    return _entry(source, layout.stack_name(0, next(iter(layout.stacks)))).dtype


def _entry(source: Checkpoint, name: str) -> TensorEntry:
    if name not in source.tensors:
        raise CheckpointError(f"{source.directory} lacks the tensor {name}")
    return source.tensors[name]


def planned_tensors(
    source: Checkpoint, layout: MlpLayout, mixing: Mixing, out_dtype: str | None
) -> Iterator[PlannedTensor]:
    """Plan every tensor of the dense model, in the order of the MoE checkpoint."""
    stacks = {
        layout.stack_name(layer, stack): (layer, stack)
        for layer in range(layout.n_layers)
        for stack in layout.stacks
    }
    for name in stacks:
        _entry(source, name)
    for name, entry in source.tensors.items():
        if name in stacks:
            layer, stack = stacks[name]
            for part, rows in expert_parts(entry, layout.stacks[stack]):
                weights = mixing.of(layer, part)
                yield _merged(entry, layout.dense_name(layer, part), rows, weights, out_dtype)
        elif not any(name.startswith(layout.router_name(layer, "")) for layer in range(layout.n_layers)):
            yield _copied(entry, out_dtype)


def _copied(entry: TensorEntry, out_dtype: str | None) -> PlannedTensor:
    """Plan a tensor that isn't merged: its bytes as they are, or rounded to the dtype that was asked for."""
    if out_dtype in {None, entry.dtype} or entry.dtype not in FLOAT_DTYPES:
        return PlannedTensor(entry.name, entry.dtype, entry.shape, [entry.data])
    pieces = weighted_sum([entry.data], entry.dtype, [1.0], out_dtype)
    return PlannedTensor(entry.name, str(out_dtype), entry.shape, pieces)


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Rows of each expert in a stacked tensor that make up one dense tensor."""

    start: int
    """First row."""
    shape: tuple[int, ...]
    """Shape of the dense tensor."""


def expert_parts(entry: TensorEntry, parts: Sequence[str]) -> Iterator[tuple[str, Rows]]:
    """Yield each dense tensor of a stack with its rows; tensors that share a stack are equally tall."""
    shape = entry.shape[1:]
    if len(parts) == 1:
        yield parts[0], Rows(0, shape)
        return
    height, rest = divmod(shape[0], len(parts))
    if rest:
        raise CheckpointError(
            f"{entry.name} has {shape[0]} rows, which {len(parts)} tensors can't share equally"
        )
    for index, part in enumerate(parts):
        yield part, Rows(index * height, (height, *shape[1:]))


def expert_ranges(entry: TensorEntry, rows: Rows) -> list[ByteRange]:
    """Return the bytes of one dense tensor in each expert."""
    n_experts = entry.shape[0]
    per_expert = entry.data.n_bytes // n_experts
    per_row = per_expert // entry.shape[1] if len(entry.shape) > 1 else per_expert
    n_rows = rows.shape[0] if rows.shape else 1
    return [
        entry.data.part(e * per_expert + rows.start * per_row, n_rows * per_row) for e in range(n_experts)
    ]


def _merged(
    entry: TensorEntry, name: str, rows: Rows, weights: Sequence[float], out_dtype: str | None
) -> PlannedTensor:
    require_float(entry.dtype, entry.name)
    if len(weights) != entry.shape[0]:
        raise CheckpointError(
            f"{entry.name} has {entry.shape[0]} experts, {len(weights)} coefficients were given"
        )
    ranges = expert_ranges(entry, rows)
    dtype = out_dtype or entry.dtype
    return PlannedTensor(name, dtype, rows.shape, weighted_sum(ranges, entry.dtype, weights, dtype))
