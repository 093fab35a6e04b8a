"""Training steps: MoE over dense against their FLOP ratio, grouped products over the loop, mixing over dense.

Run: python tests/perf/xft_steps.py [cpu|cuda] [tokens, 2048] [rounds, 3]
Prints one JSON object. Each ratio is the median over interleaved rounds. One decoder layer's MLP is what is
timed for the experts (attention is the same on both sides); the FLOP ratio of that is top-k.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import xft.moe
from xft.config import MoeConfig
from xft.memory import keep_freed_memory
from xft.mixing import MixMlp
from xft.moe import XftExperts, XftMlp

STACKS = {"gate_up_proj": ("gate_proj.weight", "up_proj.weight"), "down_proj": ("down_proj.weight",)}


class Glu(nn.Module):
    """A gated MLP without biases."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, inner, bias=False)
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)
        self.act_fn = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return down(act(gate x) · up x)."""
        out: Tensor = self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))
        return out


def step(module: nn.Module, x: Tensor, seed: Tensor) -> Callable[[], None]:
    """Return a forward and backward pass with gradients to weights and input."""

    def run() -> None:
        for parameter in module.parameters():
            parameter.grad = None
        out = module(x.detach().requires_grad_())
        out.backward(seed)

    return run


def seconds(run: Callable[[], None], device: str) -> float:
    """Time one call."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def looped(run: Callable[[], None]) -> Callable[[], None]:
    """Return the same pass with the loop over experts instead of grouped products."""

    def loop() -> None:
        real = xft.moe.can_group
        xft.moe.can_group = lambda matrices, x: False
        try:
            run()
        finally:
            xft.moe.can_group = real

    return loop


def mixing_layer(dense: Glu) -> MixMlp:
    """Return a mixing layer of 8 frozen experts."""
    experts = XftExperts(dense, STACKS, 8)
    return MixMlp(experts.requires_grad_(False), shared_weight=0.75)


def main() -> None:
    """Measure and print."""
    device = sys.argv[1] if len(sys.argv) > 1 else "cpu"
    tokens = int(sys.argv[2]) if len(sys.argv) > 2 else 2048
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    width, inner, dtype = (2048, 5504, torch.bfloat16) if device == "cuda" else (576, 1536, torch.float32)
    keep_freed_memory()  # as training does
    torch.manual_seed(0)
    with torch.device(device):
        x, seed = torch.randn(tokens, width, dtype=dtype), torch.randn(tokens, width, dtype=dtype)
        dense = Glu(width, inner).to(dtype)
        moe = XftMlp(Glu(width, inner), MoeConfig(), STACKS, "experts", width).to(dtype).train()
        moe.router.init_weights(std=0.5, seed=0)
        mixing = mixing_layer(Glu(width, inner).to(dtype))
    runs = {"dense": step(dense, x, seed), "grouped": step(moe, x, seed), "mixing": step(mixing, x, seed)}
    runs["loop"] = looped(runs["grouped"])
    times: dict[str, list[float]] = {name: [] for name in runs}
    for index in range(rounds + 1):
        for name, run in runs.items():
            elapsed = seconds(run, device)
            if index:
                times[name].append(elapsed)
    median = {name: statistics.median(values) for name, values in times.items()}
    result = {
        "device": device,
        "tokens": tokens,
        "milliseconds": {name: round(1000 * value, 2) for name, value in median.items()},
        "grouped_over_dense_per_flop": round(median["grouped"] / median["dense"] / 6, 2),
        "loop_over_grouped": round(median["loop"] / median["grouped"], 2),
        "mixing_over_dense": round(median["mixing"] / median["dense"], 2),
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
