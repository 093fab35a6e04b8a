"""The Linux calls that the standard library lacks, through ctypes. A failure names its step and its errno."""

# ruff: noqa: PTH116, PTH123
# pathlib would be one more import in every jail

import contextlib
import ctypes
import os
import resource

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1, 2, 4, 8, 32, 4096, 16384, 1 << 18,
)  # fmt: skip
MNT_DETACH = 2
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_CLONE_PIDFD, _CLONE_CHILD_CLEARTID, _CLONE_CHILD_SETTID = 0x1000, 0x200000, 0x1000000
_SIGCHLD = 17
_SYS_CLONE3, _SYS_MOUNT_SETATTR, _SYS_PIVOT_ROOT = 435, 442, {"x86_64": 155, "aarch64": 41}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_CAPBSET_DROP = (
    1, 4, 8, 22, 24,
)  # fmt: skip
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_GET_TID_ADDRESS, _PR_CAP_AMBIENT = 36, 38, 40, 47
_AMBIENT_RAISE = 2
_SIGKILL = 9

_libc = ctypes.CDLL(None, use_errno=True)
_holding_gil = ctypes.PyDLL(None, use_errno=True)  # for clone: nothing else may run between the two returns
_machine = os.uname().machine


class StepError(OSError):
    """A step of building the jail failed; `strerror` says which."""


def _check(result: int, step: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise StepError(number, f"{step}: {os.strerror(number)}")
    return result


def _prctl(option: int, value: int, step: str) -> None:
    _check(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), 0), step)


def die_with_parent(signal_number: int = _SIGKILL) -> None:
    """Ask for a signal when the thread that started this process ends."""
    _prctl(_PR_SET_PDEATHSIG, signal_number, "prctl(PDEATHSIG)")


def set_dumpable(dumpable: bool) -> None:
    """Allow or forbid other processes of the same user to look into this one."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable), "prctl(DUMPABLE)")


def forbid_new_privileges() -> None:
    """Make set-uid programs and file capabilities powerless, for this process and all after it."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "prctl(NO_NEW_PRIVS)")


def become_subreaper() -> None:
    """Have orphaned descendants handed to this process, so that they can be found and killed."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1, "prctl(CHILD_SUBREAPER)")


def drop_bounding_set(keep: int = 0) -> None:
    """Let no later program gain a capability that is not in the mask `keep`."""
    for capability in range(64):
        if keep >> capability & 1:
            continue
        if _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            return  # the kernel knows fewer capabilities, or we have none to drop


def drop_capabilities(keep: int = 0) -> None:
    """Empty this process' sets of capabilities, but for those in the mask `keep` (of the first 32)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    _check(_libc.syscall(_SYS_CAPSET[_machine], header, (ctypes.c_uint32 * 6)(keep, keep)), "capset")


def hand_on_capabilities(keep: int) -> None:
    """Have programs that this process starts keep the capabilities of a mask, which it must have."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _check(_libc.syscall(_SYS_CAPSET[_machine], header, (ctypes.c_uint32 * 6)(keep, keep, keep)), "capset")
    for capability in range(32):
        if keep >> capability & 1:
            raised = _libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, ctypes.c_ulong(capability), 0, 0)
            _check(raised, "prctl(CAP_AMBIENT)")


def effective_capabilities() -> int:
    """Return the mask of what this process may do; from /proc, which must be there."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))


def become_user(user: int, *, keep_capabilities: bool = False) -> None:
    """Give up root for a user and group of that number."""
    if keep_capabilities:
        _prctl(_PR_SET_KEEPCAPS, 1, "prctl(KEEPCAPS)")
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError as error:
        raise StepError(error.errno, f"becoming user {user}: {error.strerror}") from error


def unshare(flags: int, step: str) -> None:
    """Enter new namespaces."""
    _check(_libc.unshare(flags), step)


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount, bind or change a mount."""
    arguments = (source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags))
    _check(_libc.mount(*arguments, options and options.encode()), f"mount({kind or 'bind'} {target})")


def seal(target: str, *, is_device: bool = False) -> None:
    """Make a mount and all mounts below it read-only, without set-uid and, if it is none, without devices.

    A device may be written to even so, but nobody can change its mode.
    """
    attributes = (ctypes.c_uint64 * 4)(3 if is_device else 7, 0, 0, 0)  # MOUNT_ATTR_RDONLY, _NOSUID, _NODEV
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE, attributes, ctypes.sizeof(attributes)
    )
    if result < 0:  # before Linux 5.12: this mount only, and flags that are locked must be repeated
        locked = os.statvfs(target).f_flag & (
            os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME | os.ST_NODIRATIME | os.ST_RELATIME
        )
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | locked | (0 if is_device else MS_NODEV)
        mount("none", target, None, flags)


def pivot_into(root: str) -> None:
    """Make a mount the root of the file system and let go of the old root."""
    os.chdir(root)
    _check(_libc.syscall(_SYS_PIVOT_ROOT[_machine], b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


class _CloneArguments(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags", "pidfd", "child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls",
            "set_tid", "set_tid_size", "cgroup",
        )
    ]  # fmt: skip


def _tid_address() -> int:
    """Return where glibc keeps this thread's id, or 0: it must be renewed in a child, as fork() does."""
    address = ctypes.c_void_p()
    found = _libc.prctl(_PR_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0) == 0
    return (address.value or 0) if found else 0


def fork_into(flags: int) -> tuple[int, int]:
    """Fork into new namespaces; only for a process with a single thread.

    unshare() and fork() can't do this twice: a process may choose the pid namespace of its children once.

    Returns:
        (pid, pidfd) in the parent, (0, -1) in the child.
    """
    pidfd = ctypes.c_int(-1)
    arguments = _CloneArguments(
        flags=flags | _CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=_SIGCHLD
    )
    if tid := _tid_address():
        arguments.flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
        arguments.child_tid = tid
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid = _holding_gil.syscall(_SYS_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    number = ctypes.get_errno()
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0, -1
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        raise StepError(number, f"clone3: {os.strerror(number)}")
    return pid, pidfd.value


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install_filter(program: bytes) -> None:
    """Load a seccomp program; see `seccomp`."""
    loaded = _FilterProgram(len(program) // 8, program)
    _check(_libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(loaded), 0, 0), "seccomp")


def limit(kind: int, value: int) -> None:
    """Set a resource limit, soft and hard, without going beyond the hard limit that is there."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def renew_standard_streams() -> None:
    """Open /dev/null for them anew: a lock or a flag that is set on an inherited one outlives its process."""
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)


def close_all_but(fds: list[int]) -> None:
    """Close every descriptor but the first three and these."""
    start = 3
    for fd in sorted(fds):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, 1 << 20)


def state_of(directory: str) -> tuple[object, ...]:
    """Return what differs if anything was done to the root of a tmpfs, or put into it, meanwhile."""
    status, room = os.stat(directory), os.statvfs(directory)
    attributes: list[str] = []
    with contextlib.suppress(OSError):
        attributes = os.listxattr(directory)
    # Whatever is done to it leaves another ctime, which nobody can set back; on older kernels only if a few
    # milliseconds have passed since, hence the other times.
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    return status.st_mode, *times, room.f_bfree, room.f_ffree, attributes
