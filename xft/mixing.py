"""The mixing model: every MLP is the weighted sum of a layer's frozen experts, and only the weights learn.

It computes a dense forward and backward; the experts are buffers, never parameters, so that no optimiser,
gradient bucket or all-gather sees them. What is learned is one logit per routed expert and layer (or per
matrix), and optionally λ.

Shapes: E experts, R routed experts, D model width.

Source: arXiv 2404.15247, section on learnable merging.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from xft.coefficients import Mixing
from xft.config import check_shared_weight

Per = Literal["layer", "matrix"]
# λ is learned through a sigmoid; at its ends the gradient would vanish.
_LOGIT_EDGE = 1e-4


class _WeightedSum(torch.autograd.Function):
    """Σ c_e · W_e, accumulated in fp32 (fp64 for fp64) in expert order and rounded once.

    The gradient reaches the coefficients only: dL/dc_e = <dL/dW, W_e>, in the same precision.
    """

    @staticmethod
    def forward(ctx: Any, coefficients_E: Tensor, stack: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(coefficients_E, stack)
        merged = torch.empty(stack.shape[1:], dtype=dtype, device=stack.device)
        shares = coefficients_E.tolist()
        for out, block_E in zip(_blocks(merged[None]), _blocks(stack), strict=True):
            total = torch.zeros_like(out[0], dtype=_sum_dtype(stack))
            scaled = torch.empty_like(total)
            for weights, share in zip(block_E, shares, strict=True):
                # Two roundings, not a fused one: the export computes the very same bits without torch.
                total.add_(scaled.copy_(weights).mul_(share))
            out[0].copy_(total)
        return merged

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        coefficients_E, stack = ctx.saved_tensors
        dots_E = torch.zeros_like(coefficients_E, dtype=_sum_dtype(stack))
        for parts, block_E in zip(_blocks(grad[None]), _blocks(stack), strict=True):
            part = parts[0].to(dots_E.dtype)
            dots_E += torch.stack([torch.dot(part, weights.to(dots_E.dtype)) for weights in block_E])
        return dots_E.to(coefficients_E.dtype), None, None


_BLOCK = 1 << 17


def _blocks(stack: Tensor) -> tuple[Tensor, ...]:
    """Return views of a stack, flattened and cut into blocks that stay in a CPU's cache; whole elsewhere."""
    flat = stack.reshape(stack.shape[0], -1)
    return torch.split(flat, _BLOCK if stack.device.type == "cpu" else max(1, flat.shape[1]), dim=1)


def _sum_dtype(stack: Tensor) -> torch.dtype:
    return torch.promote_types(stack.dtype, torch.float32)


