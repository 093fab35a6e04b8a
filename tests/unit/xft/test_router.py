"""Routing and the balance loss."""

import pytest
import torch

from xft.config import MoeConfig, Routing
from xft.errors import UsageProblem
from xft.router import XftRouter, choose, smooth_load, squared_variation

# Shapes: T tokens, D model width, R routed experts, K experts per token.
D = 16


def router(**fields: object) -> XftRouter:
    made = XftRouter(MoeConfig(**{"num_experts": 8, "top_k": 6} | fields), D)  # type: ignore[arg-type]
    made.init_weights(std=0.5, seed=3, noise_std=0.3)
    return made


@pytest.fixture
def x_TD() -> torch.Tensor:
    return torch.randn(40, D, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", ["mlp", "linear"])
@pytest.mark.parametrize("training", [False, True])
def test_weights_sum_to_one_and_the_shared_expert_is_last(
    x_TD: torch.Tensor, kind: str, training: bool
) -> None:
    _, weights, ids = router(router=kind).train(training)(x_TD)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(40), atol=2e-7, rtol=0)
    assert (ids[:, -1] == 0).all()
    assert all(len(set(row)) == 6 and set(row[:-1]) <= set(range(1, 8)) for row in ids.tolist())


def test_routed_weights_are_a_softmax_of_probabilities() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5, 3.0]], dtype=torch.float64)
    choice = choose(logits, "xft", top_k=3)
    p = torch.softmax(logits[0], 0)
    kept = torch.stack([p[3], p[0]])
    expected = torch.cat([p[3] * torch.softmax(kept, 0), 1 - p[3:4]])
    assert choice.ids.tolist() == [[4, 1, 0]]
    torch.testing.assert_close(choice.weights[0], expected)


def test_unnormalised_weights_are_the_probabilities() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5, 3.0]])
    p = torch.softmax(logits[0], 0)
    choice = choose(logits, "xft_unnormalized", top_k=3)
    torch.testing.assert_close(choice.weights[0], torch.stack([p[3], p[0], 1 - p[3]]))


def test_vanilla_routing_has_no_shared_expert() -> None:
    choice = choose(torch.tensor([[2.0, -1.0, 0.5, 3.0]]), "topk", top_k=2)
    assert choice.ids.tolist() == [[3, 0]]
    torch.testing.assert_close(choice.weights[0], torch.softmax(torch.tensor([3.0, 2.0]), 0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1.0] * 7, 0.0), ([5.0] + [0.0] * 6, 7.0), ([1.0] * 2 + [0.0] * 5, 7 * 5 / (2 * 6)), ([3.0], 0.0)],
    ids=["uniform", "one-hot", "two of seven", "single"],
)
def test_squared_variation_of_known_values(values: list[float], expected: float) -> None:
    assert squared_variation(torch.tensor(values)).item() == pytest.approx(expected, abs=1e-6)


def test_smooth_load_is_the_probability_of_being_chosen_again() -> None:
    """Against a Monte-Carlo redraw of each expert's own noise, the others' kept."""
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(1, 5, generator=generator), torch.randn(1, 5, generator=generator)
    std = torch.full((1, 5), 0.7)
    noisy = clean + noise * std
    load = smooth_load(clean, noisy, std, chosen=2)[0]
    for expert in range(5):
        redrawn = noisy.repeat(40_000, 1)
        redrawn[:, expert] = clean[0, expert] + 0.7 * torch.randn(40_000, generator=generator)
        chosen = (redrawn.topk(2, dim=-1).indices == expert).any(-1).float().mean()
        assert load[expert].item() == pytest.approx(chosen.item(), abs=0.01)


@pytest.mark.parametrize("routing", ["xft", "xft_unnormalized", "topk"])
def test_all_experts_chosen_means_full_load(x_TD: torch.Tensor, routing: Routing) -> None:
    made = router(routing=routing, top_k=8).train()
    made.records = []
    made(x_TD)
    assert made.records[0].load.tolist() == [40.0] * made.records[0].load.numel()


def test_padding_changes_neither_the_balance_nor_real_tokens(x_TD: torch.Tensor) -> None:
    made = router().train()
    noise = torch.randn(40, 7, generator=torch.Generator().manual_seed(1))
    made.records = records = []
    _, weights, ids = made(x_TD[:30], noise[:30])
    made.token_mask_T = torch.arange(40) < 30
    _, padded_weights, padded_ids = made(x_TD, noise)
    torch.testing.assert_close(records[0], records[1], atol=1e-6, rtol=1e-6)
    assert torch.equal(ids, padded_ids[:30])
    torch.testing.assert_close(weights, padded_weights[:30], atol=1e-6, rtol=0)


def test_entropy_is_1_where_all_scores_are_equal_and_0_where_one_has_all() -> None:
    logits = torch.zeros(40, 7)
    even, sure = (router().balance(logits, logits, found) for found in (logits, 1e3 * torch.eye(40, 7)[:7]))
    assert float(even.entropy) == pytest.approx(1)
    assert float(sure.entropy) == pytest.approx(0)


def test_the_reference_counts_padding(x_TD: torch.Tensor) -> None:
    made = router(reference=True).train()
    made.records = records = []
    noise = torch.randn(40, 7, generator=torch.Generator().manual_seed(1))
    made(x_TD, noise)
    made.token_mask_T = torch.arange(40) < 30
    made(x_TD, noise)
    torch.testing.assert_close(records[0], records[1])


def test_the_balance_loss_reaches_router_and_noise(x_TD: torch.Tensor) -> None:
    made = router().train()
    made.records = records = []
    made(x_TD)
    records[0].loss.backward()
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in made.parameters()
    )


def test_routing_is_fp32_under_bf16_autocast(x_TD: torch.Tensor) -> None:
    made = router().eval()
    expected = made(x_TD)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = made(x_TD)
    assert torch.equal(found[1], expected[1])
    assert found[0].dtype == torch.float32


def test_noise_is_drawn_in_training_only(x_TD: torch.Tensor) -> None:
    made = router()
    assert torch.equal(made.eval()(x_TD)[2], made(x_TD)[2])
    assert not torch.equal(made.train()(x_TD)[2], made(x_TD)[2])


@pytest.mark.parametrize(
    "fields",
    [
        {"top_k": 9},
        {"top_k": 1},
        {"top_k": 0, "routing": "topk"},
        {"num_experts": 1},
        {"routing": "soft"},
        {"router": "cosine"},
        {"noise_eps": 0.0},
        {"balance_coef": -1.0},
        {"init_std": 0.0},
    ],
)
def test_impossible_choices_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UsageProblem):
        MoeConfig(**fields)  # type: ignore[arg-type]
