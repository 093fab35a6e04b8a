"""The candidate's process on a plus suite: call the function on every input and stream what it returns.

The inputs are no secret, so the process has them and need not be asked one by one. What is right it never
learns. As in `solution`, the worst that a program which takes this process over can do is to answer wrong.
"""

import builtins
import contextlib
import gc
import importlib
import io
import marshal
import os
import random
import re
import resource
import sys
import time
from collections.abc import Callable
from math import inf
from time import monotonic
from types import CodeType
from typing import Any, NoReturn

from xftbench.execution.inside import channel, items, wire
from xftbench.execution.inside.clock import Clock
from xftbench.execution.inside.solution import described

_BATCH_S = 0.02
"""How long answers are gathered before the checker sees them: so much work is lost after a wrong one.

Unless the job says ``at_once``: then each is looked at before the next call, as it is in evalplus. For that
is asked if an answer has changed while it waited.
"""
_BATCH_BYTES = 1 << 18


def serve(job_fd: int, rpc: int, schedstat_fd: int, traps: "Traps") -> NoReturn:
    """Run the solution that `job_fd` holds on the inputs that it holds, too, with traps laid."""
    try:
        gc.enable()
        job, source, inputs = marshal.loads(channel.read_file(job_fd))
        _Session(job, rpc, Clock(schedstat_fd), traps).run(source, inputs)
    except channel.ChannelClosed:
        pass
    finally:
        os._exit(0)  # whatever else happened: nothing of the solution's may run after this


class _Session:
    """One solution's way through the parts of its tests."""

    def __init__(self, job: dict[str, Any], rpc: int, clock: Clock, traps: "Traps") -> None:
        self._job = job
        self._rpc = rpc
        self._traps = traps
        self._frames = channel.FrameReader(rpc)
        self._clock = clock
        self._batch_s = -inf if job["at_once"] else _BATCH_S
        self._to_item: Callable[[Any, Any], bytes]
        if job["mode"] == "reference":
            self._to_item = _Reference(job["not_none"])
        else:
            self._to_item = {"bytes": _as_bytes, "values": _as_value, "names": _as_name}[job["mode"]]

    def run(self, source: str, all_inputs: bytes) -> None:
        code = self._compiled(source)
        self._traps.import_first(source)
        for name in _HIDDEN:
            sys.modules[name] = None  # type: ignore[assignment]
        self._clock.start(source)
        for part in self._job["parts"]:
            self._clock.begin_part()
            self._renew_streams()
            inputs = marshal.loads(all_inputs[part["offset"] : part["offset"] + part["length"]])
            function = self._load(code)
            self._answer(function, inputs, part)

    def _compiled(self, source: str) -> CodeType:
        try:
            return compile(source, "<solution>", "exec", dont_inherit=True)
        except BaseException as error:  # noqa: BLE001
            self._give_up("compile", error)

    def _load(self, code: CodeType) -> Any:
        """Return what the solution binds to the entry point's name; each part has it executed afresh."""
        random.seed(0)
        # Parity: evalplus also executes in an empty namespace, where __name__ is not "__main__".
        namespace: dict[str, Any] = {}
        try:
            exec(code, namespace)  # noqa: S102 - what all of this is for
            return namespace[self._job["entry_point"]]
        except BaseException as error:  # noqa: BLE001
            self._give_up("start", error)

    def _renew_streams(self) -> "_Sink":
        sys.stdin = sys.stdout = sys.stderr = sink = _Sink()
        return sink

    def _give_up(self, step: str, error: BaseException) -> NoReturn:
        message = wire.encode((step, *described(error)), opaque=False)
        channel.write_frame(self._rpc, items.MESSAGE + message)
        os._exit(0)

    def _answer(self, function: Any, inputs: list[Any], part: dict[str, Any]) -> None:
        """Call the function on each input until it raises, and send the answers batch by batch."""
        clock, to_item, sink = self._clock, self._to_item, self._renew_streams()
        slow, limit_s, is_shared = part["slow"], part["limit_s"], clock.is_shared
        batch = _Batch(self._rpc, self._frames, clock, self._batch_s)
        now = monotonic()
        for index, arguments in enumerate(inputs):
            clock.limit_s = allowed_s = slow.get(index, limit_s)
            try:
                clock.began_s = now
                clock.index = index
                if is_shared:
                    clock.arm()
                value = function(*arguments)
                if is_shared:
                    clock.disarm()
                clock.index = -1
                if (took_s := monotonic() - now) > allowed_s:
                    clock.note(index, took_s)
                # Parity: in evalplus each call has streams of its own.
                if not sink.is_in_place():
                    sink = self._renew_streams()
                item = to_item(value, arguments)
            except BaseException as error:  # noqa: BLE001
                if is_shared:
                    clock.disarm()
                clock.index = -1
                batch.add(None, _as_error(error))
                batch.send(ends=True)
                return
            batch.add(value, item)
            now = monotonic()
            if batch.n_bytes > _BATCH_BYTES or now > batch.due:
                if not batch.send(ends=False):
                    return
                now = monotonic()
        batch.send(ends=True)


