"""Programs of evalplus' suites: one jail streams answers, another compares them.

Time: one test gets the larger of 4 seconds and 4 times what the reference took, base and plus get 60 seconds
each (`Limits.cpu_s`), as in evalplus; but what counts is the candidate's own time, which does not pass while
other work has the processors.
"""

import marshal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from xftbench.execution import references
from xftbench.execution.inside import items, wire
from xftbench.execution.inside.channel import FrameReader, write_frame
from xftbench.execution.outcome import (
    Exit,
    InfrastructureError,
    death,
    exception_text,
    printable,
    printable_value,
)
from xftbench.execution.references import Answered, Layout, Reference
from xftbench.execution.watch import Watch
from xftbench.execution.worker import Worker, WorkerLostError, WorkerRunner
from xftbench.records import Failure, Limits, Outcome, PlusProblem, PlusProgram, Program, VerdictName

_TEST_S = 4.0
_REFERENCE_FACTOR = 4.0
"""Parity: evalplus' DEFAULT_MIN_TIME_LIMIT and DEFAULT_GT_TIME_LIMIT_FACTOR, master 26d6d00, config.py."""
_SLACK_S = 2.0
"""Parity: what evalplus adds to a part's limit before it kills."""
_LEAST_CPU_S = 130
"""CPU seconds of a process, at least: the slowest references need about 40."""
_MODES = {"root": "values", "not_none": "names"}
"""Comparisons that look at every value; the others look at what is not byte for byte the same."""


class PlusRunner(WorkerRunner):
    """Judges programs of HumanEval+ and MBPP+."""

    def __init__(self, limits: Limits, isolation: str) -> None:
        self._limits = limits
        cpu_s = max(_LEAST_CPU_S, len(references.PARTS) * limits.cpu_s + 10)
        super().__init__(Worker(msgspec.structs.replace(limits, cpu_s=cpu_s), isolation, service="plus"))

    def run(self, program: Program) -> Outcome:
        """Run a `PlusProgram`; the first one of a problem has the reference run before it."""
        assert isinstance(program, PlusProgram)
        with self._worker.or_lost():
            reference = references.get(program.problem, self._answers_of_reference)
            return _Judgement(self._worker, self._limits, program, reference).outcome()

    def _answers_of_reference(
        self, problem: PlusProblem, inputs: Path, layouts: Sequence[Layout]
    ) -> dict[str, list[Answered]]:
        """Run the canonical solution in the jail and return what it answered, part by part."""
        job = {
            "entry_point": problem.entry_point,
            "mode": "reference",
            "at_once": False,
            "not_none": problem.oracle == "not_none",
            "parts": [_part(layout, {}, float("inf")) for layout in layouts],
        }
        watch = Watch(self._worker, _LEAST_CPU_S, lambda message: True)
        near, far = socket.socketpair()
        with near:
            with far:
                _order(self._worker, job, problem.prompt + problem.canonical_solution, inputs, far)
            try:
                answers = _read_answers(near.fileno(), layouts)
            except ValueError as error:
                raise InfrastructureError(f"the reference of {problem.task_id} fails: {error}") from error
            finally:
                watch.report = ["the reference has no checker"]
                watch.kill()
                watch.run()
        return answers


def _part(layout: Layout, slow_s: Mapping[int, float], least_s: float) -> dict[str, Any]:
    """Return what a candidate must know of one part."""
    limits = {index: _REFERENCE_FACTOR * used_s for index, used_s in slow_s.items()}
    return {
        "name": layout.name,
        "offset": layout.offset,
        "length": layout.length,
        "limit_s": least_s,
        "slow": {index: limit_s for index, limit_s in limits.items() if limit_s > least_s},
    }


def _order(worker: Worker, job: dict[str, Any], solution: str, inputs: Path, far: socket.socket) -> None:
    """Have a candidate forked that holds its job and its end of a connection.

    The inputs, a few hundred kilobytes at most, are in the job: where it is of our own user, a candidate may
    change the mode of any file that it holds open, and then we could not read that again.
    """
    worker.order("candidate", marshal.dumps((job, solution, inputs.read_bytes())), far.fileno())


