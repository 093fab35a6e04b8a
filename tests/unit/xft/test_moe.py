"""Expert compute: every path gives what the formula says, and its gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import xft.moe
from xft.moe import XftExperts

# Shapes: T tokens, D model width, F MLP width, E experts, K experts per token.
E, K = 4, 3


class Glu(nn.Module):
    """A gated MLP; `scale` ≠ 1 makes it one that a kernel for plain SwiGLU must not run."""

    def __init__(self, width: int, inner: int, scale: float = 1.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)
        self.act_fn = nn.SiLU()
        self.scale = scale
        self.dropout = dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.scale * self.act_fn(self.gate_proj(x)) * self.up_proj(x)
        return functional.dropout(self.down_proj(hidden), self.dropout, self.training)


GLU_STACKS = {"gate_up_proj": ("gate_proj.weight", "up_proj.weight"), "down_proj": ("down_proj.weight",)}


def experts(
    width: int = 8, inner: int = 12, dtype: torch.dtype = torch.float32, **options: float
) -> XftExperts:
    torch.manual_seed(0)
    made = XftExperts(Glu(width, inner, **options), GLU_STACKS, E).to(dtype)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter))
    return made


def inputs(width: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x_TD = torch.randn(20, width, dtype=dtype)
    ids_TK = torch.stack([torch.randperm(E - 1)[:K] for _ in range(20)])  # expert E - 1 gets no token
    weights_TK = torch.softmax(torch.randn(20, K), -1).to(torch.promote_types(dtype, torch.float32))
    return x_TD, ids_TK, weights_TK


def by_formula(
    made: XftExperts, x_TD: torch.Tensor, ids_TK: torch.Tensor, weights_TK: torch.Tensor
) -> torch.Tensor:
    rows = []
    for x, ids, weights in zip(x_TD, ids_TK, weights_TK, strict=True):
        outs = []
        for expert in ids.tolist():
            dense = made.dense_tensors(expert)
            hidden = functional.silu(dense["gate_proj.weight"] @ x) * (dense["up_proj.weight"] @ x)
            outs.append(dense["down_proj.weight"] @ hidden)
        rows.append(torch.stack(outs).T @ weights.to(x.dtype))
    return torch.stack(rows)


@pytest.mark.parametrize(
    ("width", "inner", "dtype"),
    [(8, 12, torch.float32), (8, 12, torch.float64), (7, 5, torch.float32), (8, 16, torch.float32)],
    ids=["aligned", "fp64", "odd dims", "wide"],
)
def test_output_and_gradients_are_those_of_the_formula(width: int, inner: int, dtype: torch.dtype) -> None:
    made = experts(width, inner, dtype)
    assert made.activation is not None
    x_TD, ids_TK, weights_TK = inputs(width, dtype)
    x_TD.requires_grad_()
    weights_TK.requires_grad_()
    leaves = [x_TD, weights_TK, *made.parameters()]
    found = made(x_TD, ids_TK, weights_TK)
    expected = by_formula(made, x_TD, ids_TK, weights_TK)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    seed = torch.randn_like(found)
    gradients = torch.autograd.grad(found, leaves, seed)
    for gradient, right in zip(gradients, torch.autograd.grad(expected, leaves, seed), strict=True):
        torch.testing.assert_close(gradient, right, atol=2e-5, rtol=1e-4)


def test_grouped_products_equal_the_loop_over_experts(monkeypatch: pytest.MonkeyPatch) -> None:
    made, given = experts(), inputs(8)
    grouped = made(*given)
    monkeypatch.setattr(xft.moe, "can_group", lambda matrices, x: False)
    torch.testing.assert_close(made(*given), grouped, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 0.5], ids=["plain", "by the dense module"])
def test_an_expert_without_tokens_has_zero_gradients(scale: float) -> None:
    made = experts(scale=scale)
    assert (made.activation is None) == (scale != 1.0)
    out = made(*inputs(8))
    (out * torch.randn_like(out)).sum().backward()
    for parameter in made.parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad[E - 1], torch.zeros_like(parameter.grad[E - 1]))
        assert parameter.grad[0].abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_tokens_at_all(dtype: torch.dtype) -> None:
    made = experts(dtype=dtype)
    out = made(
        torch.zeros(0, 8, dtype=dtype), torch.zeros(0, K, dtype=torch.long), torch.zeros(0, K, dtype=dtype)
    )
    assert out.shape == (0, 8)


def test_a_scaled_mlp_is_not_taken_for_a_plain_one() -> None:
    made, (x_TD, ids_TK, weights_TK) = experts(scale=0.5), inputs(8)
    torch.testing.assert_close(
        made(x_TD, ids_TK, weights_TK), 0.5 * by_formula(made, x_TD, ids_TK, weights_TK), atol=1e-5, rtol=1e-5
    )


def test_dropout_of_the_dense_mlp_acts_in_training_only() -> None:
    made, given = experts(dropout=0.5), inputs(8)
    assert torch.equal(made.eval()(*given), made(*given))
    torch.testing.assert_close(made(*given), by_formula(made, *given), atol=1e-5, rtol=1e-5)
    assert (made.train()(*given) - made.eval()(*given)).abs().max() > 0.1


def test_gradcheck() -> None:
    made = experts(4, 6, torch.float64)
    x_TD, ids_TK, weights_TK = inputs(4, torch.float64)

    def run(x: torch.Tensor, weights: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        state = dict(zip(dict(made.named_parameters()), parameters, strict=True))
        return torch.func.functional_call(made, state, (x, ids_TK[:5], weights))

    arguments = (x_TD[:5].requires_grad_(), weights_TK[:5].double().requires_grad_(), *made.parameters())
    assert torch.autograd.gradcheck(run, arguments)


def test_bf16_routing_weights_are_multiplied_in_fp32() -> None:
    made = experts(8, 16, torch.bfloat16)
    x_TD, ids_TK, weights_TK = inputs(8, torch.bfloat16)
    exact = by_formula(made.double(), x_TD.double(), ids_TK, weights_TK.double())
    found = made.bfloat16()(x_TD, ids_TK, weights_TK)
    assert found.dtype == torch.bfloat16
    assert (found.double() - exact).norm() / exact.norm() < 0.01


def test_autocast_reaches_the_grouped_products() -> None:
    made, given = experts(8, 16), inputs(8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = made(*given)
    (out.float() * torch.randn_like(out)).sum().backward()
    assert made.get_parameter("down_proj").grad is not None
    difference = (out.float() - made(*given)).norm() / made(*given).norm()
    assert 1e-4 < difference < 0.03, "exactly equal would mean that the products ran in fp32"
