"""Mixing coefficients: the sum, its gradient, the mixing model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from xft_pico import WILD, load

from xft.coefficients import Mixing
from xft.errors import UsageProblem
from xft.mixing import MixMlp, Per, coefficients, load_mixing, make_mixing, movement, to_record, weighted_sum
from xft.upcycle import upcycle


@pytest.fixture
def moe(save: Callable[..., Path], tmp_path: Path) -> Any:
    """A pico MoE with experts that differ."""
    upcycle(save(), tmp_path / "moe", WILD)
    model = load(tmp_path / "moe")
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "experts." in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def test_gradcheck_of_the_sum() -> None:
    stack = torch.randn(4, 3, 5, dtype=torch.float64)
    logits = torch.randn(3, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda a, w: weighted_sum(coefficients(a, w), stack), (logits, weight))


def test_the_gradient_is_that_of_autograd() -> None:
    stack, logits = torch.randn(4, 6, 5), torch.randn(3)
    found, right = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    seed = torch.randn(6, 5)
    weighted_sum(coefficients(found, 0.75), stack).backward(seed)
    torch.einsum("e,eij->ij", coefficients(right, 0.75), stack).backward(seed)
    assert found.grad is not None
    assert right.grad is not None
    torch.testing.assert_close(found.grad, right.grad, atol=1e-6, rtol=1e-5)


def test_bf16_stacks_are_summed_in_fp32_and_rounded_once() -> None:
    """A running bf16 sum would lose more than the difference between experts."""
    base = torch.randn(64, 64)
    stack = (base + 0.003 * torch.randn(8, 64, 64)).bfloat16()
    c = coefficients(torch.randn(7), 0.75)
    exact = torch.einsum("e,eij->ij", c.double(), stack.double())
    assert torch.equal(weighted_sum(c, stack), exact.float().bfloat16())
    torch.testing.assert_close(weighted_sum(c, stack, torch.float32).double(), exact, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_identical_experts_merge_to_themselves_exactly(dtype: torch.dtype) -> None:
    expert = torch.randn(40, 30).to(dtype)
    for seed in range(20):
        torch.manual_seed(seed)
        c = coefficients(torch.randn(7) * 3, float(torch.rand(())))
        assert torch.equal(weighted_sum(c, expert.expand(8, -1, -1)), expert)


def test_only_the_logits_learn(moe: Any, token_ids: torch.Tensor) -> None:
    mixed = make_mixing(moe.train())
    learning = {name for name, p in moe.named_parameters() if p.requires_grad}
    assert learning == {f"model.layers.{layer}.mlp.logits.0" for layer in range(2)}
    before = {name: t.clone() for name, t in moe.state_dict().items()}
    optimiser = torch.optim.AdamW([p for p in moe.parameters() if p.requires_grad], lr=0.1, weight_decay=0)
    for _ in range(3):
        moe(token_ids, labels=token_ids, use_cache=False).loss.backward()
        optimiser.step()
    changed = {name for name, t in moe.state_dict().items() if not torch.equal(t, before[name])}
    assert changed == learning
    assert all(row["largest_change"] > 0.05 and row["entropy"] < 1 for row in movement(mixed))


@pytest.mark.parametrize("per", ["layer", "matrix"])
@pytest.mark.parametrize("learn_shared", [False, True])
def test_finite_differences_through_the_model(
    moe: Any, token_ids: torch.Tensor, per: Per, learn_shared: bool
) -> None:
    moe.double()
    mixed = make_mixing(moe, per=per, learn_shared=learn_shared)
    for mlp in mixed:
        mlp.logits.double()
    parameters = [p for p in moe.parameters() if p.requires_grad]
    assert len(parameters) == 2 * ((3 if per == "matrix" else 1) + learn_shared)

    def loss() -> torch.Tensor:
        logits = moe(token_ids, use_cache=False).logits.double()
        return functional.cross_entropy(logits[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten())

    gradients = torch.autograd.grad(loss(), parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        flat = parameter.data.view(-1)
        for index in range(flat.numel()):
            old = flat[index].item()
            ends = []
            for step in (1e-2, -1e-2):
                flat[index] = old + step
                ends.append(loss().item())
            flat[index] = old
            # transformers' norms are fp32, which bounds the precision of a difference
            slope = (ends[0] - ends[1]) / 2e-2
            assert gradient.view(-1)[index].item() == pytest.approx(slope, rel=1e-2, abs=5e-5)


def test_checkpointing_and_packing_change_no_gradient(moe: Any, token_ids: torch.Tensor) -> None:
    make_mixing(moe.train())
    packed = token_ids.reshape(1, -1)
    positions = torch.arange(12).repeat(2)[None]
    plain = _gradients(moe, input_ids=token_ids, labels=token_ids)
    together = _gradients(moe, input_ids=packed, position_ids=positions, labels=_masked(packed, positions))
    moe.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    recomputed = _gradients(moe, input_ids=token_ids, labels=token_ids)
    for a, b, c in zip(plain, together, recomputed, strict=True):
        torch.testing.assert_close(b, a, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(c, a, atol=1e-6, rtol=1e-5)


def _masked(packed: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Labels with the first token of each document masked: nothing may predict it."""
    return packed.masked_fill(positions == 0, -100)


