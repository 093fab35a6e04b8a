"""Judges programs in other languages; one runner serves all languages of its slot of the pool."""

import re
from typing import Any

import msgspec

from xftbench.execution.interpreter import own
from xftbench.execution.native import builders, proof, view
from xftbench.execution.native.builders import Warm
from xftbench.execution.native.job import Jobs
from xftbench.execution.native.judge import Ended, Ending, judge
from xftbench.execution.native.language import PUBLISHED_S, Step
from xftbench.execution.native.toolchains import Missing, Toolchain, find_toolchain
from xftbench.execution.native.warm import Compiled, Compiler, Compilers
from xftbench.execution.outcome import InfrastructureError
from xftbench.execution.worker import Worker, WorkerRunner
from xftbench.records import Limits, NativeProgram, Outcome, Program

_DISK_BYTES = 256 << 20  # what a compiler leaves beside the program
_PROCESSES = 256  # threads of virtual machines
_IDLE_S = 10.0
_MAY_BE_OURS = ("failed", "crashed", "compile_error")
_CONTROLS = 2
_EXIT_1 = 1 << 8  # as waitpid tells it
_SURROGATE = re.compile("[\ud800-\udfff]")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_ENVIRONMENT = {"HOME": "{work}", "TMPDIR": "{work}", "LANG": "C.UTF-8", "TZ": "UTC"}


class NativeRunner(WorkerRunner):
    """A worker whose zygote starts a supervisor for each program."""

    def __init__(self, limits: Limits, isolation: str, compilers: Compilers) -> None:
        self._compilers = compilers
        self._warm: dict[str, Warm | None] = {}
        self._limits = msgspec.structs.replace(
            limits,
            disk_bytes=max(limits.disk_bytes, _DISK_BYTES),
            processes=max(limits.processes, _PROCESSES),
        )
        super().__init__(Worker(self._limits, isolation, own(view.plan()), with_checker=False))
        self._jobs = Jobs(self._worker)

    def run(self, program: Program) -> Outcome:
        """Run a `NativeProgram`."""
        assert isinstance(program, NativeProgram)
        toolchain = find_toolchain(program.language)
        if isinstance(toolchain, Missing):
            raise InfrastructureError(f"no {', '.join(toolchain.what)} here: {toolchain.install}")
        return _Trial(self, program, toolchain).outcome()

    def kill(self) -> None:
        """Kill every process and wait."""
        self._compilers.forget(self._worker)
        super().kill()
        self._jobs.close()

    def execute(self, toolchain: Toolchain, text: str) -> Ending:
        """Build and run a source text."""
        steps = [self._command(toolchain, step) for step in toolchain.variant.steps]
        if self._worker.is_jailed:
            compiled = self._compiled_warm(toolchain, text, steps[0])
            if compiled is not None:
                return self._run_compiled(compiled, steps)
            steps = builders.hastened(toolchain, text, steps)
        files = {toolchain.language.file_name: text.encode("utf-8", "surrogatepass")}
        return self._jobs.run(files, steps)

    def _compiled_warm(self, toolchain: Toolchain, text: str, command: dict[str, Any]) -> Compiled | None:
        """Have a warm compiler do the first step; None where there is none, or it could not tell."""
        name = toolchain.language.name
        if name not in self._warm:
            self._warm[name] = builders.warm(toolchain)
        warm = self._warm[name]
        if warm is None or (not text.isascii() and _SURROGATE.search(text)):
            return None

        def start() -> Compiler:
            with self._worker.or_lost():
                return warm.start(self._worker, command)

        with self._compilers.lend(name, warm.most, start) as compiler:
            return compiler.compile(text, command["cpu_s"])

    def _run_compiled(self, compiled: Compiled, steps: list[dict[str, Any]]) -> Ending:
        first = Ended(
            status=0 if compiled.succeeded else _EXIT_1,
            why="",
            cpu_s=compiled.cpu_s,
            wall_s=compiled.wall_s,
            stdout="",
            stderr=compiled.messages,
        )
        if not compiled.succeeded:
            return Ending(steps=(first,), limits_s=tuple(float(step["cpu_s"]) for step in steps))
        rest = self._jobs.run(compiled.files, steps[1:])
        return Ending(
            steps=(first, *rest.steps),
            limits_s=(float(steps[0]["cpu_s"]), *rest.limits_s),
            out_of_memory=rest.out_of_memory,
        )

    def _command(self, toolchain: Toolchain, step: Step) -> dict[str, Any]:
        scale = self._limits.cpu_s / PUBLISHED_S
        cpu_s = max(1, round(step.cpu_s * scale))
        is_jailed = self._worker.is_jailed
        paths = {name: view.inside(path) if is_jailed else path for name, path in toolchain.paths.items()}
        argv = list(step.argv)
        for name, path in paths.items():
            argv = [part.replace(f"{{{name}}}", path) for part in argv]
        folders = dict.fromkeys(path.rpartition("/")[0] for path in toolchain.paths.values())
        environment = _ENVIRONMENT | {"PATH": ":".join((*folders, _PATH))}
        if not is_jailed:
            environment["OPENSSL_CONF"] = "/dev/null"  # the system's can be seen but not read there
        return {
            "argv": argv,
            "quick": [],
            "environment": environment | dict(toolchain.language.environment),
            "cpu_s": cpu_s,
            "wall_s": cpu_s + _IDLE_S,
            "memory_bytes": self._limits.memory_bytes,
            "runtime_memory": toolchain.language.runtime_memory or step.compiles,
            "remove": [toolchain.language.file_name] if step.compiles else [],
        }


