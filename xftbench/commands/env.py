"""``xftbench env``: the environments that some suites' programs run in."""

import logging
import sys
from concurrent.futures import as_completed
from pathlib import Path

import click
import msgspec

from xftbench.benchmarks.datafiles import MissingDataFileError, find
from xftbench.benchmarks.ds1000 import DATA_FILES, Ds1000
from xftbench.commands.options import DIRECTORY, data_dir_for, isolation_option, json_option
from xftbench.errors import SandboxError, ToolchainError, UsageProblem
from xftbench.execution import environments, offline_data, processors
from xftbench.execution.environments import Environment, EnvironmentSpec
from xftbench.execution.pool import Isolation, Pool
from xftbench.records import Record

_logger = logging.getLogger(__name__)
_SHOWN = 20


class EnvironmentStatus(Record):
    """An environment, and what was found of it."""

    name: str
    python: str
    path: str
    identity: str
    """Hash of the Python version and all pins."""
    pins: dict[str, str]
    problem: str | None
    """Why it can't be used; none if it can."""
    data_sets: tuple[str, ...]
    """What it holds that programs would otherwise download."""


def status_of(spec: EnvironmentSpec) -> EnvironmentStatus:
    """Look for an environment and compare what it holds with its pins."""
    problem: str | None = None
    data_sets: tuple[str, ...] = ()
    try:
        data_sets = tuple(sorted(offline_data.available(environments.find(spec.name))))
    except ToolchainError as error:
        problem = str(error)
    return EnvironmentStatus(
        name=spec.name,
        python=spec.python,
        path=str(environments.root() / spec.folder),
        identity=spec.identity,
        pins=spec.pins,
        problem=problem,
        data_sets=data_sets,
    )


@click.group
def command() -> None:
    """Create and check the environments that some suites' programs run in.

    They are virtual environments of pinned packages, apart from the one that xftbench itself is installed in.
    """


@command.command
@click.argument("name")
@click.option("--python", help="Interpreter of the version that the pins need.  [default: found on the path]")
@click.option(
    "--dir", "directory", type=DIRECTORY, help="Where its files go.  [default: ~/.cache/xftbench/envs]"
)
@data_dir_for(
    "Folder with the data sets that programs would download: seaborn-data/*.csv and cal_housing.data "
    "[default: downloaded]; and with ds1000.jsonl.gz, if the new environment is to be tried on it."
)
@click.option("--again", is_flag=True, help="Build it anew even if it is there.")
@isolation_option
def create(
    name: str,
    python: str | None,
    directory: Path | None,
    data_dir: Path | None,
    again: bool,
    isolation: Isolation,
) -> None:
    """Create the environment NAME, or complete the one that is there.

    An interrupted build leaves nothing behind; what was fetched stays in pip's cache. A new environment is
    tried on the reference solutions, as by `env check --references`, if --data-dir has the benchmark's file.
    """
    is_new = again or status_of(_spec(name)).problem is not None
    with _Ticker() as ticker:
        environment = environments.create(
            name, python=python, directory=directory, again=again, say=ticker.say
        )
        missing = offline_data.add(environment, data_dir, ticker.say)
    for line in missing:
        _logger.warning("%s; the problems that need it will be left out of scores", line)
    if missing:
        _logger.warning("get them later with: xftbench env create %s --data-dir DIR", name)
    click.echo(f"{environment.path}: {environments.toolchain(name)}")
    if is_new and data_dir is not None:
        try:
            find(DATA_FILES[Ds1000.versions[-1]], data_dir)  # here, not through the hub
            _run_references(environment, data_dir, isolation)
        except (MissingDataFileError, SandboxError) as error:
            hint = f" ({error.hint})" if error.hint else ""
            _logger.warning("not tried on the reference solutions: %s%s", error.message, hint)


