"""Building the jail: the worker's namespaces and file system once, the candidate's own for each job."""

# ruff: noqa: PTH101, PTH102, PTH103, PTH123, PTH112, PTH120, PTH211
# pathlib would be one more import in every jail

import os
import resource
from typing import Any

from xftbench.execution.inside import linux, native, seccomp

_NOBODY = 65534
_SPARE_PROCESSES = 4  # zygote, checker, cell and the candidate's first process
_SCRATCH_FILES = 4096
_MOUNT_POINTS = ("/sys", "/mnt", "/media", "/srv")
"""The new root is built on one of these, which need not be seen inside."""


def enter_namespaces(view: dict[str, Any]) -> str:
    """Put this process into namespaces of its own, with a view of only what Python needs.

    Its next child is the first process of a new pid namespace.

    Returns:
        How the user was mapped: "nobody" (we were root and gave it up) or "self".

    Raises:
        OSError: With the failing step and errno.
    """
    proc = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)  # the new root has no /proc
    user = "self"
    if os.geteuid() == 0 and _has_nobody() and _try_mount_namespace():
        _enter_view(view)
        linux.become_user(_NOBODY)
        linux.set_dumpable(True)  # or /proc/self/uid_map would still belong to root
        user = "nobody"
    outside = (os.geteuid(), os.getegid())
    linux.unshare(linux.CLONE_NEWUSER, "a user namespace")
    _map_user(proc, outside)
    others = (
        linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWNET | linux.CLONE_NEWUTS | linux.CLONE_NEWPID
    )
    linux.unshare(others, "mount, ipc, network, uts and pid namespaces")
    if user == "self":
        _enter_view(view)
    os.close(proc)
    return user


def _has_nobody() -> bool:
    """Return whether we can become nobody; a container's root may have no other users."""
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/self/{name}") as file:
            ranges = [[int(number) for number in line.split()] for line in file]
        if not any(first <= _NOBODY < first + length for first, _, length in ranges):
            return False
    with open("/proc/self/setgroups") as file:
        return file.read().strip() == "allow"


def _try_mount_namespace() -> bool:
    try:
        linux.unshare(linux.CLONE_NEWNS, "a mount namespace")
    except OSError:
        return False  # root without the capability, as in an ordinary container
    return True


