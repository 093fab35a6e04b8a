"""Landlock: take the file system away from a process by its own wish, without namespaces or privileges."""

# ruff: noqa: PTH208
# pathlib would be one more import in every jail

import ctypes
import os
import stat

from xftbench.execution.inside import linux

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 2, 4, 8
_READING = _EXECUTE | _READ | _READ_DIR
_REFER = 1 << 13
_VERSION_FLAG = 1
_KNOWN_BITS = {1: 13, 2: 14}  # rights by version of the interface; from 3 on truncating is one
_KNOWN_BITS_NOW = 15
_ON_FILES = _EXECUTE | _WRITE | _READ | 1 << 14
_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise linux.StepError(error, f"landlock: {os.strerror(error)}")
    return result


def for_reading(readable: list[str], masked: list[str]) -> int:
    """Return a descriptor of rules under which only what is below `readable` can be read.

    Args:
        readable: Directories and files.
        masked: Directories below the readable ones whose files stay unreadable. Rules can only allow, so the
            siblings of each are allowed one by one.

    Raises:
        OSError: If the kernel has no Landlock.
    """
    # Every set of rules forbids to move a file to another directory, unless it allows just that.
    moving = _REFER & _all_rights()
    rules = _new(_READING | moving)
    if moving:
        _allow(rules, "/", moving)
    for path in readable:
        _allow_reading(rules, path, masked)
    return rules


def for_changing(changeable: list[str]) -> int:
    """Return a descriptor of rules under which only what is below `changeable` can be written or made."""
    changing = _all_rights() & ~_READING
    rules = _new(changing)
    for path in changeable:
        _allow(rules, path, changing)
    return rules


def knows_truncating() -> bool:
    """Return whether rules of this kernel hold against all that changes a file's content."""
    try:
        return _version() not in _KNOWN_BITS
    except OSError:
        return False


def _version() -> int:
    return _call(_CREATE, None, ctypes.c_size_t(0), _VERSION_FLAG)


def _all_rights() -> int:
    return (1 << _KNOWN_BITS.get(_version(), _KNOWN_BITS_NOW)) - 1


def _new(handled: int) -> int:
    return _call(_CREATE, ctypes.byref(ctypes.c_uint64(handled)), ctypes.c_size_t(8), 0)


def restrict_self(rules: int) -> None:
    """Hold this process and all after it to the rules; no_new_privs must be set."""
    _call(_RESTRICT, rules, 0)


def _allow_reading(rules: int, path: str, masked: list[str]) -> None:
    if path in masked:
        return
    if not any(other.startswith(path + "/") for other in masked):
        _allow(rules, path, _READING)
        return
    _allow(rules, path, _READ_DIR)  # importing lists the directory
    for name in os.listdir(path):
        _allow_reading(rules, f"{path}/{name}", masked)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a dangling link
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _ON_FILES
        # struct landlock_path_beneath_attr is packed: a 64-bit mask, then a 32-bit descriptor
        attribute = rights.to_bytes(8, "little") + fd.to_bytes(4, "little")
        _call(_ADD_RULE, rules, 1, attribute, 0)
    finally:
        os.close(fd)
