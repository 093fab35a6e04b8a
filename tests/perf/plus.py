"""Our pool against evalplus.evaluate on the canonical solutions of a plus suite, in interleaved rounds.

    python tests/perf/plus.py mbpp+ --data-dir DIR --evalplus PYTHON [--rounds 3] [--repeat 1] [--light]

`--evalplus` is the interpreter of an environment that has evalplus; `--light` leaves the heavy problems out.
Each engine judges the same samples with two workers in a process of its own. CPU seconds are those of its
whole tree, by a fresh cpuacct cgroup, loading and starting included; both have their expected outputs in the
cache. The floor is the bare execution of the same solutions on the same inputs in one process.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cpu_account import CpuAccount

_DATASETS = {"humaneval+": "humaneval", "mbpp+": "mbpp"}
_HEAVY = {
    "humaneval+": (15, 36, 59, 83, 94, 100, 130, 139),
    "mbpp+": (84, 123, 255, 271, 300, 389, 392, 583, 589, 592, 599, 603, 630),
}
"""Problems whose reference alone takes most of the time."""


def problems_of(suite: str, data_dir: Path, light: bool) -> tuple[Any, list[Any]]:
    """Return the benchmark and the problems that are measured."""
    from xftbench.benchmarks import parse_suite

    benchmark, version = parse_suite(suite)
    heavy = {f"{'HumanEval' if suite == 'humaneval+' else 'Mbpp'}/{number}" for number in _HEAVY[suite]}
    problems = benchmark.load(version, data_dir).problems
    return benchmark, [problem for problem in problems if not light or problem.task_id not in heavy]


def run_ours(arguments: argparse.Namespace) -> int:
    """Return how many pass in our pool."""
    from xftbench.execution.pool import Pool

    benchmark, problems = problems_of(arguments.suite, arguments.data_dir, arguments.light)
    programs = benchmark.known_good(problems) * arguments.repeat
    with Pool(2, benchmark.limits) as pool:
        outcomes = [future.result() for future in [pool.submit(program) for program in programs]]
    return sum(outcome.verdict == "passed" for outcome in outcomes)


def run_floor(arguments: argparse.Namespace) -> int:
    """Execute everything bare."""
    from xftbench.benchmarks.plus_inputs import decoded

    _, problems = problems_of(arguments.suite, arguments.data_dir, arguments.light)
    started = time.process_time()
    for problem in problems:
        for _ in range(arguments.repeat):
            namespace: dict[str, Any] = {}
            exec(problem.prompt + problem.canonical_solution, namespace)
            for data in (problem.base_input, problem.plus_input):
                for inputs in decoded(problem.task_id, data):
                    namespace[problem.entry_point](*inputs)
    sys.stderr.write(f"floor, loading not counted: {time.process_time() - started:.2f} s of CPU\n")
    return len(problems) * arguments.repeat


def run_evalplus(arguments: argparse.Namespace, folder: Path) -> int:
    """Return how many pass in evalplus, called from its command line."""
    dataset = _DATASETS[arguments.suite]
    for old in folder.glob("*eval_results.json"):
        old.unlink()
    command = [arguments.evalplus, "-m", "evalplus.evaluate", "--dataset", dataset, "--parallel", "2"]
    variable = "HUMANEVAL_OVERRIDE_PATH" if dataset == "humaneval" else "MBPP_OVERRIDE_PATH"
    environment = {
        **os.environ,
        variable: str(folder / "data.jsonl"),
        "PYTHONPATH": arguments.evalplus_source,
    }
    subprocess.run(
        [*command, "--samples", str(folder / "samples.jsonl")],
        env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (results,) = folder.glob("*eval_results.json")  # its name depends on the version
    rows = json.loads(results.read_text())["eval"].values()
    return sum(row["base_status"] == row["plus_status"] == "pass" for task in rows for row in task)


def write_files(arguments: argparse.Namespace, folder: Path) -> None:
    """Write what evalplus reads: the data without the problems that are left out, and the samples."""
    from xftbench.benchmarks import parse_suite
    from xftbench.benchmarks.datafiles import unpacked

    benchmark, version = parse_suite(arguments.suite)
    _, problems = problems_of(arguments.suite, arguments.data_dir, arguments.light)
    wanted = {problem.task_id: problem.prompt + problem.canonical_solution for problem in problems}
    path = Path(benchmark.load(version, arguments.data_dir).path)
    lines = [line for line in unpacked(path).splitlines() if json.loads(line)["task_id"] in wanted]
    (folder / "data.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    samples = [
        json.dumps({"task_id": task_id, "solution": solution})
        for _ in range(arguments.repeat)
        for task_id, solution in wanted.items()
    ]
    (folder / "samples.jsonl").write_text("\n".join(samples) + "\n")


def measure_here(arguments: argparse.Namespace) -> None:
    """Run one engine in this process and write its figures to stdout as JSON."""
    with CpuAccount() as account:
        started = time.perf_counter()
        if arguments.engine == "evalplus":
            n_passed = run_evalplus(arguments, arguments.folder)
        else:
            n_passed = run_ours(arguments) if arguments.engine == "xftbench" else run_floor(arguments)
        figures = {"cpu_s": account.cpu_s(), "wall_s": time.perf_counter() - started, "passed": n_passed}
    sys.stdout.write(json.dumps(figures))


def compare(arguments: argparse.Namespace) -> None:
    """Run the engines in turn and write a table and the ratios."""
    figures: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_files(arguments, Path(folder))
        # Once each before it counts, so that the expected outputs are in the caches; then the floor.
        order = ["floor", *([] if arguments.warm else ["xftbench", "evalplus"])]
        for number in range(arguments.rounds):
            order += sorted(("xftbench", "evalplus"), reverse=number % 2 == 0)
        for engine in order:
            finished = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--engine", engine, "--folder", folder],
                check=True, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            row = json.loads(finished.stdout.splitlines()[-1])
            figures.setdefault(engine, []).append(row)
            told = f"{engine:9} {row['passed']:5} passed"
            sys.stdout.write(f"{told}  CPU {row['cpu_s']:7.2f} s  wall {row['wall_s']:7.2f} s\n")
            sys.stdout.flush()
    for unit in ("cpu_s", "wall_s"):
        ours = [row[unit] for row in figures["xftbench"][-arguments.rounds :]]
        theirs = [row[unit] for row in figures["evalplus"][-arguments.rounds :]]
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        told = f"median {statistics.median(ratios):.2f} of rounds {', '.join(f'{one:.2f}' for one in ratios)}"
        best = min(theirs) / min(ours)
        sys.stdout.write(f"evalplus / xftbench, {unit[:-2]:4}: {told}; best against best {best:.2f}\n")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("suite", choices=sorted(_DATASETS))
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--evalplus", default=sys.executable, help="interpreter that has evalplus")
    parser.add_argument(
        "--evalplus-source", default="", help="a checkout of evalplus to take instead of its wheel"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=1, help="samples per problem")
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--warm", action="store_true", help="both caches are filled already")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        measure_here(arguments)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
