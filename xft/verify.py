"""Loads two checkpoints in fp32 and compares their logits on a few prompts: what ``--verify`` prints."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from xft.architecture import MlpLayout
from xft.checkpoint import open_checkpoint
from xft.coefficients import Mixing
from xft.merge import DTYPE_NAMES
from xft.mixing import load_mixing, load_moe, make_mixing

_PROMPTS = (
    'def fibonacci(n: int) -> int:\n    """Return the n-th Fibonacci number."""\n',
    "Write a function to sort a list of tuples by their second element.",
    "#include <vector>\n\nint main() {\n    std::vector<int> values = {3, 1, 2};\n",
    "SELECT name, COUNT(*) FROM users WHERE active = 1 GROUP BY name",
)
_MADE_UP_TOKENS = 24
# Sums of the same products in another order; relative to the largest logit.
ALLOWED = 1e-4


@dataclasses.dataclass(frozen=True, slots=True)
class LogitDifference:
    """How far two models are apart."""

    largest: float
    """Largest absolute difference of a logit."""
    scale: float
    """Largest absolute logit."""

    def __str__(self) -> str:
        return f"{self.largest:.2e} (logits up to {self.scale:.1f})"

    @property
    def is_within(self) -> bool:
        """Whether the difference is what another order of summation explains."""
        return self.largest <= ALLOWED * max(1.0, self.scale)


def verify_upcycled(dense_dir: Path, moe_dir: Path) -> LogitDifference:
    """Compare an upcycled checkpoint with its dense parent: equal, unless the routing is unnormalised."""
    prompts = _prompts(dense_dir)
    expected = _logits(_load_dense(dense_dir), prompts)
    return _difference(_logits(load_moe(moe_dir, torch.float32), prompts), expected)


def verify_merged(moe_dir: Path, merged_dir: Path, mixing: Mixing) -> LogitDifference:
    """Compare a merged checkpoint with the mixing model whose coefficients it was made with."""
    prompts = _prompts(merged_dir)
    expected = _logits(_load_dense(merged_dir), prompts)
    model = load_moe(moe_dir, torch.float32)
    mixed = make_mixing(model)
    load_mixing_per_part(mixed, mixing)
    stored = open_checkpoint(merged_dir)
    layout = MlpLayout.from_json(open_checkpoint(moe_dir).config)
    first_part = next(iter(layout.stacks.values()))[0]
    dtype = getattr(torch, DTYPE_NAMES[stored.tensors[layout.dense_name(0, first_part)].dtype])
    for mlp in mixed:
        mlp.round_to = dtype
    return _difference(_logits(model, prompts), expected)


def load_mixing_per_part(mixed: list[Any], mixing: Mixing) -> None:
    """Load a record whose logits may be per matrix into layers that were made per layer."""
    for mlp, by_part in zip(mixed, mixing.logits, strict=True):
        mlp.keys = list(by_part)
        mlp.logits = torch.nn.ParameterList(torch.zeros(len(logits)) for logits in by_part.values())
    load_mixing(mixed, mixing)


def _load_dense(directory: Path) -> Any:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model.eval()


def _prompts(directory: Path) -> list[list[int]]:
    """Return a few prompts as tokens; made-up ones for a checkpoint that has no tokenizer."""
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    except (OSError, ValueError, KeyError):
        vocabulary = open_checkpoint(directory).config.get("vocab_size") or 1000
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randint(0, vocabulary, (len(_PROMPTS), _MADE_UP_TOKENS), generator=generator)
        return [row.tolist() for row in drawn]
    return [list(tokenizer.encode(text)) for text in _PROMPTS]


def _logits(model: Any, prompts: list[list[int]]) -> torch.Tensor:
    with torch.no_grad():
        rows = [model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float() for ids in prompts]
    return torch.cat(rows)


def _difference(found: torch.Tensor, expected: torch.Tensor) -> LogitDifference:
    return LogitDifference(float((found - expected).abs().max()), float(expected.abs().max()))
