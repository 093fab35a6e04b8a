"""How many FLOPs a token costs in training: what makes two budgets comparable.

2 per weight of every matrix for the forward pass, twice that for the backward pass; attention's products of
activations are left out (at 1,024 tokens a few per cent). Source: Kaplan et al. 2020 (arXiv 2001.08361, 2.1).
"""

import dataclasses
import math

from xft.architecture import MlpLayout, find_mlps
from xft.checkpoint import Checkpoint
from xft.config import MoeConfig


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TokenFlops:
    """FLOPs of one training token."""

    sft: float
    moe: float
    mixing: float


def token_flops(dense: Checkpoint, moe: MoeConfig) -> TokenFlops:
    """Return what a token costs in each stage of a recipe that starts from a dense checkpoint.

    Learning the mixing runs a model of dense size, but needs the gradients of the MLPs' weights only.
    """
    layout = find_mlps(dense)
    mlps = _mlp_weights(dense, layout)
    rest = _matrix_weights(dense) - mlps
    router = sum(math.prod(shape) for shape in moe.router_shapes(layout.width).values()) * layout.n_layers
    return TokenFlops(
        sft=6.0 * (rest + mlps),
        moe=6.0 * (rest + mlps * moe.top_k + router),
        mixing=4.0 * rest + 6.0 * mlps,
    )


def _mlp_weights(dense: Checkpoint, layout: MlpLayout) -> int:
    return sum(
        math.prod(dense.tensors[layout.dense_name(layer, part)].shape)
        for layer in range(layout.n_layers)
        for parts in layout.stacks.values()
        for part in parts
    )


def _matrix_weights(dense: Checkpoint) -> int:
    """Return the weights of all matrices that a token is multiplied with: a lookup multiplies nothing."""
    matrices = {name: entry.shape for name, entry in dense.tensors.items() if len(entry.shape) == 2}
    total = sum(math.prod(shape) for shape in matrices.values())
    vocabulary = dense.config.get("vocab_size")
    tables = [math.prod(shape) for shape in matrices.values() if shape[0] == vocabulary]
    # Untied: an embedding and a head of the same size. Tied: one matrix, which the head multiplies with.
    return total - (tables[0] if len(tables) > 1 else 0)
