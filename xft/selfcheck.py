"""Compares routing, experts and merging with reference tensors: any folder of ``gate-*``, ``merge-*`` files.

Shapes, kinds and λ are read from the files. The reference is fp32, so its last digits depend on the order
in which a matrix product was summed; `fix_summation_order` asks MKL for one that is the same on every CPU.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from xft.config import MoeConfig, Routing
from xft.errors import CheckpointError
from xft.tensorfile import read_header

WEIGHTS_ATOL = 1e-6
BALANCE_ATOL = 1e-6
OUTPUT_ATOL = 1e-5
STATISTICS_RTOL = 1e-5
"""Importance and load are sums over all tokens, so their tolerance is relative."""


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One comparison."""

    what: str
    found: float
    """Largest absolute difference (of ids: how many differ; nan if shapes differ)."""
    allowed: float

    @property
    def is_within(self) -> bool:
        """Whether it is in tolerance; a nan never is."""
        return self.found <= self.allowed


def fix_summation_order() -> None:
    """Ask MKL for results that don't depend on the CPU's make; has effect before its first product only."""
    os.environ.setdefault("MKL_CBWR", "AUTO")


def check_folder(directory: Path) -> Iterator[tuple[Path, list[Difference]]]:
    """Yield each reference file with its comparisons.

    Raises:
        CheckpointError: If the folder is missing or holds no reference file, or a file is malformed.
    """
    if not directory.is_dir():
        raise CheckpointError(f"no directory {directory}", hint="pass the folder of gate-*.safetensors")
    files = sorted([*directory.glob("gate-*.safetensors"), *directory.glob("merge-*.safetensors")])
    if not files:
        raise CheckpointError(f"{directory} holds no gate-*.safetensors or merge-*.safetensors")
    for path in files:
        read_header(path)  # refuses a truncated file with a message of its own
        tensors, metadata = _load(path)
        try:
            check = check_gate if path.name.startswith("gate-") else check_merge
            yield path, list(check(path, tensors, metadata))
        except KeyError as error:
            raise CheckpointError(f"{path} lacks the tensor {error}") from error


def _load(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def _gate_config(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> MoeConfig:
    named = re.match(r"gate-(?P<kind>\w+?)-(?:mlp|linear)", path.name)
    routing = metadata.get("gate") or (named["kind"] if named else "")
    return MoeConfig(
        num_experts=tensors["expert_gate_proj"].shape[0],
        top_k=tensors["eval_ids_TK"].shape[1],
        routing=cast(Routing, routing),
        router="mlp" if "router_in" in tensors else "linear",
        reference=True,
    )


def check_gate(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> Iterator[Difference]:
    """Compare one layer's routing, balance loss and output, in eval and in training with the given noise."""
    import torch

    from xft.router import XftRouter

    config = _gate_config(path, tensors, metadata)
    x_TD = tensors["x_TD"]
    router = XftRouter(config, x_TD.shape[1])
    names = {"router_in": "proj_in", "router_out": "proj_out", "router": "proj", "noise_weight": "noise"}
    state = {f"{ours}.weight": tensors[theirs] for theirs, ours in names.items() if theirs in tensors}
    router.load_state_dict(state)
    experts = _experts(tensors)
    for mode in ("eval", "train"):
        records: list[Any] = []
        router.train(mode == "train").records = records
        with torch.no_grad():
            _, weights_TK, ids_TK = router(x_TD, tensors["train_noise_TR"] if mode == "train" else None)
            balance = records[0] if records else router.eval_balance(x_TD)
            output_TD = experts(x_TD, ids_TK, weights_TK)
        yield Difference(f"{mode} ids", _unequal(ids_TK, tensors[f"{mode}_ids_TK"]), 0)
        yield Difference(f"{mode} weights", _largest(weights_TK, tensors[f"{mode}_weights_TK"]), WEIGHTS_ATOL)
        for name in ("importance", "load"):
            expected_R = tensors[f"{mode}_{name}_R"]
            allowed = STATISTICS_RTOL * float(expected_R.abs().max())
            yield Difference(f"{mode} {name}", _largest(getattr(balance, name), expected_R), allowed)
        loss = _largest(balance.loss.reshape(1), tensors[f"{mode}_balance_loss"])
        yield Difference(f"{mode} balance loss", loss, BALANCE_ATOL)
        yield Difference(f"{mode} output", _largest(output_TD, tensors[f"{mode}_output_TD"]), OUTPUT_ATOL)


def _experts(tensors: Mapping[str, Any]) -> Any:
    """Build the experts of a reference file (SwiGLU) from their matrices."""
    import torch
    from torch import nn

    from xft.moe import XftExperts

    gate, up, down = (tensors[f"expert_{name}_proj"] for name in ("gate", "up", "down"))

    class SwiGlu(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate_up_proj = nn.Linear(gate.shape[2], 2 * gate.shape[1], bias=False)
            self.down_proj = nn.Linear(down.shape[2], down.shape[1], bias=False)
            self.act = nn.SiLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            gate_TF, up_TF = self.gate_up_proj(x).chunk(2, dim=-1)
            projected: torch.Tensor = self.down_proj(self.act(gate_TF) * up_TF)
            return projected

    stacks = {"gate_up_proj": ("gate_up_proj.weight",), "down_proj": ("down_proj.weight",)}
    experts = XftExperts(SwiGlu(), stacks, gate.shape[0])
    experts.load_state_dict({"gate_up_proj": torch.cat([gate, up], dim=1), "down_proj": down})
    return experts


def check_merge(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> Iterator[Difference]:
    """Compare coefficients and merged matrix: as the mixing model computes them, and as the export does."""
    import numpy as np
    import torch

    from xft.coefficients import Mixing
    from xft.mixing import coefficients, weighted_sum
    from xft.numeric import weighted_sum as streamed_sum

    logits_R, stack_E, expected_E = (
        tensors[name] for name in ("mixing_logits_R", "stack_E", "coefficients_E")
    )
    shared_weight = float(metadata.get("shared_weight", expected_E[0]))
    found_E = coefficients(logits_R, shared_weight)
    yield Difference("coefficients", _largest(found_E, expected_E), WEIGHTS_ATOL)
    yield Difference(
        "merged (mixing)", _largest(weighted_sum(found_E, stack_E), tensors["merged"]), WEIGHTS_ATOL
    )
    mixing = Mixing(shared_weights=[shared_weight], logits=[{"*": logits_R.tolist()}])
    whole = read_header(path)["stack_E"].data
    per_expert = whole.n_bytes // stack_E.shape[0]
    ranges = [whole.part(index * per_expert, per_expert) for index in range(stack_E.shape[0])]
    streamed = b"".join(streamed_sum(ranges, "F32", mixing.of(0, "*")))
    merged = torch.from_numpy(np.frombuffer(streamed, np.float32).copy()).reshape(stack_E.shape[1:])
    yield Difference("merged (export)", _largest(merged, tensors["merged"]), WEIGHTS_ATOL)


def _largest(found: Any, expected: Any) -> float:
    return float((found - expected).abs().max()) if found.shape == expected.shape else float("nan")


def _unequal(found: Any, expected: Any) -> float:
    return float((found != expected).sum()) if found.shape == expected.shape else float("nan")
