"""The experts of a layer: their tensors stacked, computed by grouped matrix products or expert by expert.

This file also travels inside every MoE checkpoint (as ``xft_moe.py``), so it imports nothing of xft but
the router. It knows no architecture: an MLP is a dict of tensors and the dense module that uses them.

Shapes: T tokens, D model width, F MLP width, E experts, K experts per token, N = T · K rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from xft.router import RouterOptions, XftRouter

_GROUPED_DTYPES = {torch.float32, torch.bfloat16, torch.float16}


class _Gather(torch.autograd.Function):
    """Row i of the result is row order[i] // K of x: each token K times, sorted by expert.

    The gradient is a gather too (through the inverse order) and a sum over K, in fixed order: an
    ordinary index would accumulate with atomics on a GPU, and slowly on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x_TD: Tensor, order_N: Tensor, inverse_N: Tensor, k: int) -> Tensor:
        ctx.save_for_backward(inverse_N)
        ctx.k = k
        return x_TD.index_select(0, order_N // k if k > 1 else order_N)

    @staticmethod
    def backward(ctx: Any, grad_ND: Tensor) -> tuple[Tensor, None, None, None]:
        (inverse_N,) = ctx.saved_tensors
        grad_ND = grad_ND.index_select(0, inverse_N)
        if ctx.k > 1:
            grad_ND = grad_ND.view(-1, ctx.k, grad_ND.shape[-1]).sum(1)
        return grad_ND, None, None, None


def can_group(matrices: Sequence[Tensor], x: Tensor) -> bool:
    """Return whether grouped products take these operands: dtype, and rows that are multiples of 16 bytes."""
    if not hasattr(functional, "grouped_mm") or x.dtype not in _GROUPED_DTYPES or x.shape[0] == 0:
        return False
    if x.device.type == "cuda" and (
        x.dtype != torch.bfloat16 or torch.cuda.get_device_capability(x.device) < (8, 0)
    ):
        return False
    return all(size * x.element_size() % 16 == 0 for matrix in matrices for size in matrix.shape[1:])


def _glu_rows(
    rows_ND: Tensor, up: Tensor, down: Tensor, act: nn.Module, ends_E: Tensor, counts: list[int]
) -> Tensor:
    """Apply gated MLPs to rows sorted by expert; `counts` is empty if grouped products are to be used."""
    if counts:
        parts = torch.split(rows_ND, counts)
        outs = [_glu(part, up[e], down[e], act) for e, part in enumerate(parts)]
        return torch.cat(outs)
    gate_NF, up_NF = functional.grouped_mm(rows_ND, up.transpose(1, 2), offs=ends_E).chunk(2, dim=-1)
    return functional.grouped_mm(act(gate_NF) * up_NF, down.transpose(1, 2), offs=ends_E)


def _glu(x: Tensor, gate_up: Tensor, down: Tensor, act: nn.Module) -> Tensor:
    gate, up = functional.linear(x, gate_up).chunk(2, dim=-1)
    return functional.linear(act(gate) * up, down)


class XftExperts(nn.Module):
    """All experts of a layer, each tensor of the MLP stacked along a new first axis.

    ``forward(hidden_states, top_k_index, top_k_weights)`` is the signature by which vLLM replaces the module.
    """

    def __init__(self, template: nn.Module, stacks: Mapping[str, Sequence[str]], num_experts: int) -> None:
        """Stack `num_experts` copies of the template's tensors; on the meta device, only their shapes.

        Args:
            template: The dense MLP; kept (without memory) to compute experts that are not plain gated MLPs.
            stacks: Stacked tensor → the template's tensors that it joins along their first axis.
            num_experts: E.
        """
        super().__init__()
        self.num_experts = num_experts
        self.stacks = {stack: tuple(parts) for stack, parts in stacks.items()}
        self.part_rows: dict[str, list[int]] = {}
        buffers = dict(template.named_buffers())
        tensors = dict(template.named_parameters()) | buffers
        named = sorted(part for parts in self.stacks.values() for part in parts)
        if named != sorted(tensors):
            raise ValueError(
                f"the MLP has the tensors {sorted(tensors)}, the checkpoint was made with {named}"
            )
        for stack, parts in self.stacks.items():
            self.part_rows[stack] = [tensors[part].shape[0] if tensors[part].ndim else 1 for part in parts]
            joined = torch.cat([tensors[part] for part in parts]) if len(parts) > 1 else tensors[parts[0]]
            stacked = joined.detach().expand(num_experts, *joined.shape).clone()
            if parts[0] in buffers:
                self.register_buffer(stack, stacked)
            else:
                self.register_parameter(
                    stack, nn.Parameter(stacked, requires_grad=stacked.is_floating_point())
                )
        self.activation = find_glu(template, self.stacks, training=False)
        self.is_plain_in_training = find_glu(template, self.stacks, training=True) is not None
        # In a tuple it is no child: its own tensors must not show up among this module's.
        self._template = (template.to("meta"),)

    def dense_tensors(self, expert: int) -> dict[str, Tensor]:
        """Return one expert's tensors under the names that the dense MLP gives them."""
        tensors: dict[str, Tensor] = {}
        for stack, parts in self.stacks.items():
            stacked = getattr(self, stack)[expert]
            rows = self.part_rows[stack]
            split = torch.split(stacked, rows) if len(parts) > 1 else [stacked]
            tensors |= dict(zip(parts, split, strict=True))
        return tensors

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Return each token's weighted sum over its experts.

        Args:
            hidden_states: (T, D).
            top_k_index: Expert ids (T, K).
            top_k_weights: fp32 or fp64 (T, K); multiplied and summed in that dtype, rounded once.
        """
        k = top_k_index.shape[-1]
        order_N = top_k_index.flatten().argsort(stable=True)
        inverse_N = torch.empty_like(order_N).scatter_(
            0, order_N, torch.arange(order_N.numel(), device=order_N.device)
        )
        x_TD = self._cast(hidden_states)
        rows_ND = _Gather.apply(x_TD, order_N, inverse_N, k)  # type: ignore[no-untyped-call]
        counts_E = torch.zeros(self.num_experts, dtype=torch.long, device=order_N.device)
        counts_E.scatter_add_(0, top_k_index.flatten(), torch.ones_like(order_N))
        out_ND = self._compute(rows_ND, counts_E)
        out_TKD = _Gather.apply(out_ND, inverse_N, order_N, 1).view(-1, k, out_ND.shape[-1])  # type: ignore[no-untyped-call]
        weighted = torch.bmm(top_k_weights.unsqueeze(1), out_TKD.to(top_k_weights.dtype)).squeeze(1)
        return weighted.to(hidden_states.dtype)

    def _cast(self, tensor: Tensor) -> Tensor:
        """Follow autocast by hand: grouped products ignore it (pytorch#174763)."""
        kind = tensor.device.type
        if torch.is_autocast_enabled(kind) and tensor.dtype == torch.float32:
            return tensor.to(torch.get_autocast_dtype(kind))
        return tensor

    def _compute(self, rows_ND: Tensor, counts_E: Tensor) -> Tensor:
        """Apply each expert to its rows; one without rows takes part with none, so its gradient is zero."""
        if self.activation is None or (self.training and not self.is_plain_in_training):
            template = self._template[0].train(self.training)
            outs = [
                functional_call(template, self.dense_tensors(e), (part,))
                for e, part in enumerate(torch.split(rows_ND, counts_E.tolist()))
            ]
            return torch.cat(outs)
        up, down = (self._cast(self.get_parameter(name)) for name in ("gate_up_proj", "down_proj"))
        if can_group([up, down], rows_ND):
            return _glu_rows(rows_ND, up, down, self.activation, counts_E.cumsum(0).to(torch.int32), [])
        return _glu_rows(rows_ND, up, down, self.activation, counts_E, counts_E.tolist())


def find_glu(template: nn.Module, stacks: Mapping[str, Sequence[str]], training: bool) -> nn.Module | None:
    """Return the activation if the MLP is down(act(gate x) · up x), found by trying it; None if it is not.

    The dense module is run on a few small made-up weights, on the CPU, and compared: names alone don't
    tell a plain gated MLP from one that scales, clips or (in training) drops out on the way.
    """
    if set(stacks) != {"gate_up_proj", "down_proj"}:
        return None
    gate_up, down = _made_up((12, 4)), _made_up((4, 6))
    parts = stacks["gate_up_proj"]
    tensors = dict(zip(parts, torch.split(gate_up, 12 // len(parts)), strict=True))
    x = _made_up((64, 4)) * 3
    template.train(training)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            expected = functional_call(template, tensors | {stacks["down_proj"][0]: down}, (x,))
    except (RuntimeError, ValueError, TypeError):
        return None
    for activation in template.children():
        if next(activation.parameters(), None) is None:
            found = _glu(x, gate_up, down, activation)
            if found.shape == expected.shape and torch.allclose(found, expected, atol=1e-6):
                return activation
    return None


def _made_up(shape: tuple[int, int]) -> Tensor:
    count = shape[0] * shape[1]
    return (
        torch.arange(1.0, count + 1, dtype=torch.float32, device="cpu").mul(1.7 + shape[1]).sin().view(shape)
    )


class XftMlp(nn.Module):
    """What stands in a decoder layer instead of its dense MLP: a router and the experts.

    Args:
        template: The dense MLP that is replaced.
        options: Routing choices.
        stacks: See `XftExperts`.
        container: Name of the experts' child: ``experts`` or ``branches``; see `xft.architecture.MlpLayout`.
        width: Model width D.
    """

    def __init__(
        self,
        template: nn.Module,
        options: RouterOptions,
        stacks: Mapping[str, Sequence[str]],
        container: str,
        width: int,
    ) -> None:
        super().__init__()
        self.router = XftRouter(options, width)
        self.container = container
        setattr(self, container, XftExperts(template, stacks, options.num_experts))

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the mixture's output; any leading shape, the last axis is D."""
        x_TD = hidden_states.reshape(-1, hidden_states.shape[-1])
        _, weights_TK, ids_TK = self.router(x_TD)
        experts = getattr(self, self.container)
        out: Tensor = experts(x_TD, ids_TK, weights_TK)
        return out.reshape(hidden_states.shape)