class _Batch:
    """Answers that the checker has not seen yet, and their values, in case that it asks for one."""

    def __init__(self, rpc: int, frames: channel.FrameReader, clock: Clock, longest_s: float) -> None:
        self._rpc = rpc
        self._frames = frames
        self._clock = clock
        self._longest_s = longest_s
        self._first = 0
        self._begin(0)

    def _begin(self, first: int) -> None:
        self._first = first
        self._values: list[Any] = []
        self._items: list[bytes] = []
        self.n_bytes = 0
        self._clock.mark()
        self.due = monotonic() + self._longest_s

    def add(self, value: Any, item: bytes) -> None:
        """Add an answer."""
        self._values.append(value)
        self._items.append(item)
        self.n_bytes += len(item)

    def send(self, *, ends: bool) -> bool:
        """Send what there is, answer questions about it, begin anew, and return whether to go on."""
        late = self._clock.was_late if self._clock.was_late >= self._first else -1
        head = items.RESULTS_HEAD.pack(items.RESULTS, late, ends)
        channel.write_frame(self._rpc, b"".join((head, *self._items)))
        while (question := self._frames.read(64)) not in (items.NEXT, items.SKIP):
            _, index = items.ASK.unpack(question)
            channel.write_frame(self._rpc, self._value(index - self._first))
        goes_on = question == items.NEXT and not ends
        if not goes_on:
            self._clock.was_late = -1  # the next part counts from 0 again
        self._begin(self._first + len(self._items))
        return goes_on

    def _value(self, position: int) -> bytes:
        """Return a frame with a value; it has to be what was returned, which only its item still tells."""
        value, item = self._values[position], self._items[position]
        try:
            if items.of_value(value) != item:
                return items.CHANGED
            encoding = wire.encode((_type_name(value), value), opaque=True)
        except BaseException as error:  # noqa: BLE001
            encoding = wire.encode(("", f"a value that can't be sent: {type(error).__name__}"), opaque=True)
        return items.VALUE + encoding


def _as_bytes(value: Any, arguments: Any) -> bytes:
    try:
        return items.of_value(value)
    except ValueError:  # not plain data
        return _as_value(value, None)


def _as_name(value: Any, arguments: Any) -> bytes:
    """Return what tells None from anything else; what it is, is for the reader of a failure.

    Parity: evalplus asks whether it is None and nothing more, so what is lazy stays so.
    """
    try:
        marshal.dumps(value, 2)  # it knows plain data only
        return _as_value(value, None)
    except ValueError:  # WireError is one
        return items.of_encoding(items.WIRE, wire.encode((_type_name(value), None, None), opaque=True))


def _as_value(value: Any, arguments: Any) -> bytes:
    return items.of_encoding(items.WIRE, wire.encode((_type_name(value), value, arguments), opaque=True))


def _as_error(error: BaseException) -> bytes:
    return items.of_encoding(items.ERROR, wire.encode(described(error), opaque=False))


def _type_name(value: Any) -> str:
    if value is None:
        return "None"
    kind = type(value)
    name = str(kind.__name__)
    # Not by its module: a class that a solution defines thinks that it is of `builtins`, see `_load`.
    return name if getattr(builtins, name, None) is kind else f"{getattr(kind, '__module__', '?')}.{name}"


class _Reference:
    """Turns what the reference returns into what is stored of it."""

    def __init__(self, not_none: bool) -> None:
        from zlib import compress

        self._not_none = not_none
        self._compress = compress
        self._before = time.process_time()

    def __call__(self, value: Any, arguments: Any) -> bytes:
        now = time.process_time()
        if self._not_none:
            value = value is not None  # Parity: evalplus' get_groundtruth
        name = _type_name(value)
        try:
            item = items.of_value(value)
        except ValueError:
            value = wire.decode(wire.encode(value, opaque=False))
            item = items.of_value(value)
        is_decisive = _equality_is_identity_of_bytes(value)
        # A value that is too large to be sent can't be compared otherwise than by its digest.
        packed = b""
        if items.size_of(value) <= wire.MAX_BYTES:
            packed = self._compress(marshal.dumps(value, 2), 1)
        record = (name, now - self._before, item if is_decisive else b"", packed)
        encoding = wire.encode((*record, _is_floats(value)), opaque=False)
        self._before = time.process_time()
        return items.of_encoding(items.WIRE, encoding)


