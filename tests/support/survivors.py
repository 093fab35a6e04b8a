"""Who is left after a hostile program: processes below this one, and those that got away."""

import os
import time
from pathlib import Path


def processes() -> dict[int, tuple[int, int]]:
    """Return all processes: pid to (parent, user)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                found[int(entry.name)] = (int(fields[1]), entry.stat().st_uid)
            except OSError:
                continue  # it has ended
    return found


def survivors() -> tuple[int, set[int]]:
    """Return how many processes are below this one, and which candidates have got away from their parents."""
    everybody = processes()
    below = {os.getpid()}
    while more := {pid for pid, (parent, _) in everybody.items() if parent in below} - below:
        below |= more
    escaped = {
        pid
        for pid, (parent, user) in everybody.items()
        if parent <= 1 and os.getuid() == 0 and (user == 65534 or user >= 1 << 30)
    }
    return len(below), escaped


def settled(expected: tuple[int, set[int]]) -> tuple[int, set[int]]:
    """Return the survivors, after the short while that the kernel may take to bury the dead."""
    for _ in range(40):
        if (found := survivors()) == expected:
            break
        time.sleep(0.05)
    return found
