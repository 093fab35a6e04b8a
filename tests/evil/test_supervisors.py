"""A supervisor that is given another program has a jail in which nothing of the program before is left."""

import socket
import time
from collections.abc import Iterator

import pytest

from xftbench.execution.inside import channel
from xftbench.execution.native.job import _Job, _Supervisor
from xftbench.execution.native.toolchains import Missing, find_toolchain
from xftbench.execution.pool import Isolation, Pool
from xftbench.execution.worker import WorkerLostError
from xftbench.records import Limits, NativeProgram, Outcome

_LOOK = r"""
my @stat = stat("/tmp");
opendir(my $dir, "/tmp") or die "no /tmp";
my @names = sort(readdir($dir));
my @limits;
for my $kind (0 .. 15) { my $pair = "\0" x 16; syscall(97, $kind, $pair); push @limits, unpack("QQ", $pair); }
my $processors = "\0" x 128; syscall(204, 0, 128, $processors);
my @others = grep { $_ != $$ && (kill(0, $_) || $!{EPERM}) } 1 .. 300;
my $attributes = "\0" x 256; my $path = "/tmp"; my $length = syscall(194, $path, $attributes, 256);
my @signals = map { $SIG{$_} // "" } sort keys %SIG;
print STDERR join(" ", "SEEN", "@names", $stat[2], $stat[3], @stat[8, 9], umask(), "@limits",
    unpack("H*", $processors), "@others", $length, readlink("/proc/self/cwd"), "@signals"), "\n";
exit 3;
"""
_TRACES = {
    "a file": 'open(my $f, ">", "/tmp/x"); print $f "y";',
    "a file that is gone, and a time that is set back": 'open(my $f, ">", "/tmp/x"); unlink("/tmp/x"); '
    'utime(0, 0, "/tmp");',
    "another text in its place": 'open(my $f, ">", "/tmp/program.pl"); print $f "exit 0;";',
    "its text, gone": 'unlink("/tmp/program.pl");',
    "a second name for its text": 'link("/tmp/program.pl", "/tmp/x");',
    "a time of access": 'utime(123456789, 0, "/tmp");',
    "the same mode": 'chmod((stat("/tmp"))[2] & 0777, "/tmp");',
    "a mode": 'chmod(0, "/tmp");',
    "a directory": 'mkdir("/tmp/x", 0);',
    "an attribute": 'my ($d, $n, $v) = ("/tmp", "user.x", "y"); syscall(188, $d, $n, $v, 1, 0);',
    "a daemon": "if (!fork()) { setpgrp(); fork() and exit; while (1) { } }",
    "a daemon that waits": "use POSIX; if (!fork()) { POSIX::setsid(); sleep 1; mkdir('/tmp/x'); }",
    "a daemon of a parent that dies": "if (fork()) { kill(9, $$); } while (1) { }",
    "a stopped program": "kill('STOP', $$);",
    "signals to the first process": "kill($_, 1) for 1 .. 64;",
    "signals to all": "kill('KILL', -1);",
    "limits of the first process": 'syscall(302, 1, $_, pack("QQ", 1, 1), 0) for (0, 1, 6, 7, 9);',
    "processors of the first process": 'syscall(203, 1, 8, pack("Q", 1));',
    "a mask": "umask(0777);",
    "a flood": 'print "x" x 100000 for 1 .. 20;',
    "a lock on what it reads": "flock(STDIN, 2);",
}
_LEAVES_THE_JAIL = (
    "a file", "a file that is gone, and a time that is set back", "its text, gone", "a time of access",
    "a second name for its text", "the same mode", "a mode", "a directory",
)  # fmt: skip


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """A pool of one worker, so that each program follows the one before in the same place."""
    toolchain = find_toolchain("pl")
    if isinstance(toolchain, Missing):
        pytest.skip(f"pl: {toolchain.install}")
    with Pool(1, Limits(cpu_s=2, wall_s=4.0)) as pool:
        yield pool


def _run(pool: Pool, text: str) -> Outcome:
    return pool.submit(NativeProgram(task_id="T/0", language="pl", solution=text, test="")).result()


def _number(pool: Pool) -> int:
    """Return the number of a program's process in its jail; the first one is the supervisor."""
    outcome = _run(pool, 'print STDERR "NUMBER $$\\n"; exit 3;')
    assert "NUMBER" in outcome.stderr, outcome
    return int(outcome.stderr.split()[1])


def _seen(pool: Pool) -> str:
    outcome = _run(pool, _LOOK)
    assert "SEEN" in outcome.stderr, outcome
    return outcome.stderr