def _read_answers(rpc: int, layouts: Sequence[Layout]) -> dict[str, list[Answered]]:
    """Return what a reference streams.

    Raises:
        ValueError: If it fails.
    """
    frames = FrameReader(rpc)
    message = wire.decode(frames.read(wire.MAX_BYTES))
    if message != ("jailed",):
        raise WorkerLostError(f"a candidate's jail could not be built: {message}")
    answers: dict[str, list[Answered]] = {}
    for layout in layouts:
        answers[layout.name] = []
        ends = False
        while not ends:
            frame = frames.read(wire.MAX_BYTES)
            if frame[:1] != items.RESULTS:
                raise ValueError(str(wire.decode(frame[1:])))
            ends = bool(items.RESULTS_HEAD.unpack_from(frame)[2])
            for item in items.split(frame, items.RESULTS_HEAD.size):
                encoded = wire.decode(frame[item.body : item.end])
                if item.mark == items.ERROR:
                    raise ValueError(f"{layout.name} {len(answers[layout.name])}: {encoded}")
                answers[layout.name].append(Answered(*encoded))
            write_frame(rpc, items.NEXT)
        if len(answers[layout.name]) != layout.n_tests:
            raise ValueError(f"{len(answers[layout.name])} of {layout.n_tests} answers")
    return answers


class _Judgement:
    """One program's way to its outcome."""

    def __init__(self, worker: Worker, limits: Limits, program: PlusProgram, reference: Reference) -> None:
        self._worker = worker
        self._limits = limits
        self._program = program
        self._reference = reference
        least_s = _TEST_S * limits.scale
        self._parts = {
            layout.name: _part(layout, self._scaled(reference.slow_s[layout.name]), least_s)
            for layout in reference.layouts
        }
        longest_s = max(
            least_s, *(limit for part in self._parts.values() for limit in part["slow"].values()), 0
        )
        self._stall_s = 2 * longest_s + _TEST_S
        """A candidate's own clock stops a test at its limit; if it does not, the harness does after this."""
        self._cap_s = limits.cpu_s + _SLACK_S
        self._part_began = ("base", 0.0)
        self._results: dict[str, _PartResult] = {}
        self._told: dict[str, Any] = {}
        """The checker's word on parts that are done, while the candidate is at another."""
        self._at_once = False
        """Whether the checker has to see each answer before the next call, which takes longer."""
        self._cpu_s = self._wall_s = 0.0

    def _scaled(self, times_s: Mapping[int, float]) -> dict[int, float]:
        return {index: self._limits.scale * used_s for index, used_s in times_s.items()}

    def outcome(self) -> Outcome:
        """Run the program, again if it did not live to the second part or changed an answer, and sum up."""
        while missing := [part for part in references.PARTS if part not in self._results]:
            self._run(missing)
        base, plus = (self._results[name] for name in references.PARTS)
        decisive = next((part for part in (base, plus) if part.verdict != "passed"), None)
        strict = decisive or next((part for part in (base, plus) if part.strict != "passed"), None)
        return Outcome(
            verdict=decisive.verdict if decisive else "passed",
            detail=printable(decisive.detail if decisive else ""),
            cpu_s=round(self._cpu_s, 4),
            wall_s=round(self._wall_s, 4),
            base=base.verdict,
            plus=plus.verdict,
            strict=strict.strict if strict else "passed",
            evidence=printable(strict.strict_detail if strict and not decisive else ""),
            failure=strict.failure if strict else None,
        )

    def _run(self, names: list[str]) -> None:
        """Run a candidate on some parts and book what became of each."""
        self._part_began = (names[0], 0.0)
        self._told = {}
        watch = Watch(
            self._worker, min(self._stall_s, self._cap_s), lambda message: self._hear(watch, message)
        )
        self._hand_out(names)
        ended = watch.run()
        self._cpu_s += ended.cpu_s
        self._wall_s += watch.wall_s()
        began = names[0]
        if watch.report is None:
            self._worker.replace_checker()
            began = next(name for name in names if name not in self._told)
        report: dict[str, Any] = watch.report or self._told
        how: list[str] = report.pop("ended", ["gone"])
        if how[0] == "unjailed":
            raise WorkerLostError(f"a candidate's jail could not be built: {how[1]}")
        was_at_once = self._at_once
        for name in names:
            if name in report and report[name]["report"][0] == "changed" and not was_at_once:
                self._at_once = True
            elif name in report:
                self._results[name] = _PartResult.of(name, report[name], ended, self._worker.limits, watch)
            elif name == began or how[0] in ("compile", "start"):
                # Parts that it did not live to get a candidate of their own, unless it can't live at all.
                self._results[name] = _PartResult.of(name, {"report": how}, ended, self._worker.limits, watch)

    def _hand_out(self, names: list[str]) -> None:
        problem, checker = self._program.problem, self._worker.checker
        assert checker is not None
        parts = [self._parts[name] for name in names]
        mode = _MODES.get(problem.oracle, "bytes")
        near, far = socket.socketpair()
        files = self._reference.inputs, self._reference.expected
        with near, far, files[0].open("rb") as inputs, files[1].open("rb") as expected:
            job = {
                "entry_point": problem.entry_point, "mode": mode, "at_once": self._at_once, "parts": parts,
            }  # fmt: skip
            _order(self._worker, job, self._program.solution, files[0], far)
            task = {"task": self._reference.key, "oracle": problem.oracle, "parts": parts}
            checker.send(task, (near.fileno(), inputs.fileno(), expected.fileno()))

    def _hear(self, watch: Watch, message: Any) -> bool:
        """Take a message of the checker: the report, a part of it, or how far the candidate is."""
        if type(message) is dict:
            return True
        kind, name, told = message
        if kind == "part":
            self._told[name] = told
            return False
        own_s = watch.own_s()
        if name != self._part_began[0]:
            self._part_began = (name, own_s)
        watch.limit_s = min(self._part_began[1] + self._cap_s, own_s + self._stall_s)
        return False


