"""The safetensors reader and streaming writer."""

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from xft.errors import CheckpointError
from xft.tensorfile import ByteRange, FileReader, PlannedTensor, read_header, write_file


def _copy(source: Path, target: Path) -> None:
    planned = [PlannedTensor(e.name, e.dtype, e.shape, [e.data]) for e in read_header(source).values()]
    with FileReader() as reader:
        write_file(target, planned, reader)


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {
        "odd": torch.arange(3, dtype=torch.bfloat16),
        "wide": torch.randn(5, 7),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "ids": torch.arange(9),
        "mask": torch.tensor([True, False, True]),
        "big": torch.randn(700, 1000).to(torch.float16),
    }


def _assert_same(path: Path, expected: dict[str, torch.Tensor]) -> None:
    found = load_file(path)
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def test_a_copy_reads_back_as_the_original(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    _copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    _assert_same(tmp_path / "b.safetensors", tensors)


@pytest.mark.parametrize("after", [0, 100_000], ids=["at once", "midway"])
def test_without_kernel_copies_the_bytes_are_the_same(
    tmp_path: Path, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    real, copied = os.copy_file_range, 0

    def refuse(source: int, target: int, count: int, offset: int) -> int:
        nonlocal copied
        if copied >= after:
            raise OSError(errno.EXDEV, "other file system")
        copied += (got := real(source, target, min(count, 60_000), offset))
        return got

    monkeypatch.setattr(os, "copy_file_range", refuse)
    _copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    _assert_same(tmp_path / "b.safetensors", tensors)


def test_every_tensor_is_aligned_to_its_elements(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, tmp_path / "a.safetensors")
    _copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    for entry in read_header(tmp_path / "b.safetensors").values():
        assert (
            entry.data.start % {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2, "BOOL": 1}[entry.dtype]
            == 0
        )


@pytest.mark.parametrize("length", [0, 5, 8, 60, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, tensors: dict[str, torch.Tensor], length: int) -> None:
    path = tmp_path / "a.safetensors"
    save_file(tensors, path)
    os.truncate(path, length if length >= 0 else path.stat().st_size - 1)
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        read_header(path)


@pytest.mark.parametrize(
    "header", [b"[]", b"{", b'{"a": 1}', b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}']
)
def test_a_malformed_header_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        read_header(path)


def test_a_tensor_with_too_few_pieces_is_a_bug_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="planned 8 bytes, got 4"), FileReader() as reader:
        write_file(tmp_path / "a", [PlannedTensor("x", "F32", (2,), [bytes(4)])], reader)


def test_a_file_that_shrinks_while_read_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(10))
    with pytest.raises(CheckpointError, match="shorter"), FileReader() as reader:
        reader.read_into(ByteRange(tmp_path / "a", 0, 20), memoryview(bytearray(20)))