class _Trial:
    """One program: by the published rule, and by the strict one."""

    def __init__(self, runner: NativeRunner, program: NativeProgram, toolchain: Toolchain) -> None:
        self._runner = runner
        self._program = program
        self._toolchain = toolchain
        self._language = toolchain.language

    def outcome(self) -> Outcome:
        sealed = proof.seal(self._program, self._language)
        if sealed is None:
            outcome, _ = self._judged(proof.plain(self._program))
            return msgspec.structs.replace(outcome, evidence="the exit status alone")
        outcome, ending = self._judged(sealed.text)
        if outcome.verdict in _MAY_BE_OURS and sealed.is_blamed(ending.output):
            outcome, ending = self._judged(proof.plain(self._program))
        has_proof = sealed.secret in ending.output
        if outcome.verdict == "passed" and not has_proof:
            # The line behind the tests, whose secret was not printed, may have ended well in their place.
            outcome, _ = self._judged(proof.plain(self._program))
        if outcome.verdict != "passed":
            return msgspec.structs.replace(outcome, strict=outcome.verdict)
        return self._strictly(outcome, has_proof=has_proof)

    def _judged(self, text: str) -> tuple[Outcome, Ending]:
        ending = self._runner.execute(self._toolchain, text)
        return judge(self._language, self._toolchain.variant.steps, ending), ending

    def _strictly(self, outcome: Outcome, *, has_proof: bool) -> Outcome:
        if not has_proof:
            return msgspec.structs.replace(
                outcome,
                strict="failed",
                evidence="it ended well, but the secret behind the last check is missing",
            )
        if proof.claims_equality(self._program, self._language):
            return msgspec.structs.replace(
                outcome, strict="failed", evidence="it defines anew when answers are equal"
            )
        evidence = "the secret behind the last check was printed"
        if not proof.is_wary(self._program, self._language):
            return msgspec.structs.replace(outcome, strict="passed", evidence=evidence)
        if self._passes_a_control():
            return msgspec.structs.replace(
                outcome, strict="failed", evidence="it also passes with a check that can't be met"
            )
        evidence += ", and a check that can't be met fails"
        return msgspec.structs.replace(outcome, strict="passed", evidence=evidence)

    def _passes_a_control(self) -> bool:
        """Return whether it passes with a check made false; what doesn't compile then tells nothing."""
        told = 0
        for text in proof.controls(self._program, self._language):
            verdict = self._judged(text)[0].verdict
            if verdict == "passed":
                return True
            told += verdict != "compile_error"
            if told == _CONTROLS:
                return False
        return False
