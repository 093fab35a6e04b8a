"""The referee of a context program: runs the benchmark's own test, and has the solution run in a child.

DS-1000's test calls ``exec(program, {"test_input": ...})`` in its own process, where a program could read the
expected answer, change the comparison, or end the process. Here the name `exec` means something else to the
test: the program goes, with its input, to a child that was forked before the test had made any answer and
that has thrown away the test's code; what comes back is plain data, compared here. A result that can't be
moved as plain data does not pass; what the test says of it in the child, which gets the expected one only
then, is reported.

The referee is the only place where a program can pass. A figure is moved too, where the test looks at more
than the picture.
"""

import gc
import json
import os
import random
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from xftbench.execution.inside import channel, linux, plain, snippet
from xftbench.execution.inside.answers import Recording, Unrecorded, record, sealed, unsealed
from xftbench.execution.inside.candidate import Answer, Candidate, RemoteError
from xftbench.execution.inside.shown import LONGEST_OF_ERROR, shown, text_of

if TYPE_CHECKING:
    from xftbench.execution.inside.jail import NamespaceJail
    from xftbench.execution.inside.weak import WeakJail

Check = Callable[[object, object], object]
"""(result, expected) -> whether they are the same."""
_EXIT_MS = 1000


def serve(fds: list[int], null: int, jail: "NamespaceJail | WeakJail") -> NoReturn:
    """Run one job: judge it, report, and end.

    Args:
        fds: Of the job (JSON), of the connection that takes the report, of the candidate's stderr, and
            perhaps of the recorded answers, or of the file that takes them.
        null: Of /dev/null.
        jail: Whose candidate the child becomes.
    """
    job_fd, report_fd, errors_fd, *answers = fds
    job = json.loads(channel.read_file(job_fd))
    os.dup2(null, 2)
    try:
        report = _judge(job, jail, [report_fd, *answers], [null, errors_fd])
    except _UnjailedError as error:
        report = [None, "unjailed", str(error)]
    except BaseException as error:  # noqa: BLE001 - what a program can make fail has been caught where it ran
        report = [None, "broken", f"the referee fails: {describe(error)}"]
    channel.write_frame(report_fd, json.dumps(report).encode())
    os._exit(0)


class _UnjailedError(Exception):
    """A jail could not be built."""


def _build(step: Callable[..., Any], *arguments: object) -> Any:
    try:
        return step(*arguments)
    except OSError as error:
        raise _UnjailedError(str(error)) from error


def _judge(
    job: dict[str, Any], jail: "NamespaceJail | WeakJail", ours: list[int], theirs: list[int]
) -> list[Any]:
    """Return the report: [what happened, ...], as of `checker.judge`, behind the candidate's end."""
    _build(jail.open_scratch)
    if job["seeded"]:
        seed()
    else:
        random.seed()  # what a fork would do, were it not for the worker's boot
    solution, context = job["solution"], job["context"]
    namespace: dict[str, Any] = {}
    try:
        exec(compile(context, "<context>", "exec", dont_inherit=True), namespace)  # noqa: S102 - the benchmark's
    except BaseException as error:  # noqa: BLE001
        return [None, "broken", f"the context does not load: {describe(error)}"]
    near, far = socket.socketpair()
    gc.enable()
    gc.freeze()  # what both have is never scanned, so its pages are not copied
    pid, pidfd = _build(linux.fork_into, jail.namespaces)
    if pid == 0:
        near.close()
        # What the candidate must not find: the test's code, which holds the reference solution.
        namespace.clear()
        job.clear()
        solution = context = ""
        snippet.become(far, theirs, ours, jail)
    far.close()
    candidate = Candidate(near, context)
    try:
        _build(jail.confine_referee)
        if job["answers"] == "rehearse":
            report = _rehearse(namespace, job["numbers"])
        else:
            candidate.recording = _recording(job["answers"], ours[-1], namespace, candidate.sent)
            report = _run_test(namespace, solution, candidate)
    except Unrecorded:
        report = ["unrecorded"]
    finally:
        near.close()
    return [_end(pid, pidfd), *(candidate.trouble or report)]


def _recording(answers: str, fd: int, namespace: dict[str, Any], before: dict[str, Any]) -> Recording | None:
    """Return what the test makes, if it is or can be recorded; called before the candidate has a program.

    Raises:
        Unrecorded: If it can't be recorded or played back.
    """
    if not answers:
        return None
    try:
        if answers == "make":
            data = record(namespace, before)
            with open(fd, "wb") as file:  # and closed, so that nothing of a solution's can come into it
                file.write(sealed(data))
        else:
            with open(fd, "rb") as file:
                data = unsealed(file.read())
        return Recording(data)
    except Exception as error:
        raise Unrecorded from error


def _rehearse(namespace: dict[str, Any], numbers: str) -> list[str]:
    """Make the inputs of some tests without a program: whose fault was it that one of them failed?"""
    for number in map(int, numbers.split()):
        try:
            namespace["generate_test_case"](number)
        except BaseException as error:  # noqa: BLE001
            return ["broken", f"the test has no input: {describe(error)}"]
    return ["ok"]


def seed() -> None:
    """Seed whatever draws random numbers and is loaded."""
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.random.set_seed(0)


def describe(error: BaseException) -> str:
    """Return an exception as one text."""
    return f"{type(error).__name__}: {text_of(error)}"


class _Broken(BaseException):
    """The benchmark's own code failed before the program had anything to do with it."""