class _PartResult(NamedTuple):
    """What became of one part."""

    verdict: VerdictName
    detail: str
    strict: VerdictName
    strict_detail: str
    failure: Failure | None

    @classmethod
    def of(
        cls, name: str, result: dict[str, Any], ended: Exit, limits: Limits, watch: Watch
    ) -> "_PartResult":
        kind, *said = result["report"]
        if kind == "gone" and watch.timed_out:
            verdict: VerdictName = "timed_out"
            detail = f"no answer within {watch.limit_s:.0f} s of its own time"
        elif kind == "gone":
            verdict, detail = death(ended, limits)
        else:
            verdict, detail = _by_report(kind, said)
        said_of = {about: printable_value(text) for about, text in (result.get("failure") or {}).items()}
        failure = Failure(**said_of) if said_of else None
        strict: VerdictName
        strict, strict_detail = result.get("strict") or ("passed", "")
        if verdict != "passed":
            strict, strict_detail = verdict, ""
        return cls(verdict, f"{name}: {detail}" if detail else "", strict, strict_detail, failure)


def _by_report(kind: str, said: list[str]) -> tuple[VerdictName, str]:
    if kind == "ok":
        return "passed", ""
    if kind == "mismatch":
        return "failed", f"wrong answer to input {said[0]}"
    if kind == "changed":
        return "failed", f"the answer to input {said[0]} was changed after it was returned"
    if kind == "violation":
        return "failed", f"the program answered with {said[0]}"
    nearest, name, text, *where = said
    told = exception_text(name, text) + (f" (input {where[0]})" if where else "")
    if kind == "compile":
        return "compile_error", told
    if nearest == "MemoryError":
        return "out_of_memory", told
    return ("timed_out" if name == "TimeoutException" else "failed"), told
