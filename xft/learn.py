"""Learns mixing coefficients: a few hundred steps on a few numbers, everything else frozen.

Source: arXiv 2404.15247, section on learnable merging. The release's learning rate (1e-5) can move no
share by more than about 1 %; the default here is one at which they move.
"""

import dataclasses
import functools
import hashlib
import inspect
import itertools
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xft.checkpoint import open_checkpoint
from xft.coefficients import DEFAULT_SHARED_WEIGHT
from xft.config import check_shared_weight
from xft.data import IGNORED, Example, encode, endless_batches, hash_of, located, pad, read_rows, split
from xft.errors import TrainingError, UsageProblem
from xft.lineage import content_hash, device_name
from xft.memory import keep_freed_memory
from xft.mixing import MixMlp, Per, load_moe, make_mixing, movement
from xft.output import named_failures
from xft.training.options import resolve_compute

REFERENCE_LR = 1e-5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LearnOptions:
    """How the coefficients are learned.

    Raises:
        UsageProblem: If a number is out of range.
    """

    steps: int = 200
    epochs: float | None = None
    """Passes over the training rows; instead of steps."""
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
        positive = (self.steps, self.batch_size, self.lr, 1 if self.epochs is None else self.epochs)
        if not all(0 < value < math.inf for value in positive) or not 0 < self.held_out < 1:
            raise UsageProblem(
                "steps, epochs, batch size and learning rate must be positive, the held-out share below 1"
            )

        check_shared_weight(self.shared_weight)

    def n_steps(self, n_examples: int) -> int:
        """Return the number of optimiser steps."""
        if self.epochs is None:
            return self.steps
        return max(1, round(self.epochs * n_examples / self.batch_size))


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
    cost: dict[str, Any]
    """Tokens, seconds, device and data; the merge writes it into its lineage."""

    def verdict(self) -> str:
        """Say whether learning was of use."""
        better = "better than" if self.learned_loss < self.uniform_loss else "not better than"
        return f"held-out loss {self.learned_loss:.4f}, {better} equal shares ({self.uniform_loss:.4f})"


OnStep = Callable[[int, int, float], None]
"""Progress callback: (step from 1, steps in all, loss)."""


def learn_mixing(
    moe_dir: Path,
    data: str | Path,
    options: LearnOptions,
    style: Any = "magicoder",
    *,
    held_out_data: str | Path | None = None,
    state: "Kept | None" = None,
    on_step: OnStep | None = None,
) -> tuple[list[MixMlp], LearnReport]:
    """Learn the coefficients of an MoE checkpoint on instructions.

    Args:
        moe_dir: The MoE.
        data: See `xft.data.read_rows`.
        options: How.
        style: How an instruction is worded.
        held_out_data: Rows that only measure; a share of `data` if not given.
        state: Where to keep what is needed to go on after an interruption; the same call then goes on there,
            and ends with the same numbers. The caller removes the file.
        on_step: Called after each step.

    Raises:
        CheckpointError: If the checkpoint is missing or dense.
        DataError: If the data is missing, malformed or too little.
        TrainingError: If a loss is not finite, or the state is of other arguments.
        OutputError: If the state can't be written.
    """
    from transformers import AutoTokenizer

    source = open_checkpoint(moe_dir)
    source.require_moe("learning its mixing")
    tokenizer: Any = AutoTokenizer.from_pretrained(moe_dir, trust_remote_code=True)
    encoded = encode(read_rows(data), tokenizer, options.max_tokens, style)
    if held_out_data is None:
        training, held_out = split(encoded.examples, options.held_out, options.seed)
    else:
        held_out = encode(read_rows(held_out_data), tokenizer, options.max_tokens, style).examples
        training = encoded.examples
    keep_freed_memory()
    model = load_moe(moe_dir)
    if torch.cuda.is_available():
        model.to("cuda")
    mixed = make_mixing(model, options.shared_weight, options.per, options.learn_shared)
    _compute_in_fp32_on_cpu(model)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    before = mean_loss(model, held_out, options.batch_size, pad_id)
    if state is not None:
        hashes = [content_hash(source, full=False), hash_of(training), hash_of(held_out)]
        spec = json.dumps([*hashes, dataclasses.asdict(options)])
        state.key = hashlib.sha256(spec.encode()).hexdigest()
    tokens_per_s = optimise(model, training, pad_id, options, on_step, state)
    report = LearnReport(
        rows=str(encoded),
        data_hash=encoded.sha256,
        uniform_loss=before,
        learned_loss=mean_loss(model, held_out, options.batch_size, pad_id),
        layers=movement(mixed),
        tokens_per_s=tokens_per_s,
        cost=_cost(training, options, tokens_per_s, located(data)),
    )
    return mixed, report


def _cost(training: Sequence[Example], options: LearnOptions, rate: float, data: str) -> dict[str, Any]:
    """Return what all steps took, those before an interruption included."""
    batches = endless_batches(training, options.batch_size, options.seed)
    steps = itertools.islice(batches, options.n_steps(len(training)))
    tokens = sum(len(example.ids) for batch in steps for example in batch)
    return {
        "tokens": tokens,
        "seconds": round(tokens / rate, 1),
        "device": device_name(),
        "processes": 1,
        "data": data,
    }


_KEEP_EVERY_S = 30.0


class _Progress(NamedTuple):
    """What the sessions of a run have made so far."""

    step: int = 0
    n_tokens: int = 0
    seconds: float = 0.0


