"""A worker's process tree: a warm interpreter that forks a jailed child for each job.

    launcher            waits; dies with the harness
    └─ zygote           pid 1 of the worker's namespaces: when it dies, everything below dies
       ├─ checker       runs the tests; replaced when the harness asks
       └─ candidate     one per job, pid 1 of namespaces of its own

The zygote runs neither solutions nor tests and never holds one: both travel through descriptors that it
hands on unread, so nothing of an earlier job can be found in the memory of a later one.
"""

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from xftbench.execution.inside import channel, checker, jail, linux, solution

_PRELOADED = (
    "abc", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions",
    "functools", "hashlib", "heapq", "itertools", "json", "math", "numbers", "operator", "queue", "random", "re",
    "statistics", "string", "struct", "textwrap", "threading", "time", "types", "typing",
)  # fmt: skip
_CANDIDATE_NAMESPACES = linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWIPC
_CHECKER_NAMESPACES = linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWIPC


def main(control_fd: int, harness_pid: int, code_root: str) -> None:
    """Become a worker. What goes wrong is told to the harness before the end."""
    linux.die_with_parent()
    if os.getppid() != harness_pid:
        return  # it died before we could ask to die with it
    sys.path.remove(code_root)
    control = channel.Control(
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=control_fd)
    )
    config, _ = control.receive()
    try:
        info = _enter(config)
    except OSError as error:
        control.send(["failed", error.strerror or str(error), error.errno])
        return
    if info["isolation"] == "namespaces" and (child := os.fork()):
        control.close()
        _wait_as_launcher(child)
    linux.die_with_parent()  # again: a new process, and the change of user has cleared it
    _Zygote(control, config, info).run()


def _enter(config: dict[str, Any]) -> dict[str, Any]:
    devnull = os.open("/dev/null", os.O_RDWR)
    os.dup2(devnull, 0)
    os.dup2(devnull, 1)
    os.close(devnull)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")
    user = jail.enter_namespaces(config["view"])
    sys.path.append(config["view"]["library_root"])
    return {"isolation": "namespaces", "user": user}


def _wait_as_launcher(child: int) -> NoReturn:
    linux.die_with_parent()  # the change of user has cleared it
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


class _Zygote:
    def __init__(self, control: channel.Control, config: dict[str, Any], info: dict[str, Any]) -> None:
        self._control = control
        self._limits = config["limits"]
        self._info = info
        self._children: dict[int, tuple[str, int]] = {}
        """pidfd: (role, pid)"""
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)

    def run(self) -> NoReturn:
        """Obey the harness until it hangs up."""
        try:
            self._warm_up()
            self._control.send(["ready", self._info])
            while True:
                for fd, _ in self._poll.poll():
                    if fd == self._control.fileno():
                        self._obey(*self._control.receive())
                    else:
                        self._reap(fd)
        except channel.ChannelClosed:
            pass
        finally:
            os._exit(0)

    def _warm_up(self) -> None:
        for name in _PRELOADED:
            importlib.import_module(name)
        self._null = os.open("/dev/null", os.O_RDWR)
        linux.drop_bounding_set()
        linux.forbid_new_privileges()
        linux.set_dumpable(False)
        sys.dont_write_bytecode = True
        os.environ.clear()
        os.environ.update({"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", **_ONE_THREAD})  # noqa: S108
        self._filter = jail.filter_for(None)
        gc.collect()
        gc.freeze()
        gc.disable()

    def _obey(self, order: list[Any], fds: list[int]) -> None:
        if order[0] == "kill_checker":
            for pidfd, (role, _) in self._children.items():
                if role == "checker":
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return
        try:
            self._fork(order[0], fds)
        finally:
            for fd in fds:
                os.close(fd)

    def _fork(self, role: str, fds: list[int]) -> None:
        namespaces = _CHECKER_NAMESPACES if role == "checker" else _CANDIDATE_NAMESPACES
        pid, pidfd = linux.fork_into(namespaces)
        if pid == 0:
            self._become(role, fds)
        self._children[pidfd] = (role, pid)
        self._poll.register(pidfd, select.POLLIN)
        self._control.send([f"{role}_started"], (pidfd,))

    def _become(self, role: str, fds: list[int]) -> NoReturn:
        try:
            os.setsid()
            for fd in (0, 1, 2):
                os.dup2(self._null, fd)
            _close_all_but(fds)
            if role == "checker":
                linux.limit(jail.resource.RLIMIT_AS, self._limits["checker_memory_bytes"])
                jail.renounce(self._filter)
                checker.serve(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fds[0]))
            job, rpc = fds
            solution.say_jailed(rpc, self._jail_candidate)
            solution.serve(job, rpc)
        finally:
            os._exit(1)

    def _jail_candidate(self) -> None:
        jail.own_scratch(self._limits)
        jail.limit_candidate(self._limits)
        jail.renounce(self._filter)

    def _reap(self, pidfd: int) -> None:
        role, pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        self._control.send([f"{role}_exited", status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss])


_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _close_all_but(fds: list[int]) -> None:
    start = 3
    for fd in sorted(fds):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, 1 << 20)
