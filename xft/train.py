"""Full fine-tuning of a dense model (SFT) or of an MoE, in one process: a plain loop, fp32 master weights.

What it does not do yet: several processes, packing, resuming; see issue 3, item 7.

Source: hyper-parameters of arXiv 2404.15247's runs (facts/method.md 2), except that weights are kept in
fp32 and gradients are clipped.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from xft.checkpoint import DEFAULT_WRITING, LINEAGE, Checkpoint, Writing, copy_side_files, open_checkpoint
from xft.data import Example, encode, endless_batches, read_rows
from xft.errors import TrainingError, UsageProblem
from xft.learn import batch_loss
from xft.lineage import Stage, record
from xft.lineage import encode as encode_lineage
from xft.output import new_directory, refuse_overlap

ROUTING_FILE = "xft_routing.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How a model is tuned.

    Raises:
        UsageProblem: If a number is out of range.
    """

    epochs: float = 1.0
    steps: int | None = None
    """Optimiser steps; instead of epochs."""
    batch_size: int = 8
    """Rows per forward pass."""
    accumulate: int = 1
    """Forward passes per optimiser step."""
    lr: float = 5e-5
    """Peak learning rate; warmed up, then linearly to 0."""
    warmup: float = 0.07
    """Share of the steps."""
    clip: float = 1.0
    """Largest gradient norm; 0 does not clip."""
    max_tokens: int = 1024
    style: str = "magicoder"
    seed: int = 42
    bf16: bool = False
    """Compute in bf16; the weights stay fp32."""
    checkpoint_activations: bool = False

    def __post_init__(self) -> None:
        positive = (self.epochs, self.batch_size, self.accumulate, self.lr, self.max_tokens)
        if min(positive) <= 0 or (self.steps is not None and self.steps < 1) or not 0 <= self.warmup < 1:
            raise UsageProblem("epochs, steps, sizes and learning rate must be positive, the warm-up below 1")

    def n_steps(self, n_examples: int) -> int:
        """Return the number of optimiser steps."""
        per_step = self.batch_size * self.accumulate
        return self.steps or max(1, round(self.epochs * n_examples / per_step))

    def rate(self, step: int, n_steps: int) -> float:
        """Return the share of the peak rate at a step (from 0)."""
        warmup = max(1, round(self.warmup * n_steps))
        return min((step + 1) / warmup, (n_steps - step) / max(1, n_steps - warmup + 1), 1.0)


@dataclasses.dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step."""

    step: int
    n_steps: int
    loss: float
    """Mean cross-entropy of the response tokens."""
    balance_loss: float
    """Sum over layers, mean over passes; 0 for a dense model."""
    busiest: float
    """Load of a layer's most used routed expert over the mean load: 1 is even; 0 for a dense model."""
    grad_norm: float
    tokens_per_s: float

    def __str__(self) -> str:
        text = f"step {self.step}/{self.n_steps}: loss {self.loss:.4f}, gradient {self.grad_norm:.2f}"
        if self.busiest:
            text += f", balance {self.balance_loss:.4f}, busiest expert {self.busiest:.2f} x even"
        return f"{text}, {self.tokens_per_s:.0f} tokens/s"


OnStep = Callable[[StepReport], None]


