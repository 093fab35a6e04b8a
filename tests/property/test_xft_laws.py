"""Laws of the method, on random shapes, routers, coefficients and dtypes."""

import math
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import nn

from xft.coefficients import by_rule, softmax
from xft.config import MoeConfig
from xft.mixing import coefficients, weighted_sum
from xft.moe import XftExperts, XftMlp
from xft.numeric import narrow, widen
from xft.numeric import weighted_sum as streamed_sum
from xft.router import choose, squared_variation
from xft.tensorfile import FileReader, PlannedTensor, read_header, write_file

seeds = st.integers(0, 2**31 - 1)
ROUTINGS = ["xft", "xft_unnormalized", "topk"]


@st.composite
def configs(draw: st.DrawFn, routings: list[str]) -> MoeConfig:
    n = draw(st.integers(2, 9))
    routing = draw(st.sampled_from(routings))
    return MoeConfig(
        num_experts=n,
        top_k=draw(st.integers(1 if routing == "topk" else 2, n)),
        routing=routing,  # type: ignore[arg-type]
        router=draw(st.sampled_from(["mlp", "linear"])),
    )


class Glu(nn.Module):
    """A gated MLP with biases, so that it is computed by the dense module."""

    def __init__(self, width: int, inner: int, bias: bool) -> None:
        super().__init__()
        self.gate_up_proj = nn.Linear(width, 2 * inner, bias=bias)
        self.down_proj = nn.Linear(inner, width, bias=bias)
        self.act_fn = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(self.act_fn(gate) * up)  # type: ignore[no-any-return]


def stacks(bias: bool) -> dict[str, tuple[str, ...]]:
    if bias:
        names = ["gate_up_proj.weight", "gate_up_proj.bias", "down_proj.weight", "down_proj.bias"]
        return {name.replace(".", "__"): (name,) for name in names}
    return {"gate_up_proj": ("gate_up_proj.weight",), "down_proj": ("down_proj.weight",)}


@settings(max_examples=40)
@given(configs(["xft", "topk"]), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.booleans(), seeds)
def test_a_mixture_of_equal_experts_is_the_dense_mlp(
    moe: MoeConfig, width: int, inner: int, bias: bool, training: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    dense = Glu(width, inner, bias)
    x = torch.randn(5, 3, width)
    expected = dense(x).detach()
    mixture = XftMlp(dense, moe, stacks(bias), "experts", width).train(training)
    mixture.router.init_weights(std=2.0, seed=seed)
    torch.testing.assert_close(mixture(x), expected, atol=1e-5, rtol=1e-5)


@given(configs(ROUTINGS), st.integers(1, 20), seeds)
def test_choices_are_distinct_weights_and_sums_right(moe: MoeConfig, n_tokens: int, seed: int) -> None:
    torch.manual_seed(seed)
    logits = torch.randn(n_tokens, moe.num_routed) * 5
    choice = choose(logits, moe.routing, moe.top_k)
    assert choice.ids.shape == choice.weights.shape == (n_tokens, moe.top_k)
    assert all(
        len(set(row)) == moe.top_k and set(row) <= set(range(moe.num_experts)) for row in choice.ids.tolist()
    )
    assert (choice.weights >= 0).all()
    if moe.routing != "xft_unnormalized":
        torch.testing.assert_close(choice.weights.sum(-1), torch.ones(n_tokens), atol=3e-7, rtol=0)
    assert ((choice.kept > 0).sum(-1) <= moe.top_k - moe.has_shared_expert).all()


@settings(max_examples=30)
@given(st.integers(2, 6), st.integers(1, 8), st.integers(1, 8), seeds)
def test_renaming_experts_changes_nothing(n: int, width: int, inner: int, seed: int) -> None:
    torch.manual_seed(seed)
    experts = XftExperts(Glu(width, inner, False), stacks(False), n)
    with torch.no_grad():
        for parameter in experts.parameters():
            parameter.normal_()
    x, ids = torch.randn(7, width), torch.stack([torch.randperm(n)[:2] for _ in range(7)])
    weights = torch.rand(7, 2)
    expected = experts(x, ids, weights)
    order = torch.randperm(n)
    with torch.no_grad():
        for parameter in experts.parameters():
            parameter.copy_(parameter[order].clone())
    torch.testing.assert_close(experts(x, order.argsort()[ids], weights), expected, atol=1e-5, rtol=1e-5)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=10), st.floats(0.1, 10))
