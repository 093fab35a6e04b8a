"""Learns mixing coefficients: a few hundred steps on a few numbers, everything else frozen.

Source: arXiv 2404.15247, section on learnable merging. The release's learning rate (1e-5) can move no
share by more than about 1 % (facts/method.md 1.7); the default here is one at which they move.
"""

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xft.checkpoint import open_checkpoint
from xft.coefficients import DEFAULT_SHARED_WEIGHT
from xft.data import IGNORED, Example, encode, endless_batches, pad, read_rows, split
from xft.errors import TrainingError, UsageProblem
from xft.mixing import MixMlp, Per, load_moe, make_mixing, movement

REFERENCE_LR = 1e-5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LearnOptions:
    """How the coefficients are learned.

    Raises:
        UsageProblem: If a number is out of range.
    """

    steps: int = 200
    batch_size: int = 8
    lr: float = 0.05
    """Peak learning rate; warmed up over a tenth of the steps, then linearly to 0."""
    shared_weight: float = DEFAULT_SHARED_WEIGHT
    per: Per = "layer"
    learn_shared: bool = False
    max_tokens: int = 1024
    """Longer rows are left out."""
    held_out: float = 0.1
    """Share of the rows that only measure."""
    seed: int = 42

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch_size < 1 or self.lr <= 0 or not 0 < self.held_out < 1:
            raise UsageProblem(
                "steps, batch size and learning rate must be positive, the held-out share below 1"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LearnReport:
    """What came of it."""

    rows: str
    """How many rows were used and which were left out."""
    data_hash: str
    uniform_loss: float
    """Held-out loss with equal shares."""
    learned_loss: float
    """Held-out loss with the learned ones."""
    layers: list[dict[str, float]]
    """See `xft.mixing.movement`."""
    tokens_per_s: float


OnStep = Callable[[int, float], None]
"""Progress callback: (step from 1, loss)."""


def learn_mixing(
    moe_dir: Path, data: Path, options: LearnOptions, style: Any = "magicoder", on_step: OnStep | None = None
) -> tuple[list[MixMlp], LearnReport]:
    """Learn the coefficients of an MoE checkpoint on a file of instructions.

    Raises:
        CheckpointError: If the checkpoint is missing or dense.
        DataError: If the data is missing, malformed or too little.
        TrainingError: If a loss is not finite.
    """
    from transformers import AutoTokenizer

    open_checkpoint(moe_dir).require_moe("learning its mixing")
    tokenizer: Any = AutoTokenizer.from_pretrained(moe_dir, trust_remote_code=True)
    encoded = encode(read_rows(data), tokenizer, options.max_tokens, style)
    training, held_out = split(encoded.examples, options.held_out, options.seed)
    model = load_moe(moe_dir)
    mixed = make_mixing(model, options.shared_weight, options.per, options.learn_shared)
    _compute_in_fp32_on_cpu(model)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    before = mean_loss(model, held_out, options.batch_size, pad_id)
    tokens_per_s = optimise(model, training, pad_id, options, on_step)
    report = LearnReport(
        rows=str(encoded),
        data_hash=encoded.sha256,
        uniform_loss=before,
        learned_loss=mean_loss(model, held_out, options.batch_size, pad_id),
        layers=movement(mixed),
        tokens_per_s=tokens_per_s,
    )
    return mixed, report


def _compute_in_fp32_on_cpu(model: Any) -> None:
    """Widen everything but the stacks: most CPUs multiply fp32 several times as fast as bf16.

    The stacks, buffers of the mixing layers, stay as they are; their sums take the dtype of the input.
    """
    for parameter in model.parameters():
        if parameter.device.type == "cpu":
            parameter.data = parameter.data.float()


def optimise(
    model: Any, training: Sequence[Example], pad_id: int, options: LearnOptions, on_step: OnStep | None = None
) -> float:
    """Run the steps on whatever parameters of the model learn; return tokens per second."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # No weight decay: it would pull the logits towards equal shares.
    optimiser = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, options.steps))
    start, n_tokens = time.perf_counter(), 0
    batches = endless_batches(training, options.batch_size, options.seed)
    for step, batch in enumerate(itertools.islice(batches, options.steps), start=1):
        total, count = batch_loss(model, batch, pad_id)
        loss = total / count
        if not math.isfinite(float(loss.detach())):
            raise TrainingError(
                f"the loss is {float(loss.detach())} at step {step}", hint="pass a smaller --lr"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        n_tokens += sum(len(example.ids) for example in batch)
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return n_tokens / (time.perf_counter() - start)


def _rate(step: int, steps: int) -> float:
    warmup = max(1, steps // 10)
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1), 1.0)


def batch_loss(model: Any, batch: Sequence[Example], pad_id: int) -> tuple[Tensor, int]:
    """Return the summed cross-entropy of a batch's response tokens, and how many there are."""
    device = model.get_input_embeddings().weight.device
    tensors = {name: torch.tensor(rows, device=device) for name, rows in pad(batch, pad_id).items()}
    labels = tensors.pop("labels")[:, 1:].flatten()
    logits = model(**tensors, use_cache=False).logits[:, :-1].flatten(0, 1)
    total = functional.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="sum")
    return total, int((labels != IGNORED).sum())


def mean_loss(model: Any, examples: Sequence[Example], batch_size: int, pad_id: int) -> float:
    """Return the mean cross-entropy of all response tokens, without gradients."""
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(examples), batch_size):
            loss, n = batch_loss(model, examples[start : start + batch_size], pad_id)
            total, count = total + float(loss), count + n
    return total / count