@command.command("list")
@json_option
def list_all(as_json: bool) -> None:
    """List every environment, and whether it is there."""
    statuses = [status_of(spec) for spec in environments.specs().values()]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(statuses), indent=2))
        return
    for status in statuses:
        state = "ready" if status.problem is None else "not usable"
        click.echo(f"{status.name}  {state}  Python {status.python}  {status.path}")


@command.command
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show where the environment NAME is, its pins, and which data sets it has."""
    status = status_of(_spec(name))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(status), indent=2))
        return
    click.echo(f"{status.name}  Python {status.python}  {status.path}")
    click.echo(f"  state      {'ready' if status.problem is None else status.problem}")
    click.echo(f"  identity   {status.identity}")
    click.echo(f"  data sets  {', '.join(status.data_sets) or 'none'}")
    click.echo("  packages   " + " ".join(f"{pin}=={version}" for pin, version in status.pins.items()))


@command.command
@click.argument("name")
@click.option(
    "--references",
    is_flag=True,
    help="Run the benchmark's reference solutions too, about a minute: all must pass. What its tests expect "
    "is recorded on the way, so that later programs are judged sooner.",
)
@data_dir_for("Folder with the benchmark's file.  [default: as for `score`]")
@isolation_option
def check(name: str, references: bool, data_dir: Path | None, isolation: Isolation) -> None:
    """Check that the environment NAME holds exactly its pins; exits with 3 if not, or if a solution fails."""
    _spec(name)
    environment = environments.find(name)
    click.echo(f"{environment.path}: {len(environment.spec.pins)} packages, all as pinned")
    for data_set in sorted(
        {offline_data.SEABORN, offline_data.HOUSING} - offline_data.available(environment)
    ):
        click.echo(f"lacks {data_set}: xftbench env create {name} [--data-dir DIR]")
    if references:
        _run_references(environment, data_dir, isolation)


def _run_references(environment: Environment, data_dir: Path | None, isolation: Isolation) -> None:
    """Run every reference solution whose data sets are here.

    Raises:
        DataFileError: If the benchmark's file is not to be had.
        ToolchainError: If one does not pass: this machine computes something else than the authors'.
    """
    benchmark = Ds1000()
    problems = benchmark.load(benchmark.versions[-1], data_dir).problems
    here = offline_data.available(environment) | {""}
    programs = benchmark.all_references([problem for problem in problems if problem.needs in here])
    with _Ticker() as ticker, Pool(processors.worth_using(), benchmark.limits, isolation) as pool:
        futures = {pool.submit(program): program.task_id for program in programs}
        failed = {}
        for done, future in enumerate(as_completed(futures), start=1):
            ticker.say(f"running reference solutions: {done} of {len(programs)}")
            if future.result().verdict != "passed":
                failed[futures[future]] = f"{future.result().verdict} ({future.result().detail})"
    click.echo(f"{len(programs) - len(failed)} of {len(programs)} reference solutions pass")
    if failed:
        raise ToolchainError(
            "reference solutions that don't pass here, the first of them: "
            + "; ".join(f"{name}: {failed[name]}" for name in sorted(failed, key=int)[:_SHOWN]),
            hint=f"xftbench env create {environment.spec.name} --again, and if that does not help, don't "
            "trust scores of these problems; where it is an infrastructure_error: xftbench doctor",
        )


def _spec(name: str) -> EnvironmentSpec:
    known = environments.specs()
    if name not in known:
        raise UsageProblem(f"unknown environment {name!r}", hint="known: " + ", ".join(known))
    return known[name]


class _Ticker:
    """Shows what is going on: one line that is overwritten on a terminal, the turns of it elsewhere."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._last = ""

    def say(self, text: str) -> None:
        """Show a step."""
        if self._is_terminal:
            click.echo(f"\r\x1b[K{text[:100]}", nl=False, err=True)
        elif text.split()[0] != self._last:
            click.echo(text, err=True)
        self._last = text.split()[0]

    def __enter__(self) -> "_Ticker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_terminal and self._last:
            click.echo("\r\x1b[K", nl=False, err=True)
