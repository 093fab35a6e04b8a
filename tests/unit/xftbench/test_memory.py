"""What counts as the memory of a run."""

import subprocess
import sys
import time

from processes import started

from xftbench.store.memory import MemoryWatch

_HOLD = "data = bytearray(200 << 20); data[::4096] = b'x' * len(data[::4096]); print(flush=True); input()"


def peak_beside(*words: str) -> int:
    command = [sys.executable, "-c", _HOLD, *words]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with MemoryWatch(interval_s=0.05) as watch:
            time.sleep(0.2)
    assert watch.peak_bytes is not None
    return watch.peak_bytes


def test_an_engine_in_another_process_counts_and_executed_programs_do_not() -> None:
    alone = peak_beside("xftbench.execution.inside.zygote")
    assert peak_beside() - alone > 180 << 20


_GIVE_BACK = """
import time
from xftbench.store.memory import MemoryWatch
with MemoryWatch(interval_s=0.02) as watch:
    before = watch.peak_bytes
    block = bytearray(b"x") * (150 << 20)
    deadline = time.monotonic() + 30  # on a busy machine the watch gets its turn late
    while watch.peak_bytes - before <= 120 << 20 and time.monotonic() < deadline:
        time.sleep(0.02)
    del block
print(watch.peak_bytes - before)
"""


def test_a_peak_is_kept_after_the_memory_is_given_back() -> None:
    # In a process of its own: here, the children of other tests come and go.
    with started([sys.executable, "-c", _GIVE_BACK], stdout=subprocess.PIPE, text=True) as child:
        grown, _ = child.communicate(timeout=60)
    assert int(grown) > 120 << 20
