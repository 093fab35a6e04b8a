"""What a user may decide about an engine; everything else is the engine's business."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

Order = Literal["engine", "reversed", "shuffled"]
"""In which order prompts are handed over: the engine's own, the other way round, or mixed up."""

ORDERS: tuple[Order, ...] = ("engine", "reversed", "shuffled")


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """Options of every backend."""

    dtype: str = "auto"
    """``auto``, ``bfloat16``, ``float16`` or ``float32``."""
    tensor_parallel: int = 1
    """GPUs that one copy of the model is spread over (vllm)."""
    batch_size: int | None = None
    """Prompts generated together, at most; None is the engine's own number."""
    order: Order = "engine"


def arrange(items: Sequence[T], order: Order, key: Callable[[T], str]) -> list[T]:
    """Return items, which stand in the engine's own order, in the order that was asked for.

    ``shuffled`` depends on the keys alone, so that a run that is made again is made in the same order.
    """
    if order == "reversed":
        return list(reversed(items))
    if order == "shuffled":
        return sorted(items, key=lambda item: hashlib.sha256(key(item).encode()).digest())
    return list(items)
