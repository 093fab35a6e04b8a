"""The safetensors format, a byte range at a time: headers are read, files are written header first.

Nothing here loads a tensor: a file is planned (name, dtype, shape and where the bytes come from), its
header is written, and the bytes follow, copied inside the kernel where it can. Needs no torch.

Source: the format is described at https://github.com/huggingface/safetensors (8-byte little-endian
header length, JSON header padded with spaces, raw bytes).
"""

import contextlib
import dataclasses
import errno
import json
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from xft.errors import CheckpointError

DTYPE_BYTES = {
    "F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
    "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
}  # fmt: skip
_BLOCK_BYTES = 1 << 20
_MAX_HEADER_BYTES = 100_000_000
# What file systems answer when they can't copy between these two files inside the kernel.
_NO_KERNEL_COPY = {
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EBADF,
    errno.ETXTBSY,
}


@dataclasses.dataclass(frozen=True, slots=True)
class ByteRange:
    """Consecutive bytes of a file."""

    path: Path
    start: int
    n_bytes: int

    def part(self, offset: int, n_bytes: int) -> "ByteRange":
        """Return `n_bytes` of this range, from `offset` on."""
        if offset < 0 or offset + n_bytes > self.n_bytes:
            raise ValueError(f"bytes {offset}..{offset + n_bytes} of a range of {self.n_bytes}")
        return ByteRange(self.path, self.start + offset, n_bytes)


@dataclasses.dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a file: what it is and where its bytes lie."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: ByteRange


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedTensor:
    """One tensor to write; its pieces are consumed once, in order, while the file is written."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    pieces: Iterable[ByteRange | bytes | memoryview]

    @property
    def n_bytes(self) -> int:
        """Size of the tensor."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Return the tensors of a safetensors file, in the order of their bytes.

    Raises:
        CheckpointError: If the file is missing, not of this format, or not as long as its header says.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else _MAX_HEADER_BYTES + 1
            raw = file.read(length) if length <= _MAX_HEADER_BYTES else b""
    except OSError as error:
        raise CheckpointError(f"can't read {path}: {error.strerror}") from error
    if len(raw) != length:
        raise CheckpointError(f"{path} is not a safetensors file, or its header is cut off", hint=_COPY_AGAIN)
    try:
        entries = _entries(path, json.loads(raw), 8 + length)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} has a malformed safetensors header: {error}") from error
    end = max((entry.data.start + entry.data.n_bytes for entry in entries), default=8 + length)
    if end != size:
        raise CheckpointError(f"{path} has {size} bytes, its header describes {end}", hint=_COPY_AGAIN)
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.data.start)}


_COPY_AGAIN = "the file was truncated or is still being written: copy or download it again"


def _entries(path: Path, header: dict[str, Any], data_start: int) -> list[TensorEntry]:
    entries = []
    for name, fields in header.items():
        if name == "__metadata__":
            continue
        begin, end = fields["data_offsets"]
        shape = tuple(int(size) for size in fields["shape"])
        dtype = str(fields["dtype"])
        if dtype in DTYPE_BYTES and math.prod(shape) * DTYPE_BYTES[dtype] != end - begin:
            raise ValueError(f"{name} of shape {list(shape)} and dtype {dtype} has {end - begin} bytes")
        entries.append(TensorEntry(name, dtype, shape, ByteRange(path, data_start + begin, end - begin)))
    return entries


class FileReader:
    """Reads byte ranges, keeping each file open; close it, or use it in a ``with``."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}

    def __enter__(self) -> "FileReader":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def descriptor(self, path: Path) -> int:
        """Return an open descriptor of the file."""
        if path not in self._descriptors:
            self._descriptors[path] = os.open(path, os.O_RDONLY)
        return self._descriptors[path]

    def read_into(self, source: ByteRange, buffer: memoryview) -> None:
        """Fill `buffer` (of exactly the range's size) from the file.

        Raises:
            CheckpointError: If the file ends before the range does.
        """
        done = 0
        while done < source.n_bytes:
            got = os.preadv(self.descriptor(source.path), [buffer[done:]], source.start + done)
            if got == 0:
                raise CheckpointError(f"{source.path} became shorter while it was read", hint=_COPY_AGAIN)
            done += got

    def blocks(self, source: ByteRange) -> Iterator[bytes]:
        """Yield the bytes of a range, a block at a time."""
        for offset in range(0, source.n_bytes, _BLOCK_BYTES):
            block = bytearray(min(_BLOCK_BYTES, source.n_bytes - offset))
            self.read_into(source.part(offset, len(block)), memoryview(block))
            yield bytes(block)


def write_file(
    path: Path,
    tensors: Sequence[PlannedTensor],
    reader: FileReader,
    on_tensor: Callable[[PlannedTensor], None] = lambda tensor: None,
) -> None:
    """Write a safetensors file, header first, then each tensor's pieces; O(one piece) of memory.

    Tensors of wide dtypes come first, so that every tensor is aligned to its element size.
    """
    ordered = sorted(tensors, key=lambda tensor: -DTYPE_BYTES[tensor.dtype])
    with path.open("wb") as file:
        file.write(_header(ordered))
        file.flush()
        target = file.fileno()
        for tensor in ordered:
            written = sum(_write_piece(target, piece, reader) for piece in tensor.pieces)
            if written != tensor.n_bytes:
                raise ValueError(f"{tensor.name}: planned {tensor.n_bytes} bytes, got {written}")
            on_tensor(tensor)


def _header(tensors: Sequence[PlannedTensor]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.n_bytes
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw


def _write_piece(target: int, piece: ByteRange | bytes | memoryview, reader: FileReader) -> int:
    if isinstance(piece, ByteRange):
        _copy_range(target, piece, reader)
        return piece.n_bytes
    _write_all(target, piece)
    return len(piece)


def _write_all(target: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]


def _copy_range(target: int, source: ByteRange, reader: FileReader) -> None:
    """Copy a range to the end of `target`: inside the kernel if it can, through a small buffer if not."""
    done = 0
    descriptor = reader.descriptor(source.path)
    with contextlib.suppress(_KernelCopyRefusedError):
        while done < source.n_bytes:
            copied = _kernel_copy(descriptor, target, source.n_bytes - done, source.start + done)
            if copied == 0:
                break
            done += copied
    for block in reader.blocks(source.part(done, source.n_bytes - done)):
        _write_all(target, block)


class _KernelCopyRefusedError(Exception):
    """This pair of files can't be copied inside the kernel."""


def _kernel_copy(source: int, target: int, count: int, offset: int) -> int:
    if not hasattr(os, "copy_file_range"):  # Linux only
        raise _KernelCopyRefusedError
    try:
        return os.copy_file_range(source, target, count, offset)
    except OSError as error:
        if error.errno in _NO_KERNEL_COPY:
            raise _KernelCopyRefusedError from error
        raise
