"""What is done at each step of transformers' `generate`: draw a token per row, and read along for its end."""

from collections.abc import Sequence, Set
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

from xftbench.generation.tokens import TextStream, cut_at_stop
from xftbench.records import SamplingParams


class SeededDraw(LogitsProcessor):
    """Draws from temperature and top-p with one random generator per row.

    `generate` itself draws from a single generator for the whole batch, so a sample would depend on its
    neighbours. Here noise is added such that the largest score is a draw from the distribution (the
    Gumbel-max trick), and `generate` is left to take the largest.
    """

    def __init__(self, seeds: Sequence[int], sampling: SamplingParams) -> None:
        self._sampling = sampling
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores (rows, vocabulary) whose largest entry in each row is that row's draw."""
        scores = _within_top_p(scores.float() / self._sampling.temperature, self._sampling.top_p)
        for row, generator in enumerate(self._generators):
            # On the CPU whatever the device, so that a seed means the same draw everywhere.
            noise = torch.empty(scores.shape[-1]).exponential_(generator=generator)
            scores[row] -= noise.log().to(scores.device)
        return scores


def _within_top_p(scores: torch.Tensor, top_p: float) -> torch.Tensor:
    """Set to -inf what is outside the smallest set of tokens whose probabilities reach `top_p`."""
    if top_p >= 1:
        return scores.clone()
    ranked, order = scores.sort(dim=-1, descending=True)
    probabilities = ranked.softmax(dim=-1)
    outside = probabilities.cumsum(dim=-1) - probabilities >= top_p
    return scores.masked_fill(outside.scatter(-1, order, outside), float("-inf"))


class Reply:
    """One row's tokens as text, up to its end."""

    def __init__(
        self, tokenizer: Any, prompt_ids: Sequence[int], stops: Sequence[str], ends: Set[int]
    ) -> None:
        self._stream = TextStream(tokenizer, prompt_ids)
        self._stops = stops
        self._ends = ends
        self.text = ""
        self.n_tokens = 0
        """Up to and including the token that ended the reply; padding is not counted."""
        self.ended = False

    def push(self, token_id: int) -> None:
        """Add a token, unless the reply has ended."""
        if self.ended:
            return
        self.n_tokens += 1
        if token_id in self._ends:
            self.ended = True
            return
        self.text = self._stream.push(token_id)
        self.ended = cut_at_stop(self.text, self._stops).stop is not None


class ReadAlong(StoppingCriteria):
    """Ends each row at an end token or behind the first stop string in its text."""

    def __init__(self, tokenizer: Any, rows: Sequence[tuple[Sequence[int], Sequence[str], Set[int]]]) -> None:
        self.replies = [Reply(tokenizer, ids, stops, ends) for ids, stops, ends in rows]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Read the token that each row got last; return which rows are done."""
        for reply, token_id in zip(self.replies, input_ids[:, -1].tolist(), strict=True):
            reply.push(token_id)
        return torch.tensor([reply.ended for reply in self.replies], device=input_ids.device)
