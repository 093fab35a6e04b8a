"""How much of each expert goes into the merged model: the rules, and the file that learned ones are kept in.

Per layer (or per matrix) there are E coefficients that sum to 1. With a shared expert (expert 0) they are
[λ, (1 - λ) · softmax(logits)]; without one, softmax(logits) over all.

Source: arXiv 2404.15247, section on learnable merging; golden/README.md (merge-lambda*.safetensors).
"""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from xft.config import MoeConfig, check_shared_weight
from xft.errors import CheckpointError, UsageProblem

MIXING_FILE = "xft_mixing.json"
DEFAULT_SHARED_WEIGHT = 0.75
# The logit of a share of exactly 0; JSON has no -inf.
_NEVER = -1e9
Rule = Literal["learned", "uniform", "mean", "shared-only", "frequency"]


class Mixing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Learned mixing coefficients, as logits; the record in ``xft_mixing.json``."""

    schema: Literal[1] = 1
    """Version of this record."""
    shared_weights: list[float] | None
    """λ per layer; None if the MoE has no shared expert."""
    logits: list[dict[str, list[float]]]
    """Per layer: dense tensor name (relative to the MLP), or ``*`` for all → one logit per routed expert."""
    cost: dict[str, Any] | None = None
    """What learning them took, and from which data; None if nothing was learned."""

    def of(self, layer: int, part: str) -> list[float]:
        """Return the E coefficients of a tensor."""
        by_part = self.logits[layer]
        alpha = by_part[part] if part in by_part else by_part["*"]
        shares = softmax(alpha)
        if self.shared_weights is None:
            return shares
        weight = self.shared_weights[layer]
        return [weight, *((1.0 - weight) * share for share in shares)]


def softmax(logits: Sequence[float]) -> list[float]:
    """Return exp(x_i) / Σ exp(x_j), in fp64."""
    top = max(logits)
    powers = [math.exp(value - top) for value in logits]
    total = math.fsum(powers)
    return [power / total for power in powers]


def read_mixing(path: Path, n_layers: int, moe: MoeConfig, parts: Collection[str]) -> Mixing:
    """Read learned coefficients and check that they fit the MoE.

    Args:
        path: The record.
        n_layers: The MoE's layers.
        moe: The mixture.
        parts: The dense tensors of a layer's MLP, relative to it.

    Raises:
        CheckpointError: If the file is missing, malformed, or for other layers, tensors or experts.
        UsageProblem: If a λ is outside [0, 1].
    """
    try:
        mixing = msgspec.json.decode(path.read_bytes(), type=Mixing)
    except OSError as error:
        raise CheckpointError(
            f"can't read {path}: {error.strerror}", hint="xft learn-mixing writes it"
        ) from error
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if len(mixing.logits) != n_layers:
        raise CheckpointError(f"{path} is for {len(mixing.logits)} layers, the MoE has {n_layers}")
    if mixing.shared_weights is not None and len(mixing.shared_weights) != n_layers:
        raise CheckpointError(
            f"{path} has a λ for {len(mixing.shared_weights)} layers, the MoE has {n_layers}"
        )
    for index, layer in enumerate(mixing.logits):
        _check_parts(layer, parts, f"{path}, layer {index}")
    wrong = {len(a) for layer in mixing.logits for a in layer.values()} - {moe.num_routed}
    if wrong:
        raise CheckpointError(f"{path} is for {wrong.pop()} routed experts, the MoE has {moe.num_routed}")
    if (mixing.shared_weights is None) == moe.has_shared_expert:
        raise CheckpointError(f"{path} and the MoE disagree on whether there is a shared expert")
    for weight in mixing.shared_weights or []:
        check_shared_weight(weight)
    return mixing


def _check_parts(layer: Mapping[str, Any], parts: Collection[str], where: str) -> None:
    if strange := sorted(layer.keys() - parts - {"*"}):
        raise CheckpointError(f"{where}: no tensor {strange[0]}, expected {', '.join(parts)} or * for all")
    if "*" not in layer and (lacking := [part for part in parts if part not in layer]):
        raise CheckpointError(f"{where}: no logits for {lacking[0]}, nor for all as *")


def by_rule(
    rule: Rule,
    moe: MoeConfig,
    n_layers: int,
    shared_weight: float,
    counts: Sequence[Sequence[float]] | None = None,
) -> list[list[float]]:
    """Return each layer's E coefficients by a rule that learns nothing.

    Args:
        rule: ``uniform``: λ for the shared expert, the rest in equal parts. ``mean``: 1/E each.
            ``shared-only``: λ = 1. ``frequency``: the rest in proportion to `counts`.
        moe: The mixture.
        n_layers: Layers.
        shared_weight: λ.
        counts: Per layer, how often each routed expert was chosen.

    Raises:
        UsageProblem: If λ is outside [0, 1], or the rule needs what is not there.
    """
    weight = check_shared_weight(shared_weight) if moe.has_shared_expert else 0.0
    if rule == "mean":
        shares = [[1.0 / moe.num_experts] * moe.num_experts] * n_layers
        return [list(layer) for layer in shares]
    if rule == "shared-only":
        if not moe.has_shared_expert:
            raise UsageProblem(f"routing {moe.routing} has no shared expert, so there is no rule shared-only")
        weight = 1.0
    routed = [1.0] * moe.num_routed
    layers = [routed] * n_layers if rule != "frequency" else _checked_counts(counts, n_layers, moe.num_routed)
    return [_shares(layer, weight, moe.has_shared_expert) for layer in layers]


def _shares(counts: Sequence[float], weight: float, has_shared: bool) -> list[float]:
    total = math.fsum(counts)
    shares = [(1.0 - weight) * count / total for count in counts]
    return [weight, *shares] if has_shared else shares


def _checked_counts(
    counts: Sequence[Sequence[float]] | None, n_layers: int, num_routed: int
) -> Sequence[Sequence[float]]:
    if counts is None:
        raise UsageProblem("the rule frequency needs routing counts", hint="pass --frequencies FILE")
    if len(counts) != n_layers or any(len(layer) != num_routed for layer in counts):
        raise UsageProblem(f"the routing counts are not {n_layers} layers of {num_routed} routed experts")
    if not all(0 <= count < math.inf for layer in counts for count in layer) or any(
        math.fsum(layer) <= 0 for layer in counts
    ):
        raise UsageProblem("routing counts must be finite, not negative, and not all 0 in a layer")
    return counts


def as_mixing(table: Sequence[Sequence[float]], moe: MoeConfig) -> Mixing:
    """Return the record that has the coefficients of a table (one row per layer)."""
    weights = [row[0] for row in table] if moe.has_shared_expert else None
    routed = [row[1:] if moe.has_shared_expert else row for row in table]
    return Mixing(shared_weights=weights, logits=[{"*": _logits(row)} for row in routed])


def _logits(shares: Sequence[float]) -> list[float]:
    """Return logits whose softmax is in proportion to the shares; any will do if all are 0."""
    if not any(shares):
        return [0.0] * len(shares)
    return [math.log(share) if share > 0 else _NEVER for share in shares]
