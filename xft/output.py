"""Targets that appear whole or not at all: a temporary directory or file beside them, then a rename."""

import contextlib
import glob
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from xft.errors import OutputError


@contextlib.contextmanager
def new_directory(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary directory beside `target` that becomes `target` when the block ends without an error.

    A kill leaves at most the hidden temporary directory, never a half-written target; with `overwrite`
    the old target stays until the new one is complete.

    Raises:
        OutputError: If the target exists and `overwrite` is not set, or can't be written.
    """
    check_target(target, overwrite)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target)
        temporary.mkdir()
        yield temporary
        _swap_in(temporary, target)
        remove_leftovers(target)
    except OSError as error:
        raise OutputError(f"can't write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_target(target: Path, overwrite: bool) -> None:
    """Refuse a target that may not be made or replaced: before long work, not after it.

    Raises:
        OutputError: If it exists and `overwrite` is not set, or is no directory that can be replaced.
    """
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already", hint="choose another --out, or pass --overwrite")
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file, expected a directory to replace")
    if target.resolve() == Path.cwd():
        raise OutputError(f"{target} is the current directory, which can't be replaced")


def check_file_target(target: Path) -> None:
    """Refuse a file that can't be written: before long work, not after it.

    Raises:
        OutputError: If it is a directory, or its own is missing or can't be written.
    """
    if target.is_dir():
        raise OutputError(f"{target} is a directory, expected a file", hint="choose another --out")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(
            f"can't write {target}: {target.parent} is no directory that can be written",
            hint="choose another --out, or make the directory",
        )


def remove_leftovers(target: Path) -> None:
    """Remove what killed processes left of a file or directory; one that still runs keeps its own.

    A directory that was moved aside for a new one stays until there is one.
    """
    for path in target.parent.glob(f".{glob.escape(target.name)}.*"):
        owner, kind = path.name.removeprefix(f".{target.name}.").partition(".")[::2]
        is_left = kind == "tmp" or (kind == "old" and target.exists())
        if is_left and owner.isdecimal() and not _is_running_elsewhere(int(owner)):
            remove(path)


def remove(path: Path) -> None:
    """Remove a file or a whole directory, if there is one."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_running_elsewhere(process_id: int) -> bool:
    """Whether another process has the number; each container's first process has that of the one before."""
    if process_id == os.getpid():
        return False
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _swap_in(temporary: Path, target: Path) -> None:
    """Rename the finished directory into place; an old one is moved aside first."""
    if target.exists():
        target.rename(target.with_name(f".{target.name}.{os.getpid()}.old"))
    temporary.rename(target)


def refuse_overlap(target: Path, sources: Sequence[Path]) -> None:
    """Refuse a target that is one of the sources, or lies around or inside one.

    Raises:
        OutputError: If it does.
    """
    resolved = target.resolve()
    for source in (path.resolve() for path in sources):
        if resolved == source or resolved in source.parents or source in resolved.parents:
            raise OutputError(
                f"the target {target} overlaps the source {source}", hint="choose another --out"
            )


@contextlib.contextmanager
def named_failures(target: Path) -> Iterator[None]:
    """Name the target of a block that lets torch or safetensors write.

    Neither raises an OSError when a disk is full.

    Raises:
        OutputError: If the target can't be written.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) and not _WRITERS_WORDS.search(str(error)):
            raise
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise OutputError(f"can't write {target}: {first}", hint="is the disk full?") from error


_WRITERS_WORDS = re.compile(r"inline_container|PytorchStreamWriter|Error while serializing: I/O error")


def write_text_atomically(path: Path, text: str) -> None:
    """Put a text at `path` so that a reader finds the old file or the whole new one.

    Raises:
        OutputError: If it can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        remove_leftovers(path)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"can't write {path}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json_atomically(path: Path, value: object) -> None:
    """Put a value at `path` as indented JSON; raises like `write_text_atomically`."""
    write_text_atomically(path, json.dumps(value, indent=2) + "\n")
