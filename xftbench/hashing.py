"""Content hashes: of bytes on disk, and of records in a canonical encoding."""

import hashlib
import re
from pathlib import Path

import msgspec

_BLOCK_BYTES = 1 << 20
_NUMBER = re.compile(r"\d+(e\d+)?")


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes; lone surrogates, which models do emit, are kept apart."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_record(record: object) -> str:
    """Return the SHA-256 of a record's JSON encoding with sorted keys.

    Two records hash alike exactly if every field is equal, whatever order the fields were given in.
    """
    return hashlib.sha256(msgspec.json.encode(record, order="sorted")).hexdigest()


def short_id(sha256: str) -> str:
    """Return 8 consecutive digits of a hash, the first ones that don't read as a number.

    ``205e5249`` is infinity, and ``00471100`` is 471100, to whatever reads a table and guesses types.
    """
    windows = (sha256[start : start + 8] for start in range(len(sha256) - 7))
    return next((window for window in windows if not _NUMBER.fullmatch(window)), sha256[:8])
