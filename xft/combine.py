"""Merge rules between dense checkpoints of one ancestor: the baselines that a merged MoE has to beat.

Every rule works tensor by tensor, in fp32 (fp64 for fp64), rounded once; tensors that are not floating
point are copied from the first model. Memory: a few fp32 copies of the largest tensor.

Sources: soup Wortsman et al. 2022 (arXiv 2203.05482); task arithmetic Ilharco et al. 2022 (2212.04089);
TIES Yadav et al. 2023 (2306.01708); DARE Yu et al. 2023 (2311.03099); SLERP Shoemake 1985.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from math import fsum, isfinite
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from xft.checkpoint import (
    DEFAULT_WRITING,
    LINEAGE,
    Checkpoint,
    Plan,
    Writing,
    open_checkpoint,
    write_checkpoint,
)
from xft.errors import CheckpointError, UsageProblem
from xft.lineage import encode, record
from xft.numeric import FLOAT_DTYPES, Floats, narrow, read_values
from xft.output import new_directory, refuse_overlap
from xft.tensorfile import FileReader, PlannedTensor, TensorEntry

CombineRule = Literal["soup", "task-arithmetic", "ties", "dare", "slerp"]
_ROUNDED = 1e-5
"""How far from 1 the sum of weights may be that were written with six digits."""
_NEEDS_BASE = {"task-arithmetic", "ties", "dare"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CombineOptions:
    """A rule and its numbers.

    Raises:
        UsageProblem: If one is out of range.
    """

    rule: CombineRule = "soup"
    """Which rule."""
    weights: tuple[float, ...] | None = None
    """One per model; equal shares by default. A soup's add up to 1; differences may be added in full."""
    scale: float = 1.0
    """λ of task arithmetic, TIES and DARE: how far to go along the combined difference."""
    density: float = 1.0
    """Share of each difference that TIES (largest) and DARE (at random) keep, in (0, 1]."""
    t: float = 0.5
    """SLERP: 0 is the first model, 1 the second."""
    seed: int = 42
    """Seed of DARE's draws."""

    def __post_init__(self) -> None:
        if self.rule not in get_args(CombineRule):
            raise UsageProblem(
                f"unknown rule {self.rule!r}, expected one of {', '.join(get_args(CombineRule))}"
            )
        if not 0.0 < self.density <= 1.0:
            raise UsageProblem(f"the density is {self.density}, expected more than 0 and at most 1")
        if not all(isfinite(number) for number in (self.scale, *(self.weights or ()))):
            raise UsageProblem(f"scale {self.scale} and weights {self.weights} must be finite numbers")
        if not 0.0 <= self.t <= 1.0:
            raise UsageProblem(f"t is {self.t}, expected 0 to 1")

    def shares(self, n_models: int) -> list[float]:
        """Return one weight per model.

        Raises:
            UsageProblem: If there are more or less, or a soup's don't add up to 1.
        """
        if self.weights is None:
            return [1.0 / n_models] * n_models
        if len(self.weights) != n_models:
            raise UsageProblem(f"{len(self.weights)} weights for {n_models} models")
        total = fsum(self.weights)
        if self.rule == "soup" and abs(total - 1.0) > _ROUNDED:
            parts = ",".join(f"{weight / total:.6g}" for weight in self.weights) if total > 0 else None
            raise UsageProblem(
                f"the weights of a soup add up to {total:g}, expected 1: they would scale every tensor",
                hint=f"in the same proportions: --weights {parts}" if parts else None,
            )
        return list(self.weights)


def combine(
    models: Sequence[Path],
    base: Path | None,
    target: Path,
    options: CombineOptions,
    writing: Writing = DEFAULT_WRITING,
) -> None:
    """Write the combination of dense checkpoints; config and side files are the first model's.

    Args:
        models: The checkpoints, at least one (SLERP: exactly two).
        base: Their common ancestor, for the rules that combine differences.
        target: The new checkpoint directory.
        options: The rule.
        writing: How to write the target.

    Raises:
        CheckpointError: If a source is missing, an MoE, or differs in names, shapes or dtypes.
        UsageProblem: If the rule doesn't fit the number of models or lacks a base.
        OutputError: If the target exists or can't be written.
    """
    if options.rule in _NEEDS_BASE and base is None:
        raise UsageProblem(f"the rule {options.rule} combines differences, so it needs --base")
    if options.rule == "slerp" and len(models) != 2:
        raise UsageProblem(f"the rule slerp goes between exactly 2 models, got {len(models)}")
    options.shares(len(models))
    opened = [open_checkpoint(path) for path in [*models, *([base] if base else [])]]
    for checkpoint in opened:
        checkpoint.require_dense(f"the rule {options.rule}")
        _check_alike(opened[0], checkpoint)
    refuse_overlap(target, [checkpoint.directory for checkpoint in opened])
    recipe = dataclasses.asdict(options)
    lineage = record("baseline", opened, recipe, seed=options.seed, full_hash=writing.full_hash)
    plan = Plan(
        config=opened[0].config,
        tensors=list(_tensors(opened[: len(models)], opened[-1] if base else None, options)),
        side_files=opened[0].side_files(),
        texts={LINEAGE: encode(lineage)},
    )
    with new_directory(target, writing.overwrite) as directory:
        write_checkpoint(plan, directory, writing)


