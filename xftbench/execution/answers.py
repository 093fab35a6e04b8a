"""What the tests of context programs expect: worked out once, and kept on disk for later programs.

DS-1000's tests run the reference solution anew for each program. The outcome is the same each time, where the
generators are seeded and nothing looks at the clock; see `inside.answers` for what is recorded, and when. An
entry is known by the test's text, by the code of ours that makes it, by the environment and by the processor.
"""

import hashlib
import os
import platform
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from xftbench.execution import references
from xftbench.execution.environments import Environment
from xftbench.execution.inside.answers import unsealed
from xftbench.records import ContextProgram

_CODE = (
    "inside/answers.py", "inside/candidate.py", "inside/context.py", "inside/rebuilders.py",
    "inside/transport.py", "answers.py", "nurseries.py", "view.py",
)  # fmt: skip
_CLOCK = re.compile(r"\b(?:now|today|time|urandom|uuid\w*|getpid)\b\s*\(|\btime\.\w|\bimport time\b")
_KIND = "context"
_MAX_BYTES = 32 << 20


class Answers:
    """The entries for one environment's tests.

    Args:
        environment: In which they run.
        preload: The modules that they find imported.
    """

    def __init__(self, environment: Environment, preload: Sequence[str]) -> None:
        code = references.code_sha256(_CODE)
        parts = (code, environment.path.name, environment.python, _processor(), *preload)
        self._about = " ".join(parts)
        self._without: set[str] = set()

    def key_of(self, program: ContextProgram) -> str:
        """Return the name of a program's entry, or "" if what its test makes may change."""
        if not program.seeded or _CLOCK.search(program.context):
            return ""
        key = hashlib.sha256(f"{self._about}\0{program.context}".encode()).hexdigest()[:40]
        return "" if key in self._without else key

    def forget(self, key: str) -> None:
        """Have an entry be neither used nor made any more."""
        self._without.add(key)
        with suppress(OSError):
            references.path_of(key, _KIND).unlink()

    def open(self, key: str) -> int | None:
        """Return a descriptor of an entry, if there is one."""
        with suppress(OSError):
            return os.open(references.path_of(key, _KIND), os.O_RDONLY | os.O_CLOEXEC)
        return None

    def keep(self, key: str, memory: int) -> None:
        """Store what a referee has written, unless it was killed meanwhile."""
        size = os.fstat(memory).st_size
        if not 0 < size <= _MAX_BYTES:
            return
        # No ValueError: it is whole. A full disk: it is made again the next time.
        with suppress(OSError, ValueError):
            unsealed(data := os.pread(memory, size, 0))
            references.keep(references.path_of(key, _KIND), data)


@cache
def _processor() -> str:
    """Return what decides how floating point operations are carried out."""
    lines: list[str] = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    about = sorted(
        {line for line in lines if line.startswith(("model name", "flags", "CPU part", "Features"))}
    )
    return hashlib.sha256("\n".join([platform.machine(), *about]).encode()).hexdigest()
