"""What the executor is on this machine: for `doctor`, and for the identity of a run."""

import importlib.metadata
import platform
from collections.abc import Collection, Sequence
from contextlib import suppress

import msgspec

from xftbench.errors import ToolchainError
from xftbench.execution import environments, offline_data
from xftbench.execution.job import run
from xftbench.execution.native.toolchains import describe_toolchains
from xftbench.execution.outcome import InfrastructureError
from xftbench.execution.pool import Isolation
from xftbench.execution.view import ALLOWED_LIBRARIES
from xftbench.execution.worker import Worker
from xftbench.records import FunctionProgram, Limits, Record

_PROGRAM = FunctionProgram(
    task_id="probe",
    solution="def double(x):\n    return 2 * x\n",
    entry_point="double",
    context="",
    test="def check(candidate):\n    assert candidate(21) == 42\n",
)


class Probe(Record):
    """Whether an isolation works here, and with which layers; measured by a real start."""

    isolation: Isolation
    works: bool
    reason: str = ""
    """If it does not work: the step that failed, and what the kernel said."""
    namespaces: bool = False
    """Own user, pid, mount, network, ipc and uts namespaces."""
    user: str = ""
    """Who candidates are outside: `nobody` or `throw-away` (we were root and gave it up), or `self`."""
    seccomp: bool = False
    """Whether rarely needed system calls are refused."""
    landlock: bool = False
    """Only in `rlimits`: whether files are out of reach."""
    cgroup: bool = False
    """Whether memory and processes are also limited for a whole worker together."""


class Executor(Record, kw_only=True):
    """What of the executor can change a verdict, apart from the limits."""

    isolation: Isolation
    python: str
    """Version of the interpreter that runs solutions and tests."""
    libraries: dict[str, str]
    """Third-party packages that solutions can import, with versions."""
    toolchains: dict[str, str] = msgspec.field(default_factory=dict)
    """What else the programs need, with versions; without Python itself."""


def probe(isolation: Isolation) -> Probe:
    """Start a worker, run a program on it, and say what there is. Raises nothing that is expected."""
    try:
        worker = Worker(Limits(), isolation)
        try:
            outcome = run(worker, _PROGRAM)
        finally:
            worker.kill()
    except InfrastructureError as error:
        return Probe(isolation=isolation, works=False, reason=str(error))
    if outcome.verdict != "passed":
        return Probe(isolation=isolation, works=False, reason=f"{outcome.verdict}: {outcome.detail}")
    return Probe(
        isolation=isolation,
        works=True,
        namespaces=isolation == "namespaces",
        user=worker.info["user"],
        seccomp=True,  # a worker does not start without
        landlock=worker.info["landlock"],
        cgroup=worker.info["cgroup"],
    )


def describe(isolation: Isolation, toolchains: Sequence[str] = ("python",)) -> Executor:
    """Return the executor's part of a run's identity, for programs that need these toolchains."""
    libraries = {}
    for name in ALLOWED_LIBRARIES:
        try:
            libraries[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Executor(
        isolation=isolation,
        python=platform.python_version(),
        libraries=libraries,
        toolchains=describe_toolchains(toolchains) | environments.describe(toolchains),
    )


def missing_data(needed: Collection[str]) -> frozenset[str]:
    """Return which of some data sets no environment here has."""
    found: frozenset[str] = frozenset()
    for name in environments.specs() if needed else ():
        with suppress(ToolchainError):
            found |= offline_data.available(environments.find(name))
    return frozenset(needed) - found


def require_environments(toolchains: Sequence[str]) -> None:
    """See that those toolchains which are environments are there; raises `ToolchainError` if one is not."""
    for name in toolchains:
        if name in environments.specs():
            environments.find(name)
