"""A worker's process tree: a warm interpreter that forks a jailed child for each job.

    launcher            waits; dies with the harness
    └─ zygote           pid 1 of the worker's namespaces: when it dies, everything below dies
       ├─ checker       runs the tests; replaced when the harness asks
       ├─ cell          pid 1 of a candidate's namespaces; forks the candidate, see `cell`
       │  └─ candidate  one per job; without namespaces it is the zygote's own child
       ├─ nursery       a copy of the zygote that has imported more, see `nurseries`
       ├─ program       pid 1 of a program's namespaces in another language, see `native`
       └─ compiler      a compiler that is kept warm for many programs

The zygote runs neither solutions nor tests and never holds one: both travel through descriptors that it
hands on unread, so nothing of an earlier job can be found in the memory of a later one.
"""

# ruff: noqa: PTH123
# pathlib would be one more import in every jail

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from xftbench.execution.inside import cell, channel, heap, linux, native, seccomp, solution, wire
from xftbench.execution.inside.jail import NamespaceJail
from xftbench.execution.inside.service import Service, asked_for

if TYPE_CHECKING:
    from xftbench.execution.inside.weak import WeakJail

_THROWN_AWAY = ("candidate", "program", "context")
"""Roles that run one untrusted program and then end."""
_ARGUMENTS = ["xftbench", "--suite"]
"""What solutions find there. Parity: the official harnesses are started with options, too."""
_REHEARSAL = "def rehearse(value: int) -> int:\n    return value\n"


def main(control_fd: int, harness_pid: int, code_root: str) -> None:
    """Become a worker. What goes wrong is told to the harness before the end."""
    linux.die_with_parent(signal.SIGTERM)
    os.umask(0o022)  # what is made here must be open to the users that programs run as
    if os.getppid() != harness_pid:
        return  # it died before we could ask to die with it
    sys.path.remove(code_root)
    sys.argv[:] = sys.orig_argv[:] = _ARGUMENTS
    control = channel.Control.of(control_fd)
    config, _ = control.receive()
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        service = asked_for(config)  # before the jail is built: it may want something from outside
        jail = _jail(config)
        if jail.namespaces:
            _fork_first_process(control)
        jail.settle(config["view"])
        _Zygote(control, config, jail, null, service).run()
    except OSError as error:
        control.send(["failed", error.strerror or str(error), error.errno])


def _jail(config: dict[str, Any]) -> "NamespaceJail | WeakJail":
    if config["isolation"] == "namespaces":
        return NamespaceJail(config)
    from xftbench.execution.inside.weak import WeakJail  # it has imports of its own

    return WeakJail(config)


def _on_sigterm(*_: object) -> NoReturn:
    raise channel.ChannelClosed


def _fork_first_process(control: channel.Control) -> None:
    """Go on as the first process of the new pid namespace."""
    if child := os.fork():
        control.close()
        _wait_as_launcher(child)
    linux.die_with_parent()


def _wait_as_launcher(child: int) -> NoReturn:
    linux.die_with_parent()  # the change of user has cleared it
    linux.set_dumpable(False)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