def _gradients(model: Any, **batch: torch.Tensor) -> list[torch.Tensor]:
    model.zero_grad()
    model(**batch, use_cache=False).loss.backward()
    return [p.grad.clone() for p in model.parameters() if p.requires_grad]


def test_a_one_hot_mixture_is_that_expert(moe: Any) -> None:
    experts = moe.model.layers[0].mlp.experts
    right = experts.dense_tensors(2)
    mlp = MixMlp(experts, shared_weight=0.0)
    with torch.no_grad():
        mlp.logits[0].copy_(torch.tensor([0.0, 200.0, 0.0]))
    for name, tensor in mlp.merged(torch.float32).items():
        assert torch.equal(tensor, right[name])
    alone = MixMlp(experts, shared_weight=1.0).merged(torch.float32)
    assert all(torch.equal(alone[name], tensor) for name, tensor in experts.dense_tensors(0).items())


def test_a_buffer_of_integers_is_that_of_the_first_expert(moe: Any) -> None:
    mlp = MixMlp(moe.model.layers[0].mlp.experts, shared_weight=0.75)
    mlp.register_buffer("steps", torch.tensor([[3], [4], [5], [6]]))
    mlp.stacks["steps"] = ("steps",)
    assert torch.equal(mlp.merged(torch.float32)["steps"], torch.tensor([3]))


def test_equal_parts_are_the_mean(moe: Any) -> None:
    experts = moe.model.layers[0].mlp.experts
    merged = MixMlp(experts, shared_weight=0.25).merged(torch.float32)
    mean = torch.stack([experts.dense_tensors(e)["down_proj.weight"] for e in range(4)]).mean(0)
    torch.testing.assert_close(merged["down_proj.weight"], mean, atol=1e-6, rtol=0)


@pytest.mark.parametrize("per", ["layer", "matrix"])
def test_a_record_brings_the_coefficients_back(
    moe: Any, token_ids: torch.Tensor, per: Per, tmp_path: Path
) -> None:
    mixed = make_mixing(moe, per=per, learn_shared=True)
    with torch.no_grad():
        for mlp in mixed:
            for logits in mlp.logits:
                logits.normal_()
            assert mlp.shared_logit is not None
            mlp.shared_logit.fill_(-1.0)
    expected, record = moe(token_ids).logits, to_record(mixed)
    again = load(tmp_path / "moe")
    again.load_state_dict({k: v for k, v in moe.state_dict().items() if "logit" not in k}, strict=False)
    for layer, mlp in zip(again.model.layers, mixed, strict=True):
        for stack in mlp.stacks:
            layer.mlp.experts.get_parameter(stack).data = mlp.get_buffer(stack)
    load_mixing(make_mixing(again, per=per, learn_shared=True), record)
    torch.testing.assert_close(again(token_ids).logits, expected, atol=1e-5, rtol=1e-5)


def test_vanilla_mixtures_have_no_shared_weight(save: Callable[..., Path], tmp_path: Path) -> None:
    from xft.config import MoeConfig

    upcycle(save(), tmp_path / "moe", MoeConfig(num_experts=4, top_k=2, routing="topk"))
    mixed = make_mixing(load(tmp_path / "moe"))
    assert mixed[0].logits[0].numel() == 4
    assert to_record(mixed).shared_weights is None


def test_lambda_outside_its_range_is_refused(moe: Any) -> None:
    with pytest.raises(UsageProblem, match=r"λ is 1\.5"):
        make_mixing(moe, shared_weight=1.5)


def test_coefficients_of_a_record() -> None:
    mixing = Mixing(shared_weights=[0.5], logits=[{"*": [0.0, 0.0], "down_proj.weight": [1e9, 0.0]}])
    assert mixing.of(0, "up_proj.weight") == [0.5, 0.25, 0.25]
    assert mixing.of(0, "down_proj.weight") == [0.5, 0.5, 0.0]