def _is_floats(value: Any) -> bool:
    from xftbench.execution.inside.oracles import is_floats

    return is_floats(value)


def _equality_is_identity_of_bytes(value: Any) -> bool:
    """Return whether an answer with the same bytes is certainly equal: NaN is not, arrays look like bytes."""
    kind = type(value)
    if kind in (int, bool, str, type(None)):
        return True
    if kind in (float, complex):
        return bool(value == value)
    if kind in (list, tuple, set, frozenset):
        if set(map(type, value)) <= {int, bool, str}:
            return True
        return all(map(_equality_is_identity_of_bytes, value))
    if kind is dict:
        return all(map(_equality_is_identity_of_bytes, (*value, *value.values())))
    return False


class _Sink(io.StringIO):
    """Takes what a solution prints and forgets it. Parity: reading from it fails, as evalplus' stdin does."""

    def write(self, text: str) -> int:
        if self.closed or not isinstance(text, str):
            return super().write(text)  # raises
        return len(text)

    def read(self, *_: Any) -> str:
        raise OSError

    readline = readlines = read  # type: ignore[assignment]

    def readable(self) -> bool:
        return False

    def is_in_place(self) -> bool:
        """Return whether it is still what a solution prints to."""
        found = vars(sys).get  # a solution may have deleted one
        return found("stdin") is found("stdout") is found("stderr") is self and not self.closed


_IMPORTED_FIRST = {
    "numpy": "numpy", "multiprocessing": "multiprocessing", "concurrent": "multiprocessing",
    "tempfile": "tempfile",
}  # fmt: skip
"""Word in a solution -> module."""
_IMPORTS = re.compile(r"^[ \t]*(?:import|from)[ \t]+([^\n]*)", re.MULTILINE)
_SUBMODULES = {
    "concurrent": "futures.process futures.thread",
    "email": "encoders message parser utils",
    "http": "client cookiejar",
    "importlib": "abc machinery metadata resources util",
    "multiprocessing": "connection pool queues",
    "unittest": "mock",
    "urllib": "error parse request response",
    "xml": "dom.minidom etree.ElementTree",
}
"""Package that a solution imports -> its modules that evalplus' process has imported by itself."""
_TRAPPED = {
    "builtins": "open exit quit help",
    "os": "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames "
    "truncate replace unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir",
    "shutil": "rmtree move chown",
    "subprocess": "Popen",
}
_HIDDEN = ("ipdb", "joblib", "resource", "psutil", "tkinter")


class Traps:
    """The functions that evalplus takes from a solution.

    Not for safety, the jail is there for that: a solution which opens a file or asks for input must get the
    verdict that evalplus gives it. They are laid in the process that forks the candidates: to lay them anew
    would take each of these half a millisecond.
    """

    def __init__(self) -> None:
        self._taken = [
            (module := importlib.import_module(module_name), name, getattr(module, name, None))
            for module_name, names in _TRAPPED.items()
            for name in names.split()
        ]

    def lay(self) -> None:
        """Take them away."""
        for owner, name, _ in self._taken:
            setattr(owner, name, None)

    def import_first(self, source: str) -> None:
        """Parity: evalplus has imported these before it lays its traps, in which they would be caught."""
        names = {module for word, module in _IMPORTED_FIRST.items() if word in source}
        if imported := _IMPORTS.findall(source):
            names |= {
                f"{package}.{name}"
                for package, modules in _SUBMODULES.items()
                if any(package in line for line in imported)
                for name in modules.split()
            }
        if not names:
            return
        for owner, name, function in self._taken:
            setattr(owner, name, function)
        for name in sorted(names):
            with contextlib.suppress(ImportError):
                module = importlib.import_module(name)
                if name == "tempfile":
                    module.gettempdir()  # remembers where that is
                if name == "multiprocessing":
                    _be_a_child(module.process)
        self.lay()


def _be_a_child(process: Any) -> None:
    """Parity: evalplus runs solutions in a child of a worker, and that is no main process."""
    process.current_process().name = "Process-1:1"
    process._parent_process = process._ParentProcess("Process-1", os.getppid(), None)


def allow_stack(n_bytes: int) -> None:
    """Parity: evalplus' candidates have a stack as large as their memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard != resource.RLIM_INFINITY:
        n_bytes = min(n_bytes, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (n_bytes, hard))
