"""A jail that is used again holds nothing of the program before."""

from collections.abc import Iterator

import pytest

from xftbench.execution.pool import Pool
from xftbench.records import FunctionProgram, Limits, Outcome

_HEAD = """
import array, fcntl, os, signal, resource
def attempt(function, *arguments):
    try:
        return function(*arguments)
    except (OSError, ValueError):
        pass
"""
_LOOK = f"""{_HEAD}
def f():
    return {{
        "times": (os.stat("/tmp").st_atime_ns, os.stat("/tmp").st_mtime_ns), "flags": _flags(),
        "files": os.listdir("/tmp"), "mode": os.stat("/tmp").st_mode, "attributes": os.listxattr("/tmp"),
        "free": os.statvfs("/tmp").f_bfree - os.statvfs("/tmp").f_blocks, "umask": os.umask(0o022),
        "limits": [resource.getrlimit(kind) for kind in range(16)], "processors": os.sched_getaffinity(0),
        "directory": os.getcwd(), "others": [n for n in range(1, 300) if n != os.getpid() and _is_there(n)],
        "signals": [signal.getsignal(n) is not None for n in range(1, 65)],
    }}
def _flags():
    flags = array.array("l", [0])
    attempt(fcntl.ioctl, os.open("/tmp", os.O_RDONLY), 0x80086601, flags, True)
    return flags[0]
def _is_there(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True
"""
_LOOKED_AT = (
    "times", "flags", "files", "mode", "attributes", "free", "umask",
    "limits", "processors", "directory", "others", "signals",
)  # fmt: skip
_TRACES = {
    "a file": "open('/tmp/x', 'w').write('y')",
    "a file that is gone and a time that is set back": "open('/tmp/x', 'w').close(); os.unlink('/tmp/x'); "
    "os.utime('/tmp', ns=(0, 0))",
    "a time of access": "os.utime('/tmp', ns=(123456789, 0))",
    "numbers of files that are gone": "[os.close(os.open('/tmp/x', 64)) or "
    "os.unlink('/tmp/x') for _ in range(9)]; os.utime('/tmp', ns=(0, 0))",
    "a flag": "fcntl.ioctl(os.open('/tmp', os.O_RDONLY), 0x40086602, array.array('l', [0x40]), True)",
    "the same mode": "os.chmod('/tmp', os.stat('/tmp').st_mode & 0o777)",
    "a directory": "os.mkdir('/tmp/x', 0)",
    "a mode": "os.chmod('/tmp', 0)",
    "an attribute": "os.setxattr('/tmp', 'user.x', b'y')",
    "a default acl": "os.setxattr('/tmp', 'system.posix_acl_default', bytes.fromhex("
    "'0200000001000700ffffffff04000000ffffffff20000000ffffffff'))",
    "a daemon": "os.fork() or (os.setsid(), os.fork() and os._exit(0), [0 for _ in iter(int, 1)])",
    "a daemon of a parent that dies": "os.fork() or [0 for _ in iter(int, 1)]; os.kill(os.getpid(), 9)",
    "another directory": "os.mkdir('/tmp/d'); os.chdir('/tmp/d')",
    "a mask": "os.umask(0o777)",
    "limits of the first process": "[attempt(resource.prlimit, 1, kind, (1, 1)) for kind in (0, 1, 6, 7, 9)]",
    "limits of its own": "resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))",
    "processors of the first process": "attempt(os.sched_setaffinity, 1, {0})",
    "signals to the first process": "[attempt(os.kill, 1, n) for n in range(1, 65)]",
    "signals to all": "os.kill(-1, signal.SIGSTOP)",
    "a stopped program": "os.kill(os.getpid(), signal.SIGSTOP)",
}


def _program(task_id: str, solution: str, test: str) -> FunctionProgram:
    test = f"def check(candidate):\n    {test}"
    return FunctionProgram(task_id=task_id, solution=solution, entry_point="f", context="", test=test)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """A pool of one worker, so that each program follows the one before in the same place."""
    with Pool(1, Limits(cpu_s=1, wall_s=3.0)) as pool:
        yield pool


def _run(pool: Pool, solution: str, test: str = "candidate()") -> Outcome:
    return pool.submit(_program("T/0", solution, test)).result()


def _seen(pool: Pool) -> str:
    """Return what a program sees of its jail, piece by piece: a detail is cut off."""
    pieces = []
    for name in _LOOKED_AT:
        outcome = _run(pool, _LOOK, f"raise RuntimeError(str(candidate()[{name!r}]))")
        assert outcome.detail.startswith("RuntimeError: "), outcome
        pieces.append(f"{name} {outcome.detail}")
    return "\n".join(pieces)


def _number(pool: Pool) -> int:
    """Return the number of a program's process in its jail."""
    outcome = _run(pool, f"{_HEAD}def f(): return os.getpid()", "raise RuntimeError(candidate())")
    return int(outcome.detail.split()[1])


def test_a_jail_is_used_again_after_a_program_that_left_nothing(pool: Pool) -> None:
    first = _number(pool)
    assert [_number(pool) for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_a_program_that_is_killed_for_its_time_leaves_the_jail_as_it_was(pool: Pool) -> None:
    first = _number(pool)
    assert _run(pool, "def f():\n    while True: pass").verdict == "timed_out"
    assert _number(pool) == first + 2


@pytest.mark.parametrize(
    "trace",
    [
        "a file", "a mode", "a daemon", "a directory", "a time of access", "a flag", "the same mode",
        "numbers of files that are gone", "a file that is gone and a time that is set back",
    ],
)  # fmt: skip
def test_a_program_that_leaves_a_trace_was_the_last_one_in_its_jail(trace: str, pool: Pool) -> None:
    _number(pool)
    _run(pool, f"{_HEAD}def f(): {_TRACES[trace]}")
    assert _number(pool) == 2


@pytest.mark.parametrize("trace", _TRACES)
def test_the_next_program_finds_nothing_of_the_one_before(trace: str, pool: Pool) -> None:
    before = _seen(pool)
    outcome = _run(pool, f"{_HEAD}def f():\n    {_TRACES[trace]}")
    assert outcome.verdict != "infrastructure_error", outcome
    assert _seen(pool) == before
    writes = "def f(): return open('/tmp/mine', 'w').write('x')"
    assert _run(pool, writes, "assert candidate() == 1").verdict == "passed"


def test_a_jail_is_left_after_some_hundred_programs(pool: Pool) -> None:
    numbers = [_number(pool) for _ in range(202)]
    assert numbers.count(2) in (1, 2)