class _Zygote:
    def __init__(
        self,
        control: channel.Control,
        config: dict[str, Any],
        jail: "NamespaceJail | WeakJail",
        null: int,
        service: Service,
    ) -> None:
        self._service = service
        self._control = control
        self._null = null
        self._config = config
        self._checker_bytes = config["limits"]["checker_memory_bytes"]
        self._jail = jail
        sys.path += jail.library_paths(config["view"])
        self._children: dict[int, tuple[str, int]] = {}
        """pidfd: (role, pid)"""
        self._poll = select.poll()
        self._poll.register(control.fileno(), select.POLLIN)

    def run(self) -> NoReturn:
        """Obey the harness until it hangs up."""
        try:
            self._warm_up()
            self._send_ready()
            self._obey_forever()
        except channel.ChannelClosed:
            pass
        except BaseException:  # noqa: BLE001 - to the worker's log, which the harness reads when we are gone
            sys.excepthook(*sys.exc_info())
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with contextlib.suppress(OSError):
                self._jail.clean_up(set())
            os._exit(0)

    def _obey_forever(self) -> NoReturn:
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._control.fileno():
                    self._obey(*self._control.receive())
                else:
                    self._reap(fd)

    def _send_ready(self) -> None:
        pidfd = os.pidfd_open(os.getpid())
        self._control.send(["ready", self._jail.info()], (pidfd,))
        os.close(pidfd)

    def _warm_up(self) -> None:
        if self._config["has_scratch"]:
            self._jail.open_scratch()
        gc.disable()  # what modules make, they keep: a search for garbage takes a quarter of an import's time
        arenas = heap.Arenas(self._config["arenas"])
        for name in self._config["preload"]:
            importlib.import_module(name)
        if self._config["has_scratch"]:
            _add_names_of_site()
        arenas.settle()
        linux.drop_bounding_set(self._jail.kept_capabilities)
        linux.forbid_new_privileges()
        linux.set_dumpable(False)
        sys.dont_write_bytecode = True
        os.environ.clear()
        os.environ.update(self._config["variables"])
        _rehearse()
        linux.install_filter(seccomp.for_zygote())
        gc.collect()

    def _obey(self, order: list[Any], fds: list[int]) -> None:
        if order[0].startswith("kill_"):
            for pidfd, (role, _) in self._children.items():
                if role == order[0].removeprefix("kill_"):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            return
        try:
            self._fork(order[0], fds)
        finally:
            for fd in fds:
                os.close(fd)

    def _fork(self, role: str, fds: list[int]) -> None:
        if role in _THROWN_AWAY:
            self._jail.prepare()
        gc.freeze()  # what is shared is never scanned, so its pages are not copied
        pid, pidfd = linux.fork_into(self._jail.namespaces)
        if pid == 0:
            self._become(role, fds)
        self._children[pidfd] = (role, pid)
        self._poll.register(pidfd, select.POLLIN)
        if role != "candidate":
            self._control.send([f"{role}_started"], (pidfd,))

    def _become(self, role: str, fds: list[int]) -> NoReturn:
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if role == "candidate":
                fds = [*fds, *self._service.open_in_child()]
            own = self._service.kept_fds if role == "cell" else ()
            if role == "nursery":
                self._control.close()  # before its number means another file
            linux.close_all_but([self._null, *self._jail.kept_fds, *own, *fds])
            if role == "checker":
                linux.limit(resource.RLIMIT_AS, self._checker_bytes)
                self._jail.confine_checker()
                os.dup2(self._null, 2)
                self._service.serve_checker(channel.Control.of(fds[0]))
            if role == "cell":
                assert isinstance(self._jail, NamespaceJail)
                cell.serve(channel.Control.of(fds[0]), self._jail, self._service)
            if role == "context":
                from xftbench.execution.inside import context  # imported long since, see `service`

                context.serve(fds, self._null, self._jail)
            job, rpc, *others = fds
            if role == "nursery":
                self._become_nursery(job, rpc)
            if role == "program":
                native.serve(job, rpc, self._jail)
            if role == "compiler":
                native.become(job, rpc, self._jail)
            self._become_candidate(job, rpc, others)
        except BaseException:  # noqa: BLE001 - only before a solution has run: `serve` does not return
            sys.excepthook(*sys.exc_info())  # to the worker's log
        finally:
            os._exit(1)

    def _become_nursery(self, job: int, connection: int) -> NoReturn:
        for name in json.loads(channel.read_file(job)):
            with contextlib.suppress(BaseException):  # the context will say so itself
                importlib.import_module(name)
        self._control = channel.Control.of(connection)
        self._control.send(["ready"])
        self._children = {}
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        with contextlib.suppress(channel.ChannelClosed):
            self._obey_forever()
        os._exit(0)

    def _become_candidate(self, job: int, rpc: int, others: list[int]) -> NoReturn:
        assert not isinstance(self._jail, NamespaceJail)
        try:
            self._jail.confine_candidate()
        except OSError as error:
            solution.say_unjailed(rpc, str(error))
        solution.say_jailed(rpc)
        linux.renew_standard_streams()
        os.close(self._null)
        self._service.prepare()
        self._service.serve_candidate(job, rpc, *others)

    def _reap(self, pidfd: int) -> None:
        role, pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(pid, 0)
        trouble = self._clean_up() if role in _THROWN_AWAY else None
        self._control.send([f"{role}_exited", status, usage.ru_utime + usage.ru_stime])
        if trouble:  # not this program's loss, but the next one gets another worker
            self._control.send(["trouble", trouble])

    def _clean_up(self) -> str | None:
        try:
            self._jail.clean_up({pid for _, pid in self._children.values()})
        except OSError as error:
            return str(error)
        return None


def _add_names_of_site() -> None:
    """Define `help`, `exit`, `quit`, `copyright` and such, which scripts have and -S leaves out."""
    import site  # only here: under -S it does nothing by itself

    site.setquit()
    site.setcopyright()
    site.sethelper()


def _rehearse() -> None:
    """Run what each child will run, so that the interpreter has its caches filled before they are shared."""
    for _ in range(16):
        exec(compile(_REHEARSAL, "<rehearsal>", "exec"), {})  # noqa: S102 - our own
        wire.decode(wire.encode(([1, 2.5, "a", (None, {"b": {3}})], {}), opaque=True))
