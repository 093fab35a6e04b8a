"""Our runner against DS-1000's official way of running programs, on its reference solutions, interleaved.

    python tests/perf/ds1000.py --data-dir DATA [--rounds 1] [--workers 2] [--every 1] [--library sklearn]

Both run in the pinned environment and with its data sets. Each engine runs in a process of its own inside a
fresh cpuacct cgroup, so CPU seconds are those of the whole tree, starting the warm interpreters included;
without such a cgroup they are getrusage's, which misses killed trees. The floor is the CPU time that the
forked processes themselves used: the programs, their tests and the imports that no family shares.

What a test expects is recorded (docs/ds1000.md). The run before the official one finds no recording, the run
after it finds all of them: that is the first sample of a problem, and every further one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cpu_account import CpuAccount

_OFFICIAL = Path(__file__).with_name("ds1000_official.py")


def ours(problems: list[Any], workers: int) -> dict[str, float]:
    """Run the references in our pool."""
    from xftbench.benchmarks.ds1000 import Ds1000
    from xftbench.execution.pool import Pool

    with Pool(workers, Ds1000.limits) as pool:
        futures = [pool.submit(program) for program in Ds1000().all_references(problems)]
        outcomes = [future.result() for future in futures]
    passed = sum(outcome.verdict == "passed" for outcome in outcomes)
    return {"passed": passed, "floor_s": sum(outcome.cpu_s for outcome in outcomes)}


def official(problems: list[Any], workers: int) -> dict[str, float]:
    """Run the references as the authors' script does."""
    from xftbench.execution import environments, offline_data

    environment = environments.find("ds1000")
    rows = [{"context": problem.code_context, "answer": problem.reference_code} for problem in problems]
    variables = os.environ | offline_data.variables(environment) | {"MPLBACKEND": "Agg"}
    variables["TF_CPP_MIN_LOG_LEVEL"] = "3"
    done = subprocess.run(
        [str(environment.path / "bin" / "python"), str(_OFFICIAL), str(workers)],
        input=json.dumps(rows), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        env=variables,
    )  # fmt: skip
    return {"passed": int(done.stdout.splitlines()[-1]), "floor_s": 0.0}


ENGINES = {"xftbench": ours, "official": official}


def chosen(arguments: argparse.Namespace) -> list[Any]:
    """Return the problems that are run."""
    from xftbench.benchmarks.ds1000 import Ds1000

    libraries = [arguments.library] if arguments.library else []
    return list(Ds1000(libraries).load("2024-04", arguments.data_dir).problems)[:: arguments.every]


def measure_here(arguments: argparse.Namespace) -> None:
    """Run one engine in this process and write its figures to stdout as JSON."""
    problems = chosen(arguments)
    with CpuAccount() as account:
        started = time.perf_counter()
        figures = ENGINES[arguments.engine](problems, arguments.workers)
        figures |= {"wall_s": time.perf_counter() - started, "cpu_s": account.cpu_s()}
    sys.stdout.write(json.dumps(figures | {"programs": len(problems), "cgroup": account.is_whole}))


def compare(arguments: argparse.Namespace) -> None:
    """Run ours, the official, and ours again, so often; write a table and the ratios."""
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as cache_home:
            compare_once(number, _empty_cache(Path(cache_home)))


def _empty_cache(cache_home: Path) -> dict[str, str]:
    """Return the environment variables that put our cache there, with nothing in it but the environments."""
    from xftbench.execution import environments

    (cache_home / "xftbench").mkdir()
    (cache_home / "xftbench" / "envs").symlink_to(environments.find("ds1000").path.parent)
    return os.environ | {"XDG_CACHE_HOME": str(cache_home)}


def compare_once(number: int, variables: dict[str, str]) -> None:
    """Run one round."""
    figures: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for engine in ("xftbench", "official", "xftbench"):
        command = [sys.executable, __file__, "--engine", engine, *sys.argv[1:]]
        # The official one keeps its own cache: without it, matplotlib looks for fonts in every process.
        env = variables if engine == "xftbench" else None
        finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
        row = json.loads(finished.stdout.splitlines()[-1])
        figures[engine].append(row)
        floor = f"  floor {row['floor_s']:6.1f} s" if row["floor_s"] else ""
        sys.stdout.write(
            f"round {number + 1}  {engine:9} {row['passed']}/{row['programs']} passed  "
            f"wall {row['wall_s']:6.1f} s  CPU {row['cpu_s']:6.1f} s{floor}\n"
        )
        sys.stdout.flush()
    for unit in ("wall_s", "cpu_s"):
        (theirs,) = (row[unit] for row in figures["official"])
        mine = [row[unit] for row in figures["xftbench"]]
        sys.stdout.write(
            f"official / xftbench, {unit[:-2]:4}: {theirs / mine[0]:.2f} with nothing recorded, "
            f"{theirs / mine[1]:.2f} with all recorded\n"
        )


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="take every N-th problem only")
    parser.add_argument("--library", help="one library only")
    parser.add_argument("--engine", choices=sorted(ENGINES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.engine:
        measure_here(arguments)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
