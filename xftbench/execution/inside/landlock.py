"""Landlock: take the file system away from a process by its own wish, without namespaces or privileges."""

import ctypes
import os
import stat

from xftbench.execution.inside import linux

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 2, 4, 8
_ALL_V1 = (1 << 13) - 1  # what the first version of the interface handles
_ON_FILES = _EXECUTE | _WRITE | _READ
_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise linux.StepError(error, f"landlock: {os.strerror(error)}")
    return result


def ruleset(readable: list[str], writable: list[str], masked: list[str]) -> int:
    """Return a descriptor of the rules: read below `readable`, all below `writable`, nothing else.

    Args:
        readable: Directories and files.
        writable: Directories and devices.
        masked: Directories below the readable ones whose files stay unreadable. Rules can only allow, so the
            siblings of each are allowed one by one.

    Raises:
        OSError: If the kernel has no Landlock.
    """
    handled = ctypes.c_uint64(_ALL_V1)
    rules = _call(_CREATE, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    for path in readable:
        _allow_reading(rules, path, masked)
    for path in writable:
        _allow(rules, path, _ALL_V1)
    return rules


def restrict_self(rules: int) -> None:
    """Hold this process and all after it to the rules; no_new_privs must be set."""
    _call(_RESTRICT, rules, 0)


def _allow_reading(rules: int, path: str, masked: list[str]) -> None:
    if path in masked:
        return
    if not any(other.startswith(path + "/") for other in masked):
        _allow(rules, path, _EXECUTE | _READ | _READ_DIR)
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