def weighted_sum(coefficients_E: Tensor, stack: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return Σ c_e · stack[e]; differentiable in the coefficients, not in the stack.

    Args:
        coefficients_E: fp32 or fp64.
        stack: (E, ...), any floating dtype.
        dtype: What to round the sum to; the stack's own by default.
    """
    merged: Tensor = _WeightedSum.apply(coefficients_E, stack, dtype or stack.dtype)  # type: ignore[no-untyped-call]
    return merged


def coefficients(logits_R: Tensor, shared_weight: Tensor | float | None) -> Tensor:
    """Return [λ, (1 - λ) · softmax(logits)], or softmax(logits) if there is no shared expert.

    Computed in fp64, like `xft.coefficients.Mixing.of`, and rounded to the logits' dtype.
    """
    shares_R = torch.softmax(logits_R.double(), dim=-1)
    if shared_weight is None:
        return shares_R.to(logits_R.dtype)
    weight = torch.as_tensor(shared_weight, dtype=shares_R.dtype, device=shares_R.device).reshape(1)
    return torch.cat([weight, (1.0 - weight) * shares_R]).to(logits_R.dtype)


class MixMlp(nn.Module):
    """A dense MLP whose tensors are weighted sums of a layer's experts.

    Args:
        experts: The layer's `XftExperts`; its stacks are taken over, not copied.
        shared_weight: λ to begin with; None without a shared expert.
        per: One vector of logits for the layer, or one for each matrix.
        learn_shared: Learn λ too (an ablation: it drifts towards the shared expert).
    """

    def __init__(
        self, experts: Any, shared_weight: float | None, per: Per = "layer", learn_shared: bool = False
    ):
        super().__init__()
        self.stacks: dict[str, tuple[str, ...]] = experts.stacks
        self.part_rows: dict[str, list[int]] = experts.part_rows
        self.round_to: torch.dtype | None = None
        """Round merged tensors to this and compute in the input's dtype; to check an export against."""
        for stack in self.stacks:
            self.register_buffer(stack, getattr(experts, stack).detach())
        parts = [part for parts in self.stacks.values() for part in parts] if per == "matrix" else ["*"]
        self.keys = parts
        n_routed = experts.num_experts - (shared_weight is not None)
        device = next(iter(experts.state_dict().values())).device
        self.logits = nn.ParameterList(nn.Parameter(torch.zeros(n_routed, device=device)) for _ in parts)
        self.fixed_shared = None if shared_weight is None else check_shared_weight(shared_weight)
        self.shared_logit: nn.Parameter | None = None
        if learn_shared and shared_weight is not None:
            inside = min(max(shared_weight, _LOGIT_EDGE), 1 - _LOGIT_EDGE)
            self.shared_logit = nn.Parameter(torch.tensor(math.log(inside / (1 - inside)), device=device))
        self._template = experts._template

    def shared_weight(self) -> Tensor | float | None:
        """Return λ: a number if it is fixed, a tensor if it is learned, None without a shared expert."""
        return self.fixed_shared if self.shared_logit is None else torch.sigmoid(self.shared_logit)

    def coefficients_of(self, part: str) -> Tensor:
        """Return the E coefficients of a dense tensor."""
        index = self.keys.index(part) if part in self.keys else 0
        return coefficients(self.logits[index], self.shared_weight())

    def merged(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Return the dense MLP's tensors, rounded once to `dtype` (buffers of integers as in expert 0)."""
        tensors: dict[str, Tensor] = {}
        for stack, parts in self.stacks.items():
            stacked = self.get_buffer(stack)
            pieces = [stacked] if len(parts) == 1 else torch.split(stacked, self.part_rows[stack], dim=1)
            for part, piece in zip(parts, pieces, strict=True):
                is_float = piece.is_floating_point()
                tensors[part] = (
                    weighted_sum(self.coefficients_of(part), piece, dtype) if is_float else piece[0]
                )
        return tensors

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the merged MLP's output."""
        kind = hidden_states.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden_states.dtype
        tensors = self.merged(self.round_to or dtype)
        if self.round_to is not None:
            tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
        out: Tensor = functional_call(self._template[0].train(self.training), tensors, (hidden_states,))
        return out


def make_mixing(
    model: nn.Module, shared_weight: float = 0.75, per: Per = "layer", learn_shared: bool = False
) -> list[MixMlp]:
    """Turn a loaded MoE into its mixing model, in place: no routers, experts as buffers, all else frozen.

    Args:
        model: The MoE, as ``from_pretrained`` returns it.
        shared_weight: λ; ignored if the MoE has no shared expert.
        per: One vector of logits for each layer, or one for each matrix.
        learn_shared: Learn λ too.

    Returns:
        The new layers, first one first; their logits are the only parameters that learn.

    Raises:
        UsageProblem: If λ is outside [0, 1].
    """
    model.requires_grad_(False)
    mixed = []
    for parent in list(model.modules()):
        child: Any
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "XftMlp":  # by name: a checkpoint brings its own copy of the class
                has_shared = child.router.options.routing.startswith("xft")
                experts = getattr(child, str(child.container))
                mlp = MixMlp(
                    experts, check_shared_weight(shared_weight) if has_shared else None, per, learn_shared
                )
                setattr(parent, name, mlp.train(child.training))
                mixed.append(mlp)
    return mixed


def load_mixing(mixed: Sequence[MixMlp], mixing: Mixing) -> None:
    """Set the coefficients of a mixing model from a record."""
    for index, mlp in enumerate(mixed):
        with torch.no_grad():
            for key, logits in zip(mlp.keys, mlp.logits, strict=True):
                by_part = mixing.logits[index]
                logits.copy_(torch.tensor(by_part.get(key, by_part.get("*")), dtype=logits.dtype))
        mlp.shared_logit = None
        mlp.fixed_shared = mixing.shared_weights[index] if mixing.shared_weights is not None else None


def to_record(mixed: Sequence[MixMlp], cost: dict[str, Any] | None = None) -> Mixing:
    """Return the coefficients of a mixing model as a record, with what learning them took."""
    with torch.no_grad():
        weights = [mlp.shared_weight() for mlp in mixed]
    return Mixing(
        shared_weights=None
        if weights[0] is None
        else [float(weight) for weight in weights if weight is not None],
        logits=[
            dict(zip(mlp.keys, [logits.tolist() for logits in mlp.logits], strict=True)) for mlp in mixed
        ],
        cost=cost,
    )


def movement(mixed: Sequence[MixMlp]) -> list[dict[str, float]]:
    """Return, per layer, how far the routed shares are from equal ones.

    ``largest_change``: the largest relative change of a share, 0 if none moved. ``entropy``: of the shares,
    as a part of the most it can be, 1 if none moved.
    """
    rows = []
    for mlp in mixed:
        shares = torch.stack([torch.softmax(logits.detach().double(), dim=-1) for logits in mlp.logits])
        n = shares.shape[-1]
        entropy = -(shares * shares.clamp_min(1e-300).log()).sum(-1) / math.log(n) if n > 1 else torch.ones(1)
        rows.append({"largest_change": float((shares * n - 1).abs().max()), "entropy": float(entropy.mean())})
    return rows


def load_moe(directory: Path, dtype: torch.dtype | None = None) -> Any:
    """Load an MoE checkpoint with transformers, in eval mode, in its own dtype unless one is given."""
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
    model: Any = AutoModelForCausalLM.from_pretrained(directory, trust_remote_code=True, **options)
    return model.eval()
