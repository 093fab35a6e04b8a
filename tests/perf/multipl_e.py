"""Our pool against MultiPL-E's own evaluator on the same programs, by language, in interleaved rounds.

    git clone https://github.com/nuprl/MultiPL-E      (or a fork of it)
    python tests/perf/multipl_e.py --evaluator MultiPL-E/evaluation/src [--rounds 3] [java ...]

Programs are a chat model's answers to the first problems, right and wrong ones (../shared/data/multipl-e).
Each engine runs all of them on two workers in a process of its own inside a fresh cpuacct cgroup, so the CPU
seconds are those of the whole tree. Upstream's driver works on the completions of one problem at a time; here
its evaluation function is given all programs at once, which flatters it. It wants javatuples at
/usr/multiple/javatuples-1.2.jar. What is built once for a machine (C++'s precompiled header) is built before.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from cpu_account import CpuAccount
from multipl_e_corpora import gpt_answers

from xftbench.benchmarks.multipl_e import MultiplE, probes
from xftbench.benchmarks.multipl_e_parts import GROUPS, Part
from xftbench.execution.native.toolchains import missing_toolchains
from xftbench.execution.pool import Pool
from xftbench.records import NativeProgram

ENGINES = ("xftbench", "multipl-e")


def run_ours(programs: list[NativeProgram], workers: int) -> int:
    """Return how many pass in our pool."""
    with Pool(workers, MultiplE.limits) as pool:
        outcomes = [future.result() for future in [pool.submit(program) for program in programs]]
    return sum(outcome.verdict == "passed" for outcome in outcomes)


def run_theirs(programs: list[NativeProgram], workers: int, evaluator: Path) -> int:
    """Return how many pass in MultiPL-E's evaluation function."""
    sys.path.insert(0, str(evaluator))
    from containerized_eval import eval_string_script

    def passes(program: NativeProgram) -> bool:
        language = "go_test.go" if program.language == "go" else program.language
        return bool(eval_string_script(language, f"{program.solution}\n{program.test}")["status"] == "OK")

    with ThreadPoolExecutor(workers) as threads:
        return sum(threads.map(passes, programs))


def measure_here(arguments: argparse.Namespace) -> None:
    """Run one engine on one language in this process and write its figures to stdout as JSON."""
    (language,) = arguments.languages
    cases = gpt_answers(Part("humaneval", language))[: arguments.problems]
    programs = [case.program for case in cases]
    if arguments.engine == "xftbench":
        run_ours([probes()[language].program(language)], 1)
    with CpuAccount() as account:
        started = time.perf_counter()
        if arguments.engine == "xftbench":
            passed = run_ours(programs, arguments.workers)
        else:
            passed = run_theirs(programs, arguments.workers, arguments.evaluator)
        figures = {"cpu": account.cpu_s(), "wall": time.perf_counter() - started}
    figures |= {"passed": passed, "programs": len(programs)}
    sys.stdout.write("\n" + json.dumps(figures))


def measure(engine: str, language: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one engine on one language, from a process of its own."""
    command = [
        sys.executable, __file__, language, "--engine", engine, "--workers", str(arguments.workers),
        "--problems", str(arguments.problems), "--evaluator", str(arguments.evaluator),
    ]  # fmt: skip
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def compare(arguments: argparse.Namespace) -> None:
    """Run the engines in turn on each language; write ratios for each, and for all of them together."""
    best: dict[str, dict[str, list[float]]] = {engine: {"cpu": [], "wall": []} for engine in ENGINES}
    for language in arguments.languages:
        if missing_toolchains([language]):
            sys.stdout.write(f"{language:6} no toolchain here\n")
            continue
        rounds: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
        for number in range(arguments.rounds):
            for engine in sorted(ENGINES, reverse=number % 2 == 1):
                rounds[engine].append(measure(engine, language, arguments))
        line = [f"{language:6}"]
        for unit in ("cpu", "wall"):
            ours, theirs = ([row[unit] for row in rounds[engine]] for engine in ENGINES)
            ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
            n = rounds["xftbench"][0]["programs"]
            line.append(
                f"{unit} {min(ours) / n * 1e3:7.0f} ms against {min(theirs) / n * 1e3:7.0f}: {ratio:5.1f} x"
            )
            best["xftbench"][unit].append(statistics.median(ours))
            best["multipl-e"][unit].append(statistics.median(theirs))
        passed = {int(row["passed"]) for rows in rounds.values() for row in rows}
        line.append(f"{'/'.join(map(str, sorted(passed)))} of {n:.0f} pass")
        sys.stdout.write("   ".join(line) + "\n")
        sys.stdout.flush()
    for unit in ("cpu", "wall"):
        ours, theirs = (sum(best[engine][unit]) for engine in ENGINES)
        sys.stdout.write(f"all    {unit} {theirs:.1f} s against {ours:.1f} s: {theirs / ours:.1f} x\n")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("languages", nargs="*", default=GROUPS["paper"], help="the paper's six if none")
    parser.add_argument("--evaluator", type=Path, required=True, help="MultiPL-E's evaluation/src")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--problems", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    measure_here(arguments) if arguments.engine else compare(arguments)


if __name__ == "__main__":
    main()
