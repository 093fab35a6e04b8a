"""A cell: the first process of a jail, which forks one candidate after another while none leaves a trace.

To build a jail and tear it down costs as much as to run a short program. So a jail is used again, if it is
known to be as it was: the candidate's process has ended, no other process is there, and its /tmp, the one
thing in it that can be written, has not been touched. Whoever writes a file or starts a process has had a
jail for itself. The cell itself runs no solution and never holds one; from inside it can't be signalled,
looked into or limited (see `seccomp.for_cell`).
"""

import _signal  # type: ignore[import-not-found]
import contextlib
import gc
import os
import select
import signal
from typing import NoReturn

from xftbench.execution.inside import channel, linux, solution
from xftbench.execution.inside.jail import NamespaceJail
from xftbench.execution.inside.service import Service

_MOST = 200
"""Candidates of one cell: its own CPU time must stay far below what a candidate may use."""
_fork, _kill = os.fork, os.kill  # what a service prepares for its candidates takes these from `os`


def serve(control: channel.Control, jail: NamespaceJail, service: Service) -> NoReturn:
    """Become a cell: say whether the jail stands, then run candidates until the harness hangs up."""
    # The first process of a pid namespace is deaf to signals from inside that it has no handler for.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    try:
        jail.confine_cell()
    except OSError as error:
        control.send(["failed", f"a candidate's jail could not be built: {error}", error.errno])
        os._exit(1)
    with contextlib.suppress(channel.ChannelClosed):
        service.prepare()
        _Cell(control, service).run()
    os._exit(0)


class _Cell:
    def __init__(self, control: channel.Control, service: Service) -> None:
        self._control = control
        self._service = service
        os.utime("/tmp", ns=(0, 0))
        self._untouched = linux.state_of("/tmp")

    def run(self) -> None:
        """Run candidates until the harness hangs up, which it does after one that has left a trace."""
        left = _MOST
        while True:
            order, fds = self._control.receive()
            if order[0] != "candidate":
                continue  # the one that is to be killed has just ended
            left -= 1
            gc.freeze()  # what is shared is never scanned, so its pages are not copied
            pid = _fork()
            if pid == 0:
                self._become_candidate(fds)
            for fd in fds:
                os.close(fd)
            status, cpu_s = self._wait(pid)
            if not self._is_clean():
                left = 0
            self._control.send(["candidate_exited", status, cpu_s, left > 0])

    def _become_candidate(self, fds: list[int]) -> NoReturn:
        try:
            os.setsid()
            _signal.signal(signal.SIGINT, signal.default_int_handler)  # `signal`'s own touches much more
            linux.renew_standard_streams()
            fds = [*fds, *self._service.open_in_child()]
            linux.close_all_but(fds)
            solution.say_jailed(fds[1])
            self._service.serve_candidate(*fds)
        finally:
            os._exit(1)

    def _wait(self, pid: int) -> tuple[int, float]:
        """Wait for a candidate's end, and bring it about if the harness asks for it."""
        pidfd = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(self._control.fileno(), select.POLLIN)
        while pidfd not in [fd for fd, _ in poll.poll()]:
            self._control.receive()  # it can be only one thing
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        return status, usage.ru_utime + usage.ru_stime

    def _is_clean(self) -> bool:
        """Kill what the candidate has left behind; return whether there was nothing, and no file."""
        try:
            _kill(-1, signal.SIGKILL)
        except ProcessLookupError:
            return linux.state_of("/tmp") == self._untouched
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        return False