class _Doubtful(BaseException):
    """The benchmark's own code failed after the program had filled memory and disk as it liked."""


class _Stays(BaseException):
    """The program's result can't be moved, so nothing is known about it."""


def _run_test(namespace: dict[str, Any], solution: str, candidate: Candidate) -> list[Any]:
    """Run the test and return the report; whatever goes wrong here, the program had a hand in it."""
    try:
        report = _tested(namespace, solution, candidate)
    except BaseException:  # noqa: BLE001 - such as a second MemoryError, in telling of the first one
        report = ["raised", "MemoryError", "a failure that can't be told", ""]
    if "MemoryError" in report:  # to have room to report: what the program handed in may be in a cycle
        candidate.about.clear()
        namespace.clear()
        gc.collect()
    return report


def _tested(namespace: dict[str, Any], solution: str, candidate: Candidate) -> list[Any]:
    namespace["exec"] = candidate.execute
    make = candidate.recording.make if candidate.recording else namespace["generate_test_case"]
    namespace["generate_test_case"] = partial(_make_test, make, candidate, [])
    namespace["exec_test"] = partial(_check, namespace["exec_test"], candidate)
    try:
        namespace["test_execution"](solution)
        if "test_string" in namespace:
            namespace["test_string"](solution)
    except _Broken as error:
        return ["broken", str(error)]
    except _Doubtful as error:
        return ["doubtful", *error.args]
    except _Stays as error:
        return ["stays", str(error)[:LONGEST_OF_ERROR]]
    except RemoteError as error:
        return ["program_raised", *error.said, _told(candidate)]
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the report
        return [*_failure(error, candidate.context), _told(candidate)]
    return ["ok"]


def _told(candidate: Candidate) -> dict[str, str]:
    return {name: shown(value) for name, value in candidate.about.items()}


def _make_test(make: Callable[[int], object], candidate: Candidate, made: list[int], number: int) -> object:
    """Stand in for `generate_test_case`: what goes wrong in it is not the program's fault.

    Unless it has handed in something before, which may have left no room for the input.
    """
    made.append(number)
    try:
        return make(number)
    except BaseException as error:
        if candidate.has_answered:
            raise _Doubtful(type(error).__name__, text_of(error), " ".join(map(str, made))) from error
        raise _Broken(f"the test has no input: {describe(error)}") from error


def _check(check: Check, candidate: Candidate, result: object, expected: object) -> object:
    """Stand in for `exec_test`: fetch what it needs of the candidate."""
    if not isinstance(result, Answer):
        candidate.about |= {"expected": expected, "actual": result}
        return check(result, expected)
    if result.has_figure and not result.stays:
        candidate.about = {"actual": _OtherPicture()}
        if _same_picture(check, result.value):
            return True
        try:
            candidate.draw()
            return check(result.value, expected)
        except plain.NotPlain as error:
            result.stays = str(error)
    if candidate.compare(expected):
        raise _Stays(result.stays)
    return False


class _OtherPicture:
    def __repr__(self) -> str:
        return "another picture than the reference's, and a figure that does not fit either"


class _FigureWantedError(BaseException):
    """The test looks at the figure itself, which is in the child."""


def _same_picture(check: Check, result: object) -> bool:
    """Run the test of a picture as far as it goes without the figure: equal pictures need no more."""
    figures = sys.modules["matplotlib._pylab_helpers"].Gcf
    asked: list[bool] = []

    def get_active() -> NoReturn:
        asked.append(True)
        raise _FigureWantedError

    numpy: Any = sys.modules["numpy"]
    get_before, allclose = figures.get_active, numpy.allclose
    figures.get_active, numpy.allclose = get_active, partial(_allclose, allclose)
    try:
        return bool(check(result, None)) and not asked
    except BaseException:  # noqa: BLE001 - the test proper follows, and fails in its own way
        return False
    finally:
        figures.get_active, numpy.allclose = get_before, allclose


def _allclose(allclose: Callable[..., object], one: Any, other: Any, *more: Any, **named: Any) -> object:
    """Stand in for `numpy.allclose`, which takes as long for two pictures as reading both of them."""
    numpy = sys.modules["numpy"]
    are_whole = type(one) is type(other) is numpy.ndarray and {one.dtype.kind, other.dtype.kind} <= {*"ui"}
    if are_whole and not more and not named and numpy.array_equal(one, other):
        return True
    return allclose(one, other, *more, **named)


def _failure(error: BaseException, context: str) -> list[str]:
    """Say which line of the test failed."""
    line, trace = "", error.__traceback__
    names, number = [], 0
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        if trace.tb_frame.f_code.co_filename == "<context>":
            number = trace.tb_lineno
        trace = trace.tb_next
    if "test_string" in names:
        line = "test_string"
    elif "test_execution" in names:
        line = "the result is not the expected one" if names[-1] == "test_execution" else ""
        line = line or f"exec_test: {context.splitlines()[number - 1].strip()}"
    if type(error) is AssertionError:
        return ["assertion", line, text_of(error)]
    return ["raised", type(error).__name__, text_of(error), line]


def _end(pid: int, pidfd: int) -> list[float]:
    """Kill the candidate if it still runs; return its wait status and its CPU seconds."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    # Only if it does not end by itself, as it does when we hang up: an end of its own is evidence.
    if not poll.poll(_EXIT_MS):
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except OSError:
            return [0, 0.0]  # in the weaker jail we may not; it dies with us
    _, status, usage = os.wait4(pid, 0)
    return [status, usage.ru_utime + usage.ru_stime]
