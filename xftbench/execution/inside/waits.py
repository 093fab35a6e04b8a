"""How long other work has kept a program from the processors: that is not time of its own."""

# ruff: noqa: PTH123, PTH208
# pathlib would be one more import in every jail

import contextlib
import os


def of_threads(process: str) -> dict[str, float]:
    """Return how many seconds each thread of a process has waited for a processor, by its number.

    The first thread may have nothing to do but to wait for another one, as in every JVM.
    """
    waits = {}
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{process}/task"):
            name = f"/proc/{process}/task/{task}/schedstat"
            with contextlib.suppress(OSError, ValueError, IndexError), open(name) as file:
                waits[task] = int(file.read().split()[1]) / 1e9
    return waits


class Longest:
    """Sums up what was waited between looks: of each stretch the thread that waited longest counts.

    Threads come and go, so who looks once, at the end, does not see all of it.
    """

    def __init__(self) -> None:
        self._before: dict[str, float] = {}

    def since_last(self, waits: dict[str, float]) -> float:
        """Return the seconds since the last look, given what each thread has waited in all."""
        waited_s = max((wait - self._before.get(task, 0.0) for task, wait in waits.items()), default=0.0)
        self._before = waits
        return waited_s
