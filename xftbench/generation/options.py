"""What a user may decide about an engine; everything else is the engine's business."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendOptions:
    """Options of every backend."""

    dtype: str = "auto"
    """``auto``, ``bfloat16``, ``float16`` or ``float32``."""
    tensor_parallel: int = 1
    """GPUs that one copy of the model is spread over (vllm)."""
    batch_size: int = 32
    """Prompts generated together (hf); vllm batches by itself."""