def train(
    source_dir: Path,
    data: Path,
    target: Path,
    options: TrainOptions,
    *,
    writing: Writing = DEFAULT_WRITING,
    on_step: OnStep | None = None,
) -> str:
    """Tune a checkpoint, dense or MoE, on a file of instructions and write the result.

    Returns:
        How many rows were used and which were left out.

    Raises:
        CheckpointError: If the source is missing or truncated.
        DataError: If the data is missing, malformed or too little.
        TrainingError: If a loss or gradient is not finite; nothing is written then.
        OutputError: If the target exists or can't be written.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = open_checkpoint(source_dir)
    refuse_overlap(target, [source_dir])
    with new_directory(target, writing.overwrite) as directory:
        tokenizer: Any = AutoTokenizer.from_pretrained(source_dir, trust_remote_code=source.is_moe)
        style: Any = options.style
        encoded = encode(read_rows(data), tokenizer, options.max_tokens, style)
        torch.manual_seed(options.seed)
        model: Any = AutoModelForCausalLM.from_pretrained(
            source_dir, dtype=torch.float32, trust_remote_code=source.is_moe
        )
        pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        counts = tune(model, encoded.examples, pad_id, options, on_step)
        _save(model, source, directory, writing)
        stage: Stage = "train" if source.is_moe else "sft"
        lineage = record(
            stage,
            [source],
            dataclasses.asdict(options) | ({"routing_counts": counts} if counts else {}),
            seed=options.seed,
            data_hash=encoded.sha256,
            full_hash=writing.full_hash,
        )
        (directory / LINEAGE).write_text(encode_lineage(lineage), encoding="utf-8")
        if counts:
            (directory / ROUTING_FILE).write_text(f'{{"counts": {counts}}}\n', encoding="utf-8")
    return str(encoded)


def _save(model: Any, source: Checkpoint, directory: Path, writing: Writing) -> None:
    """Write the weights in the source's dtype (routers stay fp32) and the side files as they were."""
    dtypes = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}
    stored = {name: dtypes.get(entry.dtype) for name, entry in source.tensors.items()}
    common = next(
        (dtype for name, dtype in stored.items() if ".router." not in name and dtype), torch.float32
    )
    for name, parameter in model.named_parameters():
        if ".router." not in name:
            parameter.data = parameter.data.to(common)
    model.config.dtype = common
    model.save_pretrained(directory, max_shard_size=writing.shard_bytes)
    copy_side_files(source, directory)


def tune(
    model: Any, examples: Sequence[Example], pad_id: int, options: TrainOptions, on_step: OnStep | None = None
) -> list[list[float]]:
    """Run the steps; return, per layer of an MoE, how often each routed expert was chosen."""
    model.train()
    if options.checkpoint_activations:
        # Reentrant checkpointing would drop the gradient of the balance loss.
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    n_steps = options.n_steps(len(examples))
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: options.rate(step, n_steps))
    batches = endless_batches(examples, options.batch_size, options.seed)
    counts: list[torch.Tensor] = []
    for step in range(1, n_steps + 1):
        start = time.perf_counter()
        window = [next(batches) for _ in range(options.accumulate)]
        loss, balance, loads = _accumulate(model, window, pad_id, options)
        norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip or math.inf))
        if not math.isfinite(loss) or not math.isfinite(norm):
            what = f"the loss is {loss} and the gradient norm {norm} at step {step}"
            raise TrainingError(what, hint="pass a smaller --lr")
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        counts = [total + load for total, load in zip(counts, loads, strict=True)] if counts else loads
        if on_step is not None:
            n_tokens = sum(len(example.ids) for batch in window for example in batch)
            speed = n_tokens / (time.perf_counter() - start)
            on_step(StepReport(step, n_steps, loss, balance, _busiest(loads), norm, speed))
    return [load.tolist() for load in counts]


def _accumulate(
    model: Any, window: Sequence[Sequence[Example]], pad_id: int, options: TrainOptions
) -> tuple[float, float, list[torch.Tensor]]:
    """Add up the gradients of a window: cross-entropy over all its response tokens, balance loss per pass."""
    n_labels = sum(label >= 0 for batch in window for example in batch for label in example.labels[1:])
    total_loss, total_balance, loads = 0.0, 0.0, list[torch.Tensor]()
    for batch in window:
        records: list[Any]
        with _recorded(model) as records, _autocast(model, options.bf16):
            loss, _ = batch_loss(model, batch, pad_id)
        balance = sum((entry.loss for entry in records), torch.zeros(()))
        (loss / n_labels + balance / len(window)).backward()  # type: ignore[no-untyped-call]
        total_loss += float(loss.detach()) / n_labels
        total_balance += float(balance.detach()) / len(window)
        found = [entry.load.detach() for entry in records]
        loads = [a + b for a, b in zip(loads, found, strict=True)] if loads else found
    return total_loss, total_balance, loads


def _recorded(model: Any) -> Any:
    """Return a context that yields the balance records of an MoE, or an empty list for a dense model."""
    return model.recorded_balance() if hasattr(model, "recorded_balance") else nullcontext([])


def _autocast(model: Any, bf16: bool) -> Any:
    return torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=bf16)


def _busiest(loads: Sequence[torch.Tensor]) -> float:
    return max((float(load.max() / load.mean()) for load in loads), default=0.0)


def step_lines(every: int, show: Callable[[str], None]) -> OnStep:
    """Return a callback that shows the first, the last and every n-th step."""

    def on_step(report: StepReport) -> None:
        if report.step in {1, report.n_steps} or report.step % every == 0:
            show(str(report))

    return on_step
