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

_N_PROMPTS = 4
_PROMPT_TOKENS = 24
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
    expected = _logits(_load_dense(dense_dir))
    return _difference(_logits(load_moe(moe_dir, torch.float32)), expected)


def verify_merged(moe_dir: Path, merged_dir: Path, mixing: Mixing) -> LogitDifference:
    """Compare a merged checkpoint with the mixing model whose coefficients it was made with."""
    expected = _logits(_load_dense(merged_dir))
    model = load_moe(moe_dir, torch.float32)
    mixed = make_mixing(model)
    load_mixing_per_part(mixed, mixing)
    stored = open_checkpoint(merged_dir)
    layout = MlpLayout.from_json(open_checkpoint(moe_dir).config)
    first_part = next(iter(layout.stacks.values()))[0]
    dtype = getattr(torch, DTYPE_NAMES[stored.tensors[layout.dense_name(0, first_part)].dtype])
    for mlp in mixed:
        mlp.round_to = dtype
    return _difference(_logits(model), expected)


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


def _logits(model: Any) -> torch.Tensor:
    vocabulary = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, vocabulary, (_N_PROMPTS, _PROMPT_TOKENS), generator=generator)
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits.float()
    return logits


def _difference(found: torch.Tensor, expected: torch.Tensor) -> LogitDifference:
    return LogitDifference(float((found - expected).abs().max()), float(expected.abs().max()))
