"""Arithmetic on tensors that stay on disk: fp32 sums, one rounding, a block at a time. numpy, not torch.

numpy has no bfloat16, so its bits are widened and rounded here. torch alone would take 200 MB of memory
and seconds to import.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xft.errors import CheckpointError
from xft.tensorfile import DTYPE_BYTES, ByteRange, FileReader

Floats = npt.NDArray[Any]
"""fp32, or fp64 for fp64 tensors."""
FLOAT_DTYPES = ("F64", "F32", "F16", "BF16")
_BLOCK_ELEMENTS = 1 << 17
_RAW = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16}


def require_float(dtype: str, name: str) -> None:
    """Refuse dtypes that can't be averaged.

    Raises:
        CheckpointError: If the tensor is of one.
    """
    if dtype not in FLOAT_DTYPES:
        raise CheckpointError(
            f"{name} has dtype {dtype}, expected one of {', '.join(FLOAT_DTYPES)} to merge it"
        )


def sum_dtype(dtype: str) -> type[np.float32] | type[np.float64]:
    """Return the precision that a tensor's sums are kept in: fp32, or fp64 for fp64 tensors."""
    return np.float64 if dtype == "F64" else np.float32


def widen(raw: bytes | bytearray | memoryview, dtype: str) -> Floats:
    """Return the values of raw little-endian bytes as fp32 (fp64 for fp64), without rounding."""
    values = np.frombuffer(raw, dtype=_RAW[dtype])
    if dtype == "BF16":
        wide = np.zeros(2 * values.size, np.uint16)
        wide[1::2] = values
        return wide.view(np.float32)
    return values.astype(sum_dtype(dtype), copy=False)


def narrow(values: Floats, dtype: str) -> bytes:
    """Return values as bytes of a dtype, rounded once, to nearest, ties to even."""
    if dtype != "BF16":
        with np.errstate(over="ignore"):  # what doesn't fit in fp16 becomes inf, as it does in torch
            return values.astype(_RAW[dtype]).tobytes()
    bits = values.astype(np.float32, copy=False).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    is_nan = np.isnan(values)
    if is_nan.any():
        rounded[is_nan] = 0x7FC0
    return rounded.astype(np.uint16).tobytes()


def read_values(source: ByteRange, dtype: str, reader: FileReader) -> Floats:
    """Return a whole tensor's values, widened."""
    raw = bytearray(source.n_bytes)
    reader.read_into(source, memoryview(raw))
    return widen(raw, dtype)


class _Summer:
    """Buffers for one block, reused: fresh ones would cost more in page faults than the sums."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.float: Any = sum_dtype(dtype)
        self.raw = bytearray(_BLOCK_ELEMENTS * DTYPE_BYTES[dtype])
        self.wide = np.zeros(_BLOCK_ELEMENTS, self.float)
        self.scaled = np.zeros(_BLOCK_ELEMENTS, self.float)
        self.total = np.zeros(_BLOCK_ELEMENTS, self.float)

    def add(self, count: int, coefficient: float) -> None:
        """Add coefficient · the first `count` values in the raw buffer to the total."""
        values = np.frombuffer(self.raw, dtype=_RAW[self.dtype], count=count)
        if self.dtype == "BF16":
            bits = self.wide.view(np.uint32)[:count]
            bits[:] = values
            np.left_shift(bits, 16, out=bits)
        else:
            self.wide[:count] = values
        scaled, total = self.scaled[:count], self.total[:count]
        np.multiply(self.wide[:count], self.float(coefficient), out=scaled)
        np.add(total, scaled, out=total)


def weighted_sum(
    sources: Sequence[ByteRange], dtype: str, coefficients: Sequence[float], out_dtype: str | None = None
) -> Iterator[bytes]:
    """Yield Σ c_i · source_i a block at a time, summed in the given order in fp32 and rounded once.

    Memory: a few blocks of 2¹⁷ elements, whatever the tensor's size. Sources with a coefficient of exactly
    0 are not read.

    Args:
        sources: Equally long ranges of one dtype.
        dtype: Their dtype.
        coefficients: One per source.
        out_dtype: What to round to; by default the sources' own.
    """
    width = DTYPE_BYTES[dtype]
    used = [(source, c) for source, c in zip(sources, coefficients, strict=True) if c != 0.0]
    n_bytes = sources[0].n_bytes
    summer = _Summer(dtype)
    raw = memoryview(summer.raw)
    with FileReader() as reader:
        for start in range(0, n_bytes, _BLOCK_ELEMENTS * width):
            size = min(_BLOCK_ELEMENTS * width, n_bytes - start)
            total = summer.total[: size // width]
            total.fill(0.0)
            for source, coefficient in used:
                reader.read_into(source.part(start, size), raw[:size])
                summer.add(size // width, coefficient)
            yield narrow(total, out_dtype or dtype)