def test_a_supervisor_runs_further_programs_after_one_that_left_nothing(pool: Pool) -> None:
    first = _number(pool)
    assert [_number(pool) for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_a_program_that_is_killed_for_its_time_leaves_the_jail_as_it_was(pool: Pool) -> None:
    first = _number(pool)
    assert _run(pool, "while (1) { }").verdict == "timed_out"
    assert _number(pool) == first + 2


@pytest.mark.parametrize("trace", _LEAVES_THE_JAIL)
def test_a_program_that_leaves_a_trace_was_the_last_one_in_its_jail(trace: str, pool: Pool) -> None:
    _number(pool)
    _run(pool, _TRACES[trace])
    assert _number(pool) == 2


@pytest.mark.parametrize("trace", _TRACES)
def test_the_next_program_finds_nothing_of_the_one_before(trace: str, pool: Pool) -> None:
    before = _seen(pool)
    outcome = _run(pool, _TRACES[trace])
    assert outcome.verdict != "infrastructure_error", outcome
    assert _seen(pool) == before
    writes = (
        'open(my $f, ">", "/tmp/x") or exit 4; print $f "x"; close($f); exit((-s "/tmp/x") == 1 ? 0 : 5);'
    )
    assert _run(pool, writes).verdict == "passed"


def test_a_jail_is_left_after_some_hundred_programs(pool: Pool) -> None:
    numbers = [_number(pool) for _ in range(202)]
    assert 1 <= numbers.count(2) <= 6  # or sooner, as the supervisor's own CPU time is limited


def test_another_language_has_a_jail_of_its_own(pool: Pool) -> None:
    """Its limits are others, and a process can't widen its own."""
    _number(pool)
    bash = NativeProgram(task_id="T/0", language="sh", solution='echo "NUMBER $$" >&2; exit 3', test="")
    for _ in range(2):
        assert "NUMBER" in pool.submit(bash).result().stderr
        assert _number(pool) >= 2


def test_a_lock_on_what_a_program_reads_ends_with_it(pool: Pool) -> None:
    _run(pool, "flock(STDIN, 2);")
    free = 'open(my $f, "+<", "/dev/null") or exit 4; exit(flock($f, 2 | 4) ? 0 : 5);'
    assert _run(pool, free).verdict == "passed"


def test_a_supervisor_that_had_much_to_read_is_not_asked_again(pool: Pool) -> None:
    """Its limit of CPU time is that of its programs, and would end it in the midst of a later one."""
    _run(pool, '$| = 1; while (1) { print "x\\n"; }')
    assert [_number(pool) for _ in range(2)] == [2, 3]


def test_a_program_that_reads_back_what_it_wrote_is_ended_in_time(pool: Pool) -> None:
    thief = """
use Fcntl;
$| = 1;
sysopen(my $own, "/proc/self/fd/1", O_RDONLY | O_NONBLOCK) or exit 4;
for (1 .. 20000) { syswrite(STDOUT, "x"); sysread($own, my $back, 9); }
sleep(1000);
"""
    started = time.monotonic()
    assert _run(pool, thief).verdict == "timed_out"
    assert time.monotonic() - started < 60


_DESCRIPTORS = (
    'opendir(my $dir, "/proc/self/fd"); my @held = readdir($dir); closedir($dir);'
    'print STDERR join(" ", "HELD", grep { -e "/proc/self/fd/$_" } @held);'
)


@pytest.mark.parametrize("isolation", ["namespaces", "rlimits"])
def test_a_program_holds_no_descriptor_of_ours(isolation: Isolation, pool: Pool) -> None:
    """With the supervisor's connection it could report for itself and for those that come after it."""
    with Pool(1, Limits(cpu_s=2, wall_s=4.0), isolation) as own:
        for _ in range(2):  # the first one of a supervisor comes another way than the next
            held = _run(own, f"{_DESCRIPTORS} exit 3;").stderr.split()
            assert held[0] == "HELD"
            assert {*held[1:]} <= {".", "..", "0", "1", "2"}


@pytest.mark.parametrize(
    "report",
    [
        '{"steps": [{}]}',
        "[1]",
        "[" * 100_000,
        '{"steps": [], "again": true}',
        '{"broken": "no space"}',
        "",
    ],
)
def test_a_report_that_is_none_ends_the_worker_and_not_the_command(report: str) -> None:
    near, far = socket.socketpair()
    job = _Job(_NoWorker(), _Supervisor(near, about=None), [{"wall_s": 1.0, "cpu_s": 1}])  # type: ignore[arg-type]
    with near, far:
        channel.write_frame(far.fileno(), report.encode())
        job._hear_supervisor()
        with pytest.raises(WorkerLostError):
            job._ending()


class _NoWorker:
    def had_oom_kill(self, *, was_killed: bool) -> bool:
        return False

    def last_words(self) -> str:
        return ""
