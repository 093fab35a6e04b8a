"""How large a checkpoint is, and what it cost to make: read once, when a run is opened, and kept with it.

A run is read long after its checkpoint has moved, so these facts stand in ``spec.json``. What can't be known
is None, never a guess: a parent that is no longer where the lineage says, or is another one,
ends the line, and the training before it is unknown.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from xft.architecture import MlpLayout
from xft.checkpoint import Checkpoint, open_checkpoint
from xft.coefficients import Mixing
from xft.config import MoeConfig
from xft.errors import XftError
from xft.flops import token_flops
from xft.lineage import Lineage, content_hash, read_lineage
from xftbench.records import Record

_TRAINING_STAGES = {"sft", "train"}


class StageCost(Record):
    """One step of a checkpoint's making."""

    stage: str
    """``sft``, ``upcycle``, ``train``, ``mixing``, ``merge`` or ``baseline``."""
    tokens: int | None = None
    """Tokens trained on, all processes together."""
    flops: float | None = None
    """6 per weight and token that a token is multiplied with (4 where only some weights have gradients)."""
    device_s: float | None = None
    """Wall seconds times processes."""
    device: str = ""
    """What it ran on, as the training wrote it down."""
    data: str = ""
    """The training data, as the training wrote it down."""


class ModelFacts(Record):
    """Size and origin of a checkpoint."""

    n_parameters: int
    n_active_parameters: int
    """That take part in each token; all of them unless it is a mixture of experts."""
    stage: str | None = None
    """The last step of its making; None for a checkpoint that xft did not make."""
    line: tuple[StageCost, ...] = ()
    """Every step that is known, first to last."""
    unknown: str = ""
    """Why the line goes back no further, if it should."""
    merged_from: str = ""
    """Of a merge: content hash of the mixture."""
    shares: tuple[tuple[float, ...], ...] = ()
    """Of a merge: per layer, how much of each expert; with a shared expert, the first is λ."""

    @property
    def is_line_known(self) -> bool:
        """Whether every step since the base is known, and so its cost."""
        return self.stage is not None and not self.unknown

    @property
    def train_flops(self) -> float | None:
        """FLOPs of all steps that train; None if any is unknown."""
        return self._total([step.flops for step in self._trained()])

    @property
    def train_device_s(self) -> float | None:
        """Device seconds of all steps that train; None if any is unknown."""
        return self._total([step.device_s for step in self._trained()])

    @property
    def train_device(self) -> str | None:
        """What it was trained on; None if unknown."""
        return ", ".join(sorted({step.device for step in self._trained() if step.device})) or None

    def _trained(self) -> list[StageCost]:
        return [step for step in self.line if step.stage in _TRAINING_STAGES | {"mixing"}]

    def _total(self, parts: list[float | None]) -> float | None:
        known = [part for part in parts if part is not None]
        return math.fsum(known) if self.is_line_known and len(known) == len(parts) else None


def read_facts(directory: Path) -> ModelFacts | None:
    """Return what is known of a checkpoint directory; None if its weights are not in safetensors."""
    try:
        checkpoint = open_checkpoint(directory)
        lineage = read_lineage(directory)
        steps, unknown = _follow(checkpoint, lineage)
        total, active, _ = _sizes(checkpoint)
    except (XftError, OSError, KeyError):
        return None
    return ModelFacts(
        n_parameters=total,
        n_active_parameters=active,
        stage=lineage.stage if lineage else None,
        line=tuple(reversed(steps)),
        unknown=unknown,
        merged_from=lineage.parents[0].content_hash if lineage and lineage.stage == "merge" else "",
        shares=_shares(lineage) if lineage and lineage.stage == "merge" else (),
    )


def _shares(merge: Lineage) -> tuple[tuple[float, ...], ...]:
    """Return the coefficients of a merge; where a layer's matrices differ in theirs, the mean."""
    recipe = merge.recipe
    mixing = Mixing(shared_weights=recipe["shared_weights"], logits=recipe["logits"])
    layers = [[mixing.of(layer, part) for part in parts] for layer, parts in enumerate(mixing.logits)]
    return tuple(tuple(fmean(column) for column in zip(*parts, strict=True)) for parts in layers)


def _follow(checkpoint: Checkpoint, lineage: Lineage | None) -> tuple[list[StageCost], str]:
    """Return the steps from a checkpoint back to its base, and why they end early, if they do."""
    steps: list[StageCost] = []
    while lineage is not None:
        steps += _steps(checkpoint, lineage)
        if lineage.stage == "baseline":
            return steps, "it combines several checkpoints"
        parent = lineage.parents[0]
        try:
            checkpoint = open_checkpoint(Path(parent.path))
            if content_hash(checkpoint, full=parent.hash_kind == "bytes") != parent.content_hash:
                return steps, f"{parent.path} is not the parent that was recorded"
            lineage = read_lineage(Path(parent.path))
        except (XftError, OSError) as error:
            return steps, f"the parent {parent.path} can't be read: {error}".splitlines()[0]
    return steps, ""


def _steps(checkpoint: Checkpoint, lineage: Lineage) -> Iterator[StageCost]:
    """Yield a stage, last step first; a merge with learned coefficients is two steps."""
    recipe = lineage.recipe
    if lineage.stage not in _TRAINING_STAGES:
        yield StageCost(stage=lineage.stage)
        if lineage.stage == "merge" and recipe.get("rule") == "learned":
            yield _trained("mixing", recipe.get("mixing_cost"), _mixing_flops(checkpoint))
        return
    yield _trained(lineage.stage, recipe.get("cost"), 6.0 * _sizes(checkpoint)[2])


def _mixing_flops(merged: Checkpoint) -> float | None:
    """Return what learning the mixing costs per token: the model is of the merged one's size."""
    try:
        return token_flops(merged, MoeConfig()).mixing
    except XftError:
        return None


def _trained(stage: str, cost: object, flops_per_token: float | None) -> StageCost:
    if not isinstance(cost, dict):
        return StageCost(stage=stage)
    tokens, seconds = cost.get("tokens"), cost.get("seconds")
    return StageCost(
        stage=stage,
        tokens=tokens,
        flops=None if tokens is None or flops_per_token is None else tokens * flops_per_token,
        device_s=None if seconds is None else seconds * cost.get("processes", 1),
        device=str(cost.get("device", "")),
        data=str(cost.get("data", "")),
    )


def _sizes(checkpoint: Checkpoint) -> tuple[int, int, int]:
    """Return (parameters, active parameters, weights that a token is multiplied with)."""
    shapes = {name: entry.shape for name, entry in checkpoint.tensors.items()}
    total = sum(math.prod(shape) for shape in shapes.values())
    in_experts, share = 0, 1.0
    if checkpoint.is_moe:
        layout, moe = MlpLayout.from_json(checkpoint.config), MoeConfig.from_json(checkpoint.config)
        stacks = [layout.stack_name(layer, s) for layer in range(layout.n_layers) for s in layout.stacks]
        in_experts = sum(math.prod(shapes[name]) for name in stacks)
        share = moe.top_k / moe.num_experts
        shapes = {name: shape for name, shape in shapes.items() if name not in set(stacks)}
    active = total - in_experts + round(in_experts * share)
    matrices = [shape for shape in shapes.values() if len(shape) == 2]
    tables = [math.prod(shape) for shape in matrices if shape[0] == checkpoint.config.get("vocab_size")]
    # A lookup multiplies nothing. Untied: an embedding and a head of the same size; tied: one, and it does.
    multiplied = sum(map(math.prod, matrices)) - (tables[0] if len(tables) > 1 else 0)
    return total, active, multiplied + round(in_experts * share)
