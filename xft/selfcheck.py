"""Compares routing, experts and merging with reference tensors: any folder of ``gate-*``, ``merge-*`` files.

Shapes, kinds and λ are read from the files. The reference is fp32, so its last digits depend on the order
in which its machine summed a matrix product: routers with logits of 50 are several 1e-6 from the fp64 result.
`fix_summation_order` asks MKL for the order that is the same on every CPU; where a tolerance is exceeded all
the same, it is widened to what other orders of the same sums reach on the same input, and no further.
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
    os.environ.setdefault("MKL_CBWR", "COMPATIBLE")


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
    config = _gate_config(path, tensors, metadata)
    for mode in ("eval", "train"):
        found = _layer(config, tensors, mode)
        yield Difference(f"{mode} ids", _unequal(found["ids_TK"], tensors[f"{mode}_ids_TK"]), 0)
        limits = dict(_GATE_LIMITS)
        for name in ("importance_R", "load_R"):
            limits[name] = STATISTICS_RTOL * float(tensors[f"{mode}_{name}"].abs().max())
        compared = {
            name: _compare(f"{mode} {_spoken(name)}", found[name], tensors[f"{mode}_{name}"], limit)
            for name, limit in limits.items()
        }
        if not all(difference.is_within for difference in compared.values()):
            spread = _rounding(config, tensors, mode)
            compared = {
                name: _compare(old.what, found[name], tensors[f"{mode}_{name}"], limits[name], spread[name])
                for name, old in compared.items()
            }
        yield from compared.values()


def _spoken(name: str) -> str:
    return re.sub("_[A-Z]+$", "", name).replace("_", " ")


def _compare(what: str, found: Any, expected: Any, limit: float, spread: Any = 0.0) -> Difference:
    """Return the difference of the element that is nearest to its limit, or furthest beyond it.

    Args:
        what: What is compared.
        found: As computed here.
        expected: The reference.
        limit: The tolerance.
        spread: How far rounding alone takes each element; it can take the reference and us as far.
    """
    import torch

    if found.shape != expected.shape:
        return Difference(what, float("nan"), limit)
    distance = (found - expected).abs().double().flatten()
    allowed = (torch.full_like(distance, limit) if isinstance(spread, float)
               else (2 * spread).double().flatten().clamp(min=limit))  # fmt: skip
    worst = int((distance / allowed).nan_to_num(nan=float("inf")).argmax())
    return Difference(what, float(distance[worst]), float(allowed[worst]))


_GATE_LIMITS = {
    "weights_TK": WEIGHTS_ATOL, "importance_R": 0.0, "load_R": 0.0, "balance_loss": BALANCE_ATOL,
    "output_TD": OUTPUT_ATOL,
}  # fmt: skip
_ORDERS = 64


def _layer(
    config: MoeConfig, tensors: Mapping[str, Any], mode: str, order_D: Any = slice(None), dtype: Any = None
) -> dict[str, Any]:
    """Run one layer as this package computes it.

    Args:
        config: What the file says of the layer.
        tensors: The file's tensors.
        mode: ``eval``, or ``train`` with the file's noise.
        order_D: Order of the input features: another one changes no result but by rounding.
        dtype: Of everything; fp32 by default.
    """
    import torch

    from xft.router import XftRouter

    dtype = dtype or torch.float32
    x_TD = tensors["x_TD"][:, order_D].to(dtype)
    router = XftRouter(config, x_TD.shape[1]).to(dtype)
    names = {"router_in": "proj_in", "router": "proj", "noise_weight": "noise"}
    state = {f"{ours}.weight": tensors[it][:, order_D] for it, ours in names.items() if it in tensors}
    if "router_out" in tensors:
        state["proj_out.weight"] = tensors["router_out"]
    router.load_state_dict(state)
    records: list[Any] = []
    router.train(mode == "train").records = records
    with torch.no_grad():
        noise_TR = tensors["train_noise_TR"].to(dtype) if mode == "train" else None
        _, weights_TK, ids_TK = router(x_TD, noise_TR)
        balance = records[0] if records else router.eval_balance(x_TD)
        output_TD = _experts(tensors, order_D).to(dtype)(x_TD, ids_TK, weights_TK)
    return {
        "ids_TK": ids_TK, "weights_TK": weights_TK, "importance_R": balance.importance,
        "load_R": balance.load, "balance_loss": balance.loss.reshape(1), "output_TD": output_TD,
    }  # fmt: skip


def _rounding(config: MoeConfig, tensors: Mapping[str, Any], mode: str) -> dict[str, Any]:
    """Return, per element, how far fp32 results are from the fp64 ones over many orders of summation."""
    import torch

    exact = _layer(config, tensors, mode, dtype=torch.float64)
    largest = {name: torch.zeros_like(exact[name]) for name in _GATE_LIMITS}
    generator = torch.Generator().manual_seed(0)
    for _ in range(_ORDERS):
        order_D = torch.randperm(tensors["x_TD"].shape[1], generator=generator)
        found = _layer(config, tensors, mode, order_D)
        if _unequal(found["ids_TK"], exact["ids_TK"]) == 0:
            for name, seen in largest.items():
                largest[name] = torch.maximum(seen, (found[name] - exact[name]).abs())
    return largest


def _experts(tensors: Mapping[str, Any], order_D: Any) -> Any:
    """Build the experts of a reference file (SwiGLU) from their matrices, for inputs in some order."""
    import torch
    from torch import nn

    from xft.moe import XftExperts

    gate, up = (tensors[f"expert_{name}_proj"][:, :, order_D] for name in ("gate", "up"))
    down = tensors["expert_down_proj"]

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
