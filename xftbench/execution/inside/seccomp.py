"""The system call filter of a candidate: a list of what is refused, as a classic BPF program.

Refused calls fail with EPERM, as if the kernel lacked the permission; nothing is killed for asking. What is
not listed is allowed: namespaces, read-only mounts and missing capabilities are the first layer, and this is
the second, which takes the kernel's rarely used corners away.

It comes in two parts, because loading a long program costs a candidate 0.2 ms: what the zygote does not need
either is refused from the zygote on and inherited; the rest is refused in each child.
"""

import errno
import os
import struct

# name: (number on x86_64, number on aarch64); None where the architecture has no such call
_Numbers = dict[str, tuple[int | None, int | None]]
_REFUSED_TO_CANDIDATES: _Numbers = {"mount": (165, 40), "umount2": (166, 39)}
_REFUSED_TO_ALL: _Numbers = {
    # mounts and namespaces
    "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "unshare": (272, 97), "setns": (308, 268),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "mbind": (237, 235), "set_mempolicy": (238, 237),
    # the network; socketpair() stays, asyncio needs it
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
    # memory that no resource limit counts
    "memfd_create": (319, 279), "memfd_secret": (447, 447),
    # objects that other processes can find by name or number
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # the kernel's rarely used corners
    "bpf": (321, 280), "perf_event_open": (298, 241), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "userfaultfd": (323, 282),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "modify_ldt": (154, None), "personality": (135, 92),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "_sysctl": (156, None), "uselib": (134, None),
    "sysfs": (139, None), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    # administration of the machine
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161),
    "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None), "vhangup": (153, 58),
    "syslog": (103, 116),
}  # fmt: skip
_SIGNALLING = {
    "kill": (62, 129), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122),
}  # fmt: skip
# Landlock keeps contents, not these; only where there is no mount namespace.
_METADATA: _Numbers = {
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16),
}  # fmt: skip
_UNADDRESSED: _Numbers = {"tkill": (200, 130), "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424)}
_CLONE, _CLONE3, _PRCTL = (56, 220), (435, 435), (157, 167)
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET
# PR_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SECUREBITS, _SET_PTRACER, _SET_CHILD_SUBREAPER, _SET_MM
_REFUSED_PRCTL = (1, 4, 28, 0x59616D61, 36, 35)

# F_SETOWN, F_SETSIG, F_SETOWN_EX; FIOSETOWN, SIOCSPGRP: signals by way of a descriptor
_FCNTL, _REFUSED_FCNTL = (72, 25), (8, 10, 15)
_IOCTL, _REFUSED_IOCTL = (16, 29), (0x8901, 0x8902)

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCH_AT, _ARG0_LOW_AT, _ARG1_LOW_AT = 0, 4, 16, 24
_X32_BIT = 0x40000000


def _op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, k)


_REFUSE = _op(_RETURN, _ERRNO | errno.EPERM)


def for_zygote() -> bytes:
    """Return the part that holds for the zygote and everything after it.

    Raises:
        OSError: On an architecture other than x86_64 and aarch64 (ENOSYS).
    """
    column, parts = _head()
    return b"".join(parts + _refusals(_REFUSED_TO_ALL, column))


def for_cell() -> bytes:
    """Return the part that is added in a cell: no candidate may change what the next one inherits."""
    column, parts = _head()
    for name in ("prlimit64", "sched_setaffinity"):
        parts += _only_to(_SIGNALLING[name][column], 0)
    return b"".join(parts + _clone_rules(column) + _refusals(_REFUSED_TO_CANDIDATES, column))


def for_candidate(own_pid: int | None = None) -> bytes:
    """Return the part that is added in the checker and in each candidate.

    Args:
        own_pid: Where there is no pid namespace: the only process that may be signalled (besides 0, its own
            process group).
    """
    column, parts = _head()
    refused = dict(_REFUSED_TO_CANDIDATES)
    if own_pid is not None:
        refused |= _UNADDRESSED | _METADATA
        for numbers in _SIGNALLING.values():
            parts += _only_to(numbers[column], own_pid)
        parts += _not_with(_FCNTL[column], _ARG1_LOW_AT, _REFUSED_FCNTL)
        parts += _not_with(_IOCTL[column], _ARG1_LOW_AT, _REFUSED_IOCTL)
    return b"".join(parts + _clone_rules(column) + _refusals(refused, column))


def _head() -> tuple[int, list[bytes]]:
    """Return this architecture's column and the instructions that refuse every other one."""
    machine = os.uname().machine
    if machine not in _AUDIT_ARCH:
        raise OSError(errno.ENOSYS, f"no system call filter for {machine}")
    parts = [_op(_LOAD, _ARCH_AT), _op(_EQUAL, _AUDIT_ARCH[machine], 1), _op(_RETURN, _KILL)]
    parts.append(_op(_LOAD, _NUMBER_AT))
    if machine == "aarch64":
        return 1, parts
    return 0, [*parts, _op(_AT_LEAST, _X32_BIT, 0, 1), _REFUSE]


def _refusals(refused: _Numbers, column: int) -> list[bytes]:
    parts = []
    for numbers in refused.values():
        if (number := numbers[column]) is not None:
            parts += [_op(_EQUAL, number, 0, 1), _REFUSE]
    return [*parts, _op(_RETURN, _ALLOW)]


def _only_to(number: int, own_pid: int) -> list[bytes]:
    """Let a call pass only if its first argument is 0 or our own pid; pid_t is 32 bits wide."""
    return [
        _op(_EQUAL, number, 0, 5),
        _op(_LOAD, _ARG0_LOW_AT),
        _op(_EQUAL, 0, 2),
        _op(_EQUAL, own_pid, 1),
        _REFUSE,
        _op(_RETURN, _ALLOW),
    ]


def _clone_rules(column: int) -> list[bytes]:
    """Refuse new namespaces by clone; hide clone3, whose flags a filter can't see; refuse some of prctl."""
    clone = [
        _op(_EQUAL, _CLONE[column], 0, 4),
        _op(_LOAD, _ARG0_LOW_AT),
        _op(_ANY_BIT, _NEW_NAMESPACES, 0, 1),
        _REFUSE,
        _op(_RETURN, _ALLOW),
    ]
    clone3 = [_op(_EQUAL, _CLONE3[column], 0, 1), _op(_RETURN, _ERRNO | errno.ENOSYS)]
    return clone + clone3 + _not_with(_PRCTL[column], _ARG0_LOW_AT, _REFUSED_PRCTL)


def _not_with(number: int, argument_at: int, refused: tuple[int, ...]) -> list[bytes]:
    """Let a call pass unless an argument (32 bits of it) is one of these."""
    parts = [_op(_EQUAL, number, 0, 2 * len(refused) + 2), _op(_LOAD, argument_at)]
    for value in refused:
        parts += [_op(_EQUAL, value, 0, 1), _REFUSE]
    return [*parts, _op(_RETURN, _ALLOW)]
