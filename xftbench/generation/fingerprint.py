"""The content hash of a checkpoint: one digest over every file that decides what it generates.

Hashing 14 GB takes minutes, so the digest of each large file is remembered beside the identity of that file
(path, size, modification time, inode). A remembered digest that can't be read is ignored, never trusted.
"""

import hashlib
import logging
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from xftbench import jsonl
from xftbench.hashing import sha256_file
from xftbench.records import Record

_logger = logging.getLogger(__name__)

_REMEMBER_FROM_BYTES = 4 << 20
_ANNOUNCE_FROM_BYTES = 1 << 30

DECIDING_PATTERNS = (
    "config.json", "generation_config.json", "*.index.json", "*.py", "*.jinja", "chat_template.json",
    "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "*.model", "*.tiktoken",
)  # fmt: skip
"""Besides the weights. ``*.model`` is sentencepiece's."""


class _Remembered(Record):
    path: str
    size: int
    mtime_ns: int
    inode: int
    sha256: str


def deciding_files(directory: Path, weights: Iterable[Path]) -> list[Path]:
    """Return a checkpoint's weights, configuration, tokenizer, chat template and code, sorted by name."""
    files = {path for pattern in DECIDING_PATTERNS for path in directory.glob(pattern) if path.is_file()}
    return sorted(files | set(weights), key=lambda path: path.name)


def fingerprint(directory: Path, weights: Iterable[Path], cache_dir: Path) -> str:
    """Return the SHA-256 over the (name, SHA-256) pairs of all files that decide a checkpoint's output."""
    digest = hashlib.sha256()
    for path in deciding_files(directory, weights):
        digest.update(f"{path.name}\0{file_sha256(path, cache_dir)}\n".encode())
    return digest.hexdigest()


def file_sha256(path: Path, cache_dir: Path) -> str:
    """Return a file's SHA-256, remembered under `cache_dir` if the file is large."""
    status = path.stat()
    if status.st_size < _REMEMBER_FROM_BYTES:
        return sha256_file(path)
    key: dict[str, str | int] = {
        "path": str(path.absolute()),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "inode": status.st_ino,
    }
    entry = cache_dir / "sha256" / hashlib.sha256(msgspec.json.encode(key, order="sorted")).hexdigest()
    if (remembered := _recall(entry, key)) is not None:
        return remembered
    if status.st_size >= _ANNOUNCE_FROM_BYTES:
        _logger.info("hashing %s (%.1f GB), once", path, status.st_size / 1e9)
    sha256 = sha256_file(path)
    if _unchanged(path, status):
        _remember(entry, _Remembered(**key, sha256=sha256))  # type: ignore[arg-type]
    return sha256


def _unchanged(path: Path, before: os.stat_result) -> bool:
    after = path.stat()
    return (after.st_size, after.st_mtime_ns, after.st_ino) == (
        before.st_size,
        before.st_mtime_ns,
        before.st_ino,
    )


def _recall(entry: Path, key: dict[str, str | int]) -> str | None:
    try:
        remembered = msgspec.json.decode(entry.read_bytes(), type=_Remembered)
    except (OSError, *jsonl.BAD_JSON):
        return None
    fields = msgspec.structs.asdict(remembered)
    sha256 = str(fields.pop("sha256"))
    return sha256 if fields == key and len(sha256) == 64 else None


def _remember(entry: Path, remembered: _Remembered) -> None:
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_atomically(entry, msgspec.json.encode(remembered))
    except OSError as error:  # a full or read-only cache costs time, not correctness
        _logger.debug("can't remember the hash of %s: %s", remembered.path, error)
