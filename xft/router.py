"""Which experts see a token and how much each counts; the routing noise and the balance loss.

This file also travels inside every MoE checkpoint (as ``xft_router.py``), so it imports nothing of xft.

Shapes: T tokens, D model width, R routed experts, K experts per token (the shared one included).

Source: arXiv 2404.15247; the authors' released gate classes (ise-uiuc/xft @4c5e439), from which the
reference tensors were made; the smooth load estimate is Shazeer et al. 2017 (arXiv 1701.06538), appendix A.
"""

import math
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional


class RouterOptions(Protocol):
    """What a router has to know; both `xft.config.MoeConfig` and a wrapper of ``config.json`` are such."""

    @property
    def num_experts(self) -> int:
        """Experts per layer, the shared one included."""

    @property
    def top_k(self) -> int:
        """Experts per token, the shared one included."""

    @property
    def routing(self) -> str:
        """``xft``, ``xft_unnormalized``, ``topk`` or ``random``."""

    @property
    def router(self) -> str:
        """``mlp`` or ``linear``."""

    @property
    def noise_eps(self) -> float:
        """Floor of the noise's standard deviation."""

    @property
    def balance_coef(self) -> float:
        """Weight of the balance loss."""

    @property
    def reference(self) -> bool:
        """Whether to reproduce the released code's ``is_in`` test and its counting of pad tokens."""


class Choice(NamedTuple):
    """The experts of each token."""

    ids: Tensor
    """Expert ids (T, K), int64; for the kinds with a shared expert, it (0) stands last."""
    weights: Tensor
    """How much each counts (T, K), in the dtype of the logits (fp32 or fp64)."""
    kept: Tensor
    """The score of each chosen routed expert, 0 elsewhere (T, R); their sum over tokens is the importance."""


class Balance(NamedTuple):
    """How evenly a layer's tokens are spread over its routed experts."""

    importance: Tensor
    """Sum of the kept scores (R)."""
    load: Tensor
    """Tokens, smoothly counted in training (R)."""
    loss: Tensor
    """The layer's term of the balance loss, its coefficient included."""
    entropy: Tensor
    """Mean entropy of a token's scores over ln R: 1 is undecided, 0 is sure."""


def choose(logits_TR: Tensor, routing: str, top_k: int) -> Choice:
    """Choose each token's experts from its router logits.

    ``xft``: with p = softmax(logits), the K - 1 largest are kept; routed weights are
    max(p) · softmax(kept p) — a softmax of probabilities, not of logits — and the shared expert
    gets 1 - max(p), so a row sums to 1. ``xft_unnormalized``: kept p as they are, shared 1 - max(p).
    ``topk``: softmax of the K largest logits, no shared expert.

    Args:
        logits_TR: fp32 or fp64.
        routing: The kind.
        top_k: K, the shared expert included.
    """
    if routing == "topk":
        top_TK, ids_TK = logits_TR.topk(top_k, dim=-1)
        weights_TK = torch.softmax(top_TK, dim=-1)
        return Choice(ids_TK, weights_TK, torch.zeros_like(logits_TR).scatter(-1, ids_TK, weights_TK))
    probs_TR = torch.softmax(logits_TR, dim=-1)
    routed_ids = logits_TR.topk(top_k - 1, dim=-1).indices
    kept = probs_TR.gather(-1, routed_ids)
    top = kept[:, :1]
    routed_weights = kept if routing == "xft_unnormalized" else top * torch.softmax(kept, dim=-1)
    ids_TK = torch.cat([routed_ids + 1, torch.zeros_like(routed_ids[:, :1])], dim=-1)
    weights_TK = torch.cat([routed_weights, 1.0 - top], dim=-1)
    return Choice(ids_TK, weights_TK, torch.zeros_like(probs_TR).scatter(-1, routed_ids, kept))


def squared_variation(values_R: Tensor) -> Tensor:
    """Return var / mean², the squared coefficient of variation: 0 if all are equal, R if one has all.

    The variance is the unbiased one; a single value has none.
    """
    if values_R.numel() == 1:
        return values_R.new_zeros(())
    return values_R.var() / (values_R.mean() ** 2 + 1e-10)


