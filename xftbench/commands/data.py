"""``xftbench data``: the benchmarks' data files, and whether they are the pinned ones."""

from pathlib import Path

import click
import msgspec

from xftbench.benchmarks import BENCHMARKS, DATA_FILES, multipl_e_data, parse_suite
from xftbench.benchmarks.datafiles import DataFile, MissingDataFileError, find
from xftbench.benchmarks.multipl_e_parts import GROUPS, SOURCES, Part
from xftbench.commands.options import data_dir_option, json_option
from xftbench.errors import DataFileError
from xftbench.records import Record


class DataStatus(Record):
    """A data file, and what was found of it."""

    file: DataFile
    path: str | None
    problem: str | None
    """What is missing, or not the pinned file."""
    is_wrong: bool


def data_status(data_file: DataFile, data_dir: Path | None) -> DataStatus:
    """Look for a data file and verify it."""
    try:
        return DataStatus(file=data_file, path=str(find(data_file, data_dir)), problem=None, is_wrong=False)
    except MissingDataFileError as error:
        # Only what comes with xftbench must be there; the rest is asked for when its benchmark is.
        is_wrong = bool(data_file.package)
        return DataStatus(file=data_file, path=None, problem=str(error), is_wrong=is_wrong)
    except DataFileError as error:
        return DataStatus(file=data_file, path=None, problem=str(error), is_wrong=True)


def multipl_e_status(data_dir: Path | None) -> list[DataStatus]:
    """Look for each file of MultiPL-E; what is not here yet comes from the hub."""
    statuses = []
    for version, pins in multipl_e_data.pins().items():
        for source in SOURCES:
            for part in [Part(source, language) for language in GROUPS["all"]]:
                data_file = DataFile(
                    benchmark="multipl-e",
                    version=version,
                    file_name=f"{part.config}.jsonl.gz",
                    sha256=pins[part.config].sha256,
                    licence=multipl_e_data.LICENCE,
                    source=f"huggingface.co/datasets/{multipl_e_data.REPOSITORY}",
                    folder="multipl-e",
                )
                try:
                    path, problem = multipl_e_data.found(part, version, data_dir), None
                except DataFileError as error:
                    path, problem = None, str(error)
                statuses.append(
                    DataStatus(file=data_file, path=path, problem=problem, is_wrong=problem is not None)
                )
    return statuses


@click.group(invoke_without_command=True)
@data_dir_option
@json_option
@click.pass_context
def command(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """List every benchmark's data file with source and licence, and verify its hash.

    Exits with 3 if one that was found is not the pinned one. Files that are not here yet are named; `data
    fetch` gets them, and a benchmark that needs one loads it, or says where to put it.
    """
    if context.invoked_subcommand is not None:
        return
    statuses = [*(data_status(data_file, data_dir) for data_file in DATA_FILES), *multipl_e_status(data_dir)]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(statuses), indent=2))
    else:
        for status in statuses:
            click.echo(f"{status.file.benchmark}@{status.file.version}  {status.file.file_name}")
            click.echo(f"  source   {status.file.source} ({status.file.licence})")
            click.echo(f"  sha256   {status.file.sha256}")
            click.echo(f"  found    {status.path}, verified" if status.path else "  missing")
    problems = [status.problem for status in statuses if status.problem and status.is_wrong]
    if problems:
        raise DataFileError("\n".join(problems))


@command.command
@click.argument("suites", nargs=-1, metavar="[SUITE ...]")
@data_dir_option
def fetch(suites: tuple[str, ...], data_dir: Path | None) -> None:
    """Load the data of each SUITE through its ecosystem's own door, and verify it.

    Without a SUITE, of every benchmark. evalplus loads its releases, `datasets` MBPP and MultiPL-E; what they
    download stays in their own caches. What is here already is only verified.
    """
    failures = []
    for text in suites or BENCHMARKS:
        benchmark, version = parse_suite(text)
        try:
            data = benchmark.load(version, data_dir)
        except DataFileError as error:
            failures.append(f"{benchmark.name}@{version}: {error}")
            continue
        click.echo(f"{benchmark.name}@{version}  {len(data.problems)} problems, verified, {data.path}")
    if failures:
        raise DataFileError("\n".join(failures))
