"""How a model is tuned: the choices, their ranges, and the release's values."""

import dataclasses
from math import inf
from pathlib import Path
from typing import Any, Literal, get_args

from xft.errors import UsageProblem

Optimizer = Literal["adamw", "adafactor"]
Schedule = Literal["linear", "cosine"]
Compute = Literal["auto", "bf16", "fp32", "pure-bf16"]
# AMX or AVX-512 on x86, FEAT_BF16 on ARM; without them bf16 is emulated, and several times slower.
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


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
    """Sequences per forward pass and process; with packing, each holds up to `max_tokens`."""
    accumulate: int = 1
    """Forward passes per optimiser step."""
    optimizer: Optimizer = "adamw"
    """No weight decay; Adafactor without relative steps and parameter scaling."""
    lr: float = 5e-5
    """Peak learning rate; warmed up, then to 0."""
    schedule: Schedule = "linear"
    warmup: float = 0.07
    """Share of the steps."""
    clip: float = 1.0
    """Largest gradient norm; 0 does not clip."""
    max_tokens: int = 1024
    style: str = "magicoder"
    seed: int = 42
    packing: bool = False
    """Fill sequences with several rows, none of which sees another."""
    compute: Compute = "auto"
    """fp32 weights with bf16 or fp32 arithmetic, or bf16 weights; auto is bf16 where the device has it."""
    checkpoint_activations: bool = False
    ewa: float | None = None
    """After each step, move every expert this far towards the others' mean (0 to 1); for an MoE."""
    compile: bool = False
    """torch.compile; pays on GPUs."""

    def __post_init__(self) -> None:
        steps = 1 if self.steps is None else self.steps
        positive = (self.epochs, steps, self.batch_size, self.accumulate, self.lr, self.max_tokens)
        if not all(0 < value < inf for value in positive) or not 0 <= self.warmup < 1:
            raise UsageProblem("epochs, steps, sizes and learning rate must be positive, the warm-up below 1")
        if not 0 <= self.clip < inf:
            raise UsageProblem(f"the largest gradient norm is {self.clip}, expected 0 or more")
        if self.ewa is not None and not 0 < self.ewa <= 1:
            raise UsageProblem(f"the share rate of EWA is {self.ewa}, expected more than 0 and at most 1")
        for name, kind in (("optimizer", Optimizer), ("schedule", Schedule), ("compute", Compute)):
            if (value := getattr(self, name)) not in get_args(kind):
                raise UsageProblem(f"{name} is {value!r}, expected one of {', '.join(get_args(kind))}")


REFERENCE: dict[str, Any] = {"optimizer": "adafactor", "clip": 0.0, "compute": "pure-bf16", "packing": False}
"""What the released code does where our defaults differ. Source: ise-uiuc/xft's train_*.sh."""


def resolve_compute(compute: Compute, on_gpu: bool) -> Compute:
    """Return what ``auto`` stands for on this machine."""
    if compute != "auto":
        return compute
    return "bf16" if on_gpu or _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(_BF16_FLAGS & set(flags.split()))
