"""Framed messages over a socket: eight bytes of length, then the body."""

import json
import os
import socket
import struct
from array import array
from typing import Any, Self

_LENGTH = struct.Struct("!Q")
_BLOCK, _SMALL_BLOCK = 1 << 20, 1 << 13
_MAX_FDS = 4
_FD_BYTES = array("i").itemsize


class ChannelClosed(Exception):  # noqa: N818 - the other side went away; whether that is an error is not ours to say
    """The other side closed the connection, or its process ended."""


class FrameReader:
    """Reads frames from a descriptor; a short one costs a single system call."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._ahead = b""

    def read(self, max_bytes: int) -> bytes:
        """Return the body of the next frame.

        Raises:
            ChannelClosed: At the end of the stream.
            ValueError: If the frame says that it is longer than `max_bytes`.
        """
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
        if length > max_bytes:
            raise ValueError(f"a frame of {length} bytes")
        return self._take(length)

    def _take(self, length: int) -> bytes:
        ahead = self._ahead
        if len(ahead) < length:
            parts = [ahead]
            missing = length - len(ahead)
            while missing > 0:
                part = _read(self._fd, max(missing, _SMALL_BLOCK))
                parts.append(part)
                missing -= len(part)
            ahead = b"".join(parts)
        self._ahead = ahead[length:]
        return ahead[:length]


def frame_in(data: bytes, max_bytes: int) -> bytes | None:
    """Return the body of the frame that bytes begin with, or None if there are more of it to come.

    Raises:
        ValueError: If the frame says that it is longer than `max_bytes`.
    """
    if len(data) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(data)
    if length > max_bytes:
        raise ValueError(f"a frame of {length} bytes")
    body = data[_LENGTH.size : _LENGTH.size + length]
    return body if len(body) == length else None


def _read(fd: int, length: int) -> bytes:
    try:
        part = os.read(fd, min(length, _BLOCK))
    except ConnectionError as error:
        raise ChannelClosed from error
    if not part:
        raise ChannelClosed
    return part


def read_file(fd: int) -> bytes:
    """Return what a file in memory holds, wherever its position is, and close it."""
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    os.close(fd)
    return data


def write_frame(fd: int, body: bytes) -> None:
    """Send a frame whole.

    Raises:
        ChannelClosed: If nobody reads any more.
    """
    rest = memoryview(_LENGTH.pack(len(body)) + body)
    try:
        while rest:
            rest = rest[os.write(fd, rest) :]
    except ConnectionError as error:
        raise ChannelClosed from error


class Control:
    """One end of a control connection between trusted processes: JSON messages, with open files attached."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    @classmethod
    def of(cls, fd: int) -> Self:
        """Return the end that a descriptor is, which it takes over."""
        return cls(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fileno=fd))

    def fileno(self) -> int:
        """Return the descriptor, for poll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, message: object, fds: tuple[int, ...] = ()) -> None:
        """Send a message.

        Raises:
            ChannelClosed: If nobody reads any more.
        """
        body = json.dumps(message).encode("ascii")
        header = _LENGTH.pack(len(body))
        try:
            if fds:
                socket.send_fds(self._socket, [header], fds)  # descriptors travel with the header
                self._socket.sendall(body)
            else:
                self._socket.sendall(header + body)
        except ConnectionError as error:
            raise ChannelClosed from error

    def receive(self) -> tuple[Any, list[int]]:
        """Return the next message and the descriptors that came with it.

        Raises:
            ChannelClosed: At the end of the stream.
        """
        try:
            # Not `recv_fds`, which forgets the flag: what is inherited is in the hands of untrusted programs.
            header, attached, _, _ = self._socket.recvmsg(
                _LENGTH.size, socket.CMSG_SPACE(_MAX_FDS * _FD_BYTES), socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError as error:
            raise ChannelClosed from error
        if len(header) < _LENGTH.size:  # eight bytes that were sent at once arrive at once, or never
            raise ChannelClosed
        fds = array("i", b"".join(data for _, _, data in attached)).tolist()
        (length,) = _LENGTH.unpack(header)
        body = b""
        while len(body) < length:
            body += _read(self.fileno(), length - len(body))
        return json.loads(body), fds