def _check_alike(first: Checkpoint, other: Checkpoint) -> None:
    if missing := sorted(set(first.tensors) ^ set(other.tensors)):
        raise CheckpointError(
            f"{first.directory} and {other.directory} differ in tensors: {', '.join(missing[:3])}"
        )
    for name, entry in first.tensors.items():
        found = other.tensors[name]
        if (entry.shape, entry.dtype) != (found.shape, found.dtype):
            raise CheckpointError(
                f"{name} is {entry.dtype} {list(entry.shape)} in {first.directory}, "
                f"{found.dtype} {list(found.shape)} in {other.directory}"
            )


def _tensors(
    models: Sequence[Checkpoint], base: Checkpoint | None, options: CombineOptions
) -> Iterator[PlannedTensor]:
    for name, entry in models[0].tensors.items():
        if entry.dtype not in FLOAT_DTYPES:
            yield PlannedTensor(name, entry.dtype, entry.shape, [entry.data])
            continue
        entries = [model.tensors[name] for model in models]
        ancestor = base.tensors[name] if base else None
        yield PlannedTensor(name, entry.dtype, entry.shape, _combined(entries, ancestor, options))


def _combined(
    entries: Sequence[TensorEntry], base: TensorEntry | None, options: CombineOptions
) -> Iterator[bytes]:
    dtype = entries[0].dtype
    shares = options.shares(len(entries))
    with FileReader() as reader:
        values = [read_values(entry.data, dtype, reader) for entry in entries]
        if base is None or options.rule in RULES_WITHOUT_BASE:
            result = RULES_WITHOUT_BASE[options.rule](values, shares, options)
        else:
            ancestor = read_values(base.data, dtype, reader)
            result = combine_values(ancestor, values, shares, options, entries[0].name)
    yield narrow(result, dtype)


def combine_values(
    base: Floats, models: Sequence[Floats], shares: Sequence[float], options: CombineOptions, name: str
) -> Floats:
    """Return base + scale · (combined differences) of one tensor."""
    differences = [model - base for model in models]
    if options.rule == "ties":
        combined = ties(differences, shares, options.density)
    else:
        if options.rule == "dare":
            differences = [
                dare(difference, options.density, f"{options.seed}\0{name}\0{index}")
                for index, difference in enumerate(differences)
            ]
        combined = _weighted(differences, shares)
    return base + options.scale * combined


def _weighted(values: Sequence[Floats], shares: Sequence[float]) -> Floats:
    total = np.zeros_like(values[0])
    for value, share in zip(values, shares, strict=True):
        total += share * value
    return total


def _soup(models: Sequence[Floats], shares: Sequence[float], _: CombineOptions) -> Floats:
    return _weighted(models, shares)


def _slerp(models: Sequence[Floats], _: Sequence[float], options: CombineOptions) -> Floats:
    return slerp(models[0], models[1], options.t)


def slerp(first: Floats, second: Floats, t: float) -> Floats:
    """Return the point at t on the great arc between two tensors seen as vectors.

    Falls back to the straight line where the angle is too small (or a vector zero) to define an arc. For
    fine-tuned siblings the angle is that small: slerp is then no independent baseline.
    """
    norms = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    cosine = float(np.dot(first.astype(np.float64), second.astype(np.float64))) / norms if norms else 1.0
    angle = float(np.arccos(np.clip(cosine, -1.0, 1.0)))
    if np.sin(angle) < 1e-4:
        return _weighted([first, second], [1.0 - t, t])
    return _weighted([first, second], [float(np.sin((1.0 - t) * angle) / np.sin(angle)),
                                       float(np.sin(t * angle) / np.sin(angle))])  # fmt: skip


def ties(differences: Sequence[Floats], shares: Sequence[float], density: float) -> Floats:
    """Trim each difference to its largest entries, elect a sign per entry, average those that agree.

    The average is weighted by the shares of the agreeing models; where none is left it is 0. A tied
    election goes to plus.
    """
    trimmed = [_largest(difference, density) for difference in differences]
    sign = np.where(_weighted(trimmed, shares) >= 0, 1.0, -1.0).astype(trimmed[0].dtype)
    total = np.zeros_like(trimmed[0])
    weight = np.zeros_like(trimmed[0])
    for values, share in zip(trimmed, shares, strict=True):
        agrees = values * sign > 0
        total += np.where(agrees, values * share, 0)
        weight += np.where(agrees, share, 0)
    average: Floats = total / np.where(weight > 0, weight, 1)
    return average


def _largest(values: Floats, density: float) -> Floats:
    """Keep the share `density` of the entries that is largest in magnitude, at least one."""
    keep = max(1, round(density * values.size))
    if keep >= values.size:
        return values
    magnitude = np.abs(values)
    threshold = np.partition(magnitude, values.size - keep)[values.size - keep]
    return np.where(magnitude >= threshold, values, 0).astype(values.dtype)


def dare(difference: Floats, density: float, key: str) -> Floats:
    """Keep each entry with probability `density` and divide by it; the draw depends on the key alone."""
    if density == 1.0:
        return difference
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big"))
    kept = generator.random(difference.size, dtype=np.float32) < density
    return np.where(kept, difference / density, 0).astype(difference.dtype)


RULES_WITHOUT_BASE: dict[str, Callable[[Sequence[Floats], Sequence[float], CombineOptions], Floats]] = {
    "soup": _soup,
    "slerp": _slerp,
}