def smooth_load(
    clean_TR: Tensor, noisy_TR: Tensor, std_TR: Tensor, chosen: int, is_in_TR: Tensor | None = None
) -> Tensor:
    """Return, per token and expert, the probability of being chosen if only its own noise were redrawn.

    Args:
        clean_TR: Logits without noise.
        noisy_TR: Logits with noise, the ones that decided.
        std_TR: Standard deviation of the noise.
        chosen: Routed experts per token.
        is_in_TR: Which of the two thresholds applies. By default, whether the expert was chosen.

    Source: Shazeer et al. 2017, equation 9.
    """
    if chosen >= clean_TR.shape[-1]:
        return torch.ones_like(clean_TR)
    top = noisy_TR.topk(chosen + 1, dim=-1).values
    in_T1, out_T1 = top[:, chosen : chosen + 1], top[:, chosen - 1 : chosen]
    if is_in_TR is None:
        is_in_TR = noisy_TR > in_T1
    threshold_TR = torch.where(is_in_TR, in_T1, out_T1)
    probability_TR: Tensor = torch.special.ndtr((clean_TR - threshold_TR) / std_TR)
    return probability_TR


class Projection(nn.Module):
    """A bias-free matrix applied in at least fp32, whatever autocast says.

    Not an ``nn.Linear``: serving engines replace those, and would round the logits to the model's dtype.
    """

    def __init__(self, width: int, rows: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return x · weightᵀ in fp32, or in fp64 if the input is."""
        dtype = torch.promote_types(x.dtype, torch.float32)
        return functional.linear(x.to(dtype), self.weight.to(dtype))


class XftRouter(nn.Module):
    """Scores the routed experts of each token and chooses among them.

    The weights stand one module deeper than ``weight``: an engine that knows ``topk(softmax(linear))``
    would otherwise replace the routing by its own (vLLM 0.32 and 0.33 do).
    """

    def __init__(self, options: RouterOptions, width: int) -> None:
        super().__init__()
        self.options = options
        has_shared = options.routing.startswith("xft")
        n_routed = options.num_experts - has_shared
        self.n_chosen = options.top_k - has_shared
        if options.routing == "random":
            pass  # no weights: it does not look at the tokens
        elif options.router == "mlp":
            self.proj_in = Projection(width, n_routed)
            self.proj_out = Projection(n_routed, n_routed)
        else:
            self.proj = Projection(width, n_routed)
        if options.routing != "random":
            self.noise = Projection(width, n_routed)
        self.records: list[Balance] | None = None
        """While a list stands here, each training pass appends its balance; see `recorded_balance`."""
        self.token_mask_T: Tensor | None = None
        """Which tokens are real; all if None. Stays until the next pass: recomputation needs it."""

    @torch.no_grad()
    def init_weights(self, std: float, seed: int, noise_std: float = 0.0) -> None:
        """Draw new weights; with a `std` of 0, every token would go to the same experts."""
        generator = torch.Generator(device="cpu").manual_seed(seed)
        for name, parameter in self.named_parameters():
            scale = noise_std if name.startswith("noise") else std
            parameter.copy_(torch.randn(parameter.shape, generator=generator, device="cpu") * scale)

    def logits(self, x_TD: Tensor) -> Tensor:
        """Return the logits without noise, in at least fp32; (T, R)."""
        if self.options.router == "mlp":
            hidden_TR = torch.tanh(self.proj_in(x_TD))
            return cast(Tensor, self.proj_out(hidden_TR))
        return cast(Tensor, self.proj(x_TD))

    def forward(self, x_TD: Tensor, noise_TR: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return (logits, weights, ids) of each token.

        Args:
            x_TD: Layer input.
            noise_TR: The standard-normal draw of a training pass; drawn here if not given.

        Returns:
            Logits without noise (T, R), weights (T, K) in fp32 or fp64, ids (T, K).
        """
        if self.options.routing == "random":
            return self._at_random(x_TD)
        with torch.autocast(x_TD.device.type, enabled=False):
            clean_TR = self.logits(x_TD)
            if not self.training:
                choice = choose(clean_TR, self.options.routing, self.options.top_k)
                return clean_TR, choice.weights, choice.ids
            choice, balance = self.train_choice(x_TD, clean_TR, noise_TR)
        if self.records is not None:
            self.records.append(balance)
        return clean_TR, choice.weights, choice.ids

    def _at_random(self, x_TD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Spread the tokens evenly by chance in training; use the first K experts otherwise.

        Such a mixture is there to be averaged: its experts are nearly equal, and what it does unmerged has to
        be the same with a cache and without. Source: arXiv 2308.06093 (random uniform partition).
        """
        n_tokens, n, k = x_TD.shape[0], self.options.num_experts, self.options.top_k
        if self.training:
            # A shuffled deal, not a draw per token: every expert gets the same number, give or take one.
            dealt_T = torch.randperm(n_tokens, device=x_TD.device) % n
            ids_TK = (dealt_T[:, None] + torch.arange(k, device=x_TD.device)) % n
        else:
            ids_TK = torch.arange(k, device=x_TD.device).expand(n_tokens, k).contiguous()
        weights_TK = torch.full((n_tokens, k), 1.0 / k, device=x_TD.device)
        logits_TR = torch.zeros(n_tokens, n, device=x_TD.device)
        if self.training and self.records is not None:
            load_R = torch.bincount(ids_TK.flatten(), minlength=n).float()
            zero = torch.zeros((), device=x_TD.device)
            self.records.append(Balance(load_R, load_R, zero, zero + 1))
        return logits_TR, weights_TK, ids_TK

    def train_choice(self, x_TD: Tensor, clean_TR: Tensor, noise_TR: Tensor | None) -> tuple[Choice, Balance]:
        """Choose with noise, and measure the balance over the real tokens."""
        std_TR = functional.softplus(self.noise(x_TD)) + self.options.noise_eps
        if noise_TR is None:
            noise_TR = torch.randn_like(clean_TR)
        scaled_TR = noise_TR * std_TR
        noisy_TR = clean_TR + scaled_TR
        choice = choose(noisy_TR, self.options.routing, self.options.top_k)
        is_in_TR = None
        if self.options.reference and self.n_chosen < noisy_TR.shape[-1]:
            # Parity: llama-moe smoe/modules/moe/moe_gates.py:315 compares the noise, not the noisy logits.
            is_in_TR = scaled_TR > noisy_TR.topk(self.n_chosen + 1, dim=-1).values[:, -1:]
        load_TR = smooth_load(clean_TR, noisy_TR, std_TR, self.n_chosen, is_in_TR)
        return choice, self.balance(choice.kept, load_TR, noisy_TR)

    def eval_balance(self, x_TD: Tensor) -> Balance:
        """Return the balance without noise, with hard counts as load."""
        clean_TR = self.logits(x_TD)
        kept_TR = choose(clean_TR, self.options.routing, self.options.top_k).kept
        return self.balance(kept_TR, (kept_TR > 0).to(kept_TR.dtype), clean_TR)

    def balance(self, kept_TR: Tensor, load_TR: Tensor, logits_TR: Tensor) -> Balance:
        """Sum scores and loads over the real tokens and return them with their loss."""
        log_probs_TR = torch.log_softmax(logits_TR.detach(), dim=-1)
        entropy_T = -(log_probs_TR.exp() * log_probs_TR).sum(-1)
        share_T = torch.ones_like(entropy_T) / entropy_T.numel()
        if self.token_mask_T is not None and not self.options.reference:
            mask_T1 = self.token_mask_T.to(kept_TR.dtype)[:, None]
            kept_TR, load_TR = kept_TR * mask_T1, load_TR * mask_T1
            share_T = mask_T1[:, 0] / mask_T1.sum().clamp(min=1)
        importance_R, load_R = kept_TR.sum(0), load_TR.sum(0)
        loss = self.options.balance_coef * (squared_variation(importance_R) + squared_variation(load_R))
        entropy = (entropy_T * share_T).sum() / math.log(max(2, logits_TR.shape[-1]))
        return Balance(importance_R, load_R, loss, entropy)
