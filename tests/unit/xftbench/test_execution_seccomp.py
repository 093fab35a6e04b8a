"""The filter is run on a small interpreter of classic BPF, so both architectures are tested on either."""

import errno
import os
import struct
from types import SimpleNamespace

import pytest

from xftbench.execution.inside import seccomp

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ALLOWED = 0x7FFF0000
EPERM = 0x00050000 | errno.EPERM
ENOSYS = 0x00050000 | errno.ENOSYS
KILLED = 0x80000000


def run(program: bytes, number: int, architecture: int = X86_64, argument: int = 0, second: int = 0) -> int:
    """Return the filter's answer to one system call."""
    data = struct.pack("=iIQ6Q", number, architecture, 0, argument, second, 0, 0, 0, 0)
    accumulator, position = 0, 0
    while True:
        code, if_true, if_false, k = struct.unpack_from("=HBBI", program, position * 8)
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, k)
        elif code == 0x06:
            return int(k)
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[code]
            position += if_true if holds else if_false


@pytest.fixture(params=["x86_64", "aarch64"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=request.param))
    name: str = request.param
    return name


def column(machine: str) -> tuple[int, int]:
    return (0, X86_64) if machine == "x86_64" else (1, AARCH64)


def test_every_listed_call_is_refused_and_the_usual_ones_are_not(machine: str) -> None:
    index, architecture = column(machine)
    for build, listed in (
        (seccomp.for_zygote, seccomp._REFUSED_TO_ALL),
        (seccomp.for_candidate, seccomp._REFUSED_TO_CANDIDATES),
    ):
        program = build()
        refused = {numbers[index] for numbers in listed.values()} - {None}
        special = {seccomp._CLONE3[index]}
        for number in range(600):
            answer = run(program, number, architecture)
            if number in refused:
                assert answer == EPERM, number
            elif number not in special:
                assert answer == ALLOWED or build is seccomp.for_candidate, number


def test_new_namespaces_are_refused_and_forks_and_threads_are_not(machine: str) -> None:
    index, architecture = column(machine)
    program = seccomp.for_candidate()
    clone = seccomp._CLONE[index]
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(program, clone, architecture, flag | 17) == EPERM
    assert run(program, clone, architecture, 17) == ALLOWED, "fork"
    assert run(program, clone, architecture, 0x3D0F00) == ALLOWED, "a thread"
    assert run(program, seccomp._CLONE3[index], architecture) == ENOSYS, "so that libc falls back to clone"


def test_prctl_is_allowed_but_for_what_undoes_the_jail(machine: str) -> None:
    index, architecture = column(machine)
    program = seccomp.for_candidate()
    for option in (1, 4, 28, 36):
        assert run(program, seccomp._PRCTL[index], architecture, option) == EPERM
    assert run(program, seccomp._PRCTL[index], architecture, 15) == ALLOWED, "PR_SET_NAME, for threads"


def test_other_architectures_are_killed_and_x32_is_refused(machine: str) -> None:
    _, architecture = column(machine)
    for program in (seccomp.for_zygote(), seccomp.for_candidate()):
        assert run(program, 0, 0x40000003) == KILLED, "i386"
        assert run(program, 0, X86_64 + AARCH64 - architecture) == KILLED
        if machine == "x86_64":
            assert run(program, 0x40000000 | 165) == EPERM


def test_without_a_pid_namespace_only_oneself_can_be_signalled(machine: str) -> None:
    index, architecture = column(machine)
    program = seccomp.for_candidate(own_pid=1234)
    for numbers in seccomp._SIGNALLING.values():
        assert run(program, numbers[index], architecture, 1234) == ALLOWED
        assert run(program, numbers[index], architecture, 0) == ALLOWED, "the own group"
        for pid in (1, 1235, 2**32 - 1):
            assert run(program, numbers[index], architecture, pid) == EPERM
    for numbers in seccomp._UNADDRESSED.values():
        number = numbers[index]
        assert number is not None
        assert run(program, number, architecture) == EPERM
    for numbers in seccomp._METADATA.values():
        if (number := numbers[index]) is not None:
            assert run(program, number, architecture) == EPERM


def test_without_a_pid_namespace_no_descriptor_can_be_made_to_signal_others(machine: str) -> None:
    index, architecture = column(machine)
    program = seccomp.for_candidate(own_pid=1234)
    fcntl, ioctl = seccomp._FCNTL[index], seccomp._IOCTL[index]
    for command in (8, 10, 15):
        assert run(program, fcntl, architecture, 3, command) == EPERM
    for command in (0x8901, 0x8902):
        assert run(program, ioctl, architecture, 3, command) == EPERM
    assert run(program, fcntl, architecture, 3, 4) == ALLOWED, "F_SETFL"
    assert run(program, ioctl, architecture, 3, 0x5401) == ALLOWED, "TCGETS, for isatty"


def test_an_unknown_architecture_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="riscv64"))
    with pytest.raises(OSError, match="no system call filter for riscv64"):
        seccomp.for_zygote()


def test_jumps_stay_inside_the_program(machine: str) -> None:
    for program in (seccomp.for_zygote(), seccomp.for_candidate(), seccomp.for_candidate(own_pid=7)):
        length = len(program) // 8
        assert length < 4096, "the kernel's limit"
        for position in range(length):
            code, if_true, if_false, _ = struct.unpack_from("=HBBI", program, position * 8)
            if code & 0x07 == 0x05:
                assert position + 1 + max(if_true, if_false) < length