def test_squared_variation_ignores_scale_and_order(values: list[float], scale: float) -> None:
    tensor = torch.tensor(values, dtype=torch.float64) + 1
    found = squared_variation(tensor).item()
    assert 0 <= found <= len(values) + 1e-9
    assert squared_variation(tensor * scale).item() == pytest.approx(found, rel=1e-6, abs=1e-9)
    assert squared_variation(tensor.flip(0)).item() == pytest.approx(found, rel=1e-9, abs=1e-12)


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9), st.floats(0, 1))
def test_both_ways_to_coefficients_agree_and_sum_to_one(logits: list[float], weight: float) -> None:
    tensor = torch.tensor(logits, dtype=torch.float64)
    found = coefficients(tensor, weight).tolist()
    assert found == pytest.approx([weight, *((1 - weight) * share for share in softmax(logits))], abs=1e-12)
    assert math.fsum(found) == pytest.approx(1.0, abs=1e-12)


@given(configs(["xft", "topk"]), st.floats(0, 1), st.sampled_from(["uniform", "mean", "frequency"]))
def test_every_rule_sums_to_one(moe: MoeConfig, weight: float, rule: str) -> None:
    counts = [[1.0 + index for index in range(moe.num_routed)]] * 3
    for row in by_rule(rule, moe, 3, weight, counts):  # type: ignore[arg-type]
        assert len(row) == moe.num_experts
        assert math.fsum(row) == pytest.approx(1.0, abs=1e-12)


DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}


@settings(max_examples=40)
@given(st.sampled_from(sorted(DTYPES)), st.integers(1, 8), st.integers(1, 300), seeds)
def test_the_export_sums_what_the_mixing_model_sums(dtype: str, n: int, size: int, seed: int) -> None:
    torch.manual_seed(seed)
    stack = torch.randn(n, size).to(DTYPES[dtype])
    c = torch.rand(n, dtype=torch.float64 if dtype == "F64" else torch.float32)
    raw = stack.view(torch.uint8).numpy().tobytes()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "a.safetensors"
        with FileReader() as reader:
            write_file(path, [PlannedTensor("x", dtype, (n, size), [raw])], reader)
        data = read_header(path)["x"].data
        ranges = [data.part(index * data.n_bytes // n, data.n_bytes // n) for index in range(n)]
        found = b"".join(streamed_sum(ranges, dtype, c.tolist()))
    assert found == weighted_sum(c, stack).view(torch.uint8).numpy().tobytes()


@given(st.lists(st.floats(width=32, allow_nan=True), min_size=1, max_size=50))
def test_bf16_rounding_is_torchs(values: list[float]) -> None:
    exact = np.array(values, np.float32)
    found = torch.frombuffer(bytearray(narrow(exact, "BF16")), dtype=torch.bfloat16)
    expected = torch.from_numpy(exact.copy()).bfloat16()
    torch.testing.assert_close(found, expected, atol=0, rtol=0, equal_nan=True)
    again = widen(narrow(exact, "BF16"), "BF16")
    np.testing.assert_array_equal(again, expected.float().numpy())


@settings(max_examples=40)
@given(st.sampled_from(["BF16", "F16"]), st.integers(2, 9), st.floats(0, 1), seeds)
def test_copies_merge_to_themselves_exactly(dtype: str, n: int, weight: float, seed: int) -> None:
    torch.manual_seed(seed)
    expert = torch.randn(50).to(DTYPES[dtype])
    c = coefficients(torch.randn(n - 1) * 4, weight)
    assert torch.equal(weighted_sum(c, expert.expand(n, -1)), expert)