@dataclasses.dataclass(slots=True)
class Kept:
    """The state of a run on disk: a few numbers per layer."""

    path: Path
    overwrite: bool = False
    """Whether a state of other arguments is dropped, not refused."""
    key: str = ""
    """Of everything that decides the result; set by `learn_mixing`."""
    written: float = dataclasses.field(default_factory=time.monotonic)

    def load(self) -> dict[str, Any] | None:
        """Return the state of an interrupted run, if there is one.

        Raises:
            TrainingError: If it is of other arguments and may not be dropped.
        """
        if not self.path.exists():
            return None
        found: dict[str, Any] = torch.load(self.path, weights_only=True)
        if found["key"] == self.key:
            return found
        if not self.overwrite:
            raise TrainingError(
                f"{self.path} is the state of a run on another MoE, data or options",
                hint="give the same arguments to finish it, or remove the file",
            )
        return None

    def save(self, progress: _Progress, parameters: Sequence[Tensor], optimiser: Any) -> None:
        """Write the state now and then, whole or not at all.

        Raises:
            OutputError: If it can't be written.
        """
        if time.monotonic() - self.written < _KEEP_EVERY_S:
            return
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        values = [parameter.detach() for parameter in parameters]
        state = {"key": self.key, "values": values, "optimiser": optimiser.state_dict()}
        state["progress"] = tuple(progress)
        with named_failures(self.path):
            torch.save(state, temporary)
            temporary.replace(self.path)
        self.written = time.monotonic()


def _compute_in_fp32_on_cpu(model: Any) -> None:
    """Widen everything but the stacks: most CPUs multiply fp32 several times as fast as bf16.

    Those that have bf16 multiply in it, under autocast. The stacks, buffers of the mixing layers, stay as
    they are; their sums take the dtype of the input.
    """
    for parameter in model.parameters():
        if parameter.device.type == "cpu":
            parameter.data = parameter.data.float()


def optimise(
    model: Any,
    training: Sequence[Example],
    pad_id: int,
    options: LearnOptions,
    on_step: OnStep | None = None,
    kept: Kept | None = None,
) -> float:
    """Run the steps on whatever parameters of the model learn; return tokens per second."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # No weight decay: it would pull the logits towards equal shares.
    optimiser = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=0.0)
    n_steps = options.n_steps(len(training))
    done, n_tokens, seconds = _resume(parameters, optimiser, kept)
    start = time.perf_counter() - seconds
    batches = itertools.islice(endless_batches(training, options.batch_size, options.seed), done, n_steps)
    for step, batch in enumerate(batches, start=done + 1):
        optimiser.param_groups[0]["lr"] = options.lr * _rate(step - 1, n_steps)
        loss = _step(model, batch, pad_id, optimiser, step)
        n_tokens += sum(len(example.ids) for example in batch)
        if kept is not None:
            kept.save(_Progress(step, n_tokens, time.perf_counter() - start), parameters, optimiser)
        if on_step is not None:
            on_step(step, n_steps, loss)
    return n_tokens / (time.perf_counter() - start)


def _resume(parameters: Sequence[Tensor], optimiser: Any, kept: Kept | None) -> _Progress:
    """Take up an interrupted run's state; return how far it had come."""
    state = None if kept is None else kept.load()
    if state is None:
        return _Progress()
    with torch.no_grad():
        for parameter, value in zip(parameters, state["values"], strict=True):
            parameter.copy_(value)
    optimiser.load_state_dict(state["optimiser"])
    return _Progress(*state["progress"])


def _step(model: Any, batch: Sequence[Example], pad_id: int, optimiser: Any, step: int) -> float:
    """Make one step and return its loss.

    Raises:
        TrainingError: If the loss is not finite.
    """
    total, count = batch_loss(model, batch, pad_id)
    loss = total / count
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrainingError(f"the loss is {value} at step {step}", hint="pass a smaller --lr")
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return value


def _rate(step: int, steps: int) -> float:
    warmup = max(1, steps // 10)
    return min((step + 1) / warmup, (steps - step) / max(1, steps - warmup + 1), 1.0)


def batch_loss(model: Any, batch: Sequence[Example], pad_id: int) -> tuple[Tensor, int]:
    """Return the summed cross-entropy of a batch's response tokens, and how many there are."""
    device = model.get_input_embeddings().weight.device
    tensors = {name: torch.tensor(rows, device=device) for name, rows in pad(batch, pad_id).items()}
    labels = tensors.pop("labels")[:, 1:]
    # Positions that no row learns from, most of the prompts, need no logits.
    kept = (labels != IGNORED).any(0).nonzero().flatten()
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=_computes_in_bf16(device)):
        if "logits_to_keep" in inspect.signature(type(model).forward).parameters:
            logits = model(**tensors, use_cache=False, logits_to_keep=kept).logits
        else:
            logits = model(**tensors, use_cache=False).logits[:, kept]
    labels = labels[:, kept].flatten()
    total = functional.cross_entropy(
        logits.flatten(0, 1).float(), labels, ignore_index=IGNORED, reduction="sum"
    )
    return total, int((labels != IGNORED).sum())


@functools.cache
def _computes_in_bf16(device: torch.device) -> bool:
    return resolve_compute("auto", device.type == "cuda") == "bf16"


def mean_loss(model: Any, examples: Sequence[Example], batch_size: int, pad_id: int) -> float:
    """Return the mean cross-entropy of all response tokens, without gradients."""
    total, count = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(examples), batch_size):
            loss, n = batch_loss(model, examples[start : start + batch_size], pad_id)
            total, count = total + float(loss), count + n
    return total / count