def _map_user(proc: int, outside: tuple[int, int]) -> None:
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{_NOBODY} {outside[0]} 1"),
        ("gid_map", f"{_NOBODY} {outside[1]} 1"),
    ):
        fd = os.open(name, os.O_WRONLY, dir_fd=proc)
        try:
            os.write(fd, line.encode())
        except OSError as error:
            raise linux.StepError(error.errno, f"writing {name}: {error.strerror}") from error
        finally:
            os.close(fd)


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _enter_view(view: dict[str, Any]) -> None:
    """Build the view on a tmpfs and make it the root."""
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    root = next(path for path in _MOUNT_POINTS if os.path.isdir(path))
    covered = {path: _content(path) for path in view["files"] if path.startswith(f"{root}/")}
    linux.mount("tmpfs", root, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=0755,size=1m")
    for path in ("/tmp", "/dev", "/empty"):
        os.makedirs(root + path, mode=0o755, exist_ok=True)
    for path, target in view["links"]:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        os.symlink(target, root + path)
    for source, path in view["directories"]:
        os.makedirs(root + path, exist_ok=True)
        linux.mount(source, root + path, None, linux.MS_BIND | linux.MS_REC)
        linux.seal(root + path)
    for path in view["masks"]:
        linux.mount(root + "/empty", root + path, None, linux.MS_BIND)
    for path in view["files"]:
        os.makedirs(os.path.dirname(root + path), exist_ok=True)
        with open(root + path, "wb") as file:
            file.write(covered.get(path, b""))
        os.chmod(root + path, 0o444)
        if path not in covered:
            linux.mount(path, root + path, None, linux.MS_BIND)
            linux.seal(root + path, is_device=path.startswith("/dev/"))  # perhaps its owner is our user
    if view["proc"]:
        # The kernel lets us mount a /proc of our own only while a whole one is in sight; children cover it.
        os.mkdir(root + "/proc")
        linux.mount("/proc", root + "/proc", None, linux.MS_BIND | linux.MS_REC)
    linux.pivot_into(root)
    flags = linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY | linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("none", "/", None, flags)


class NamespaceJail:
    """Keeps each candidate in namespaces of its own, inside those of the worker."""

    namespaces = linux.CLONE_NEWPID | linux.CLONE_NEWNS | linux.CLONE_NEWIPC
    kept_fds: tuple[int, ...] = ()
    kept_capabilities = 0

    def __init__(self, config: dict[str, Any]) -> None:
        self._limits = config["limits"]
        self._user = enter_namespaces(config["view"])
        self._filter = seccomp.for_candidate()
        self._filter_of_first = seccomp.for_cell()
        self._has_proc = False

    def info(self) -> dict[str, Any]:
        """Return what is known about the layers."""
        return {"isolation": "namespaces", "user": self._user, "landlock": False}

    def settle(self, view: dict[str, Any]) -> None:
        """As the first process of the worker's pid namespace: cover the machine's /proc, if there is one."""
        if view["proc"]:
            try:
                _mount_proc()
                self._has_proc = True
            except OSError:  # as in a container that masks parts of its own
                linux.mount("/empty", "/proc", None, linux.MS_BIND)

    def library_paths(self, view: dict[str, Any]) -> list[str]:
        """Return what goes on the module search path behind the standard library."""
        return [view["library_root"]]

    def prepare(self) -> None:
        """Before the fork of a program: nothing."""

    def open_scratch(self) -> None:
        """Give this process a writable /tmp: its own, as its mount namespace is."""
        options = f"size={self._limits['disk_bytes']},nr_inodes={_SCRATCH_FILES},mode=0700"
        flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
        linux.mount("tmpfs", "/tmp", "tmpfs", flags, options)
        os.chdir("/tmp")

    def confine_candidate(self, program: bytes | None = None) -> None:
        """In the child, alone in its mount namespace: an empty /tmp, limits, no privileges."""
        self.open_scratch()
        limit_candidate(self._limits)
        self._renounce(program)

    def confine_cell(self) -> None:
        """In the first process of a jail, whose children are candidates."""
        self.confine_candidate(self._filter_of_first)

    def confine_referee(self) -> None:
        """In the process that forked a candidate from itself, and has a /tmp of its own: no privileges."""
        limit_candidate(self._limits)
        self._renounce()

    def confine_checker(self) -> None:
        """In the checker's process."""
        self._renounce()

    def enter_native(self) -> str:
        """In the supervisor of a program in another language: its own /proc and /tmp, no privileges."""
        if self._has_proc:
            _mount_proc()
        options = f"size={self._limits['disk_bytes']},nr_inodes={_SCRATCH_FILES},mode=0700"
        linux.mount("tmpfs", "/tmp", "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, options)
        os.chdir("/tmp")
        native.limit_all(self._limits)
        self._renounce(self._filter_of_first)  # a supervisor that is limited from inside could not report
        return "/tmp"

    def confine_step(self) -> None:
        """In a command's process, before it starts: nothing is left to do."""

    def start_step(self, step: dict[str, Any], work: str, ends: tuple[int, int]) -> int:
        """Start a command of the supervisor's, which is as confined as it is to be."""
        return native.spawn(step, work, ends)

    def kill_step(self, child: int) -> int:
        """Kill all that a command has started; return how the command itself ended."""
        return native.kill_everything(child)

    def _renounce(self, program: bytes | None = None) -> None:
        linux.drop_capabilities()
        linux.die_with_parent()
        linux.install_filter(program or self._filter)

    def clean_up(self, spared: set[int]) -> None:
        """After a candidate's end: nothing, the kernel has killed and unmounted everything."""


def _mount_proc() -> None:
    """Mount this pid namespace's processes; nothing of the machine, where the kernel can leave that out."""
    flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
    try:
        linux.mount("proc", "/proc", "proc", flags, "subset=pid,hidepid=2")
    except OSError:
        linux.mount("proc", "/proc", "proc", flags)


def limit_candidate(limits: dict[str, int]) -> None:
    """Set the resource limits that hold for each process of the candidate."""
    linux.limit(resource.RLIMIT_CPU, limits["cpu_s"])
    linux.limit(resource.RLIMIT_AS, limits["memory_bytes"])
    linux.limit(resource.RLIMIT_FSIZE, limits["disk_bytes"])
    linux.limit(resource.RLIMIT_NPROC, limits["processes"] + _SPARE_PROCESSES)
    linux.limit(resource.RLIMIT_NOFILE, 1024)
    linux.limit(resource.RLIMIT_CORE, 0)
    linux.limit(resource.RLIMIT_MEMLOCK, 0)
    linux.limit(resource.RLIMIT_MSGQUEUE, 0)
