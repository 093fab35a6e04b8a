"""``xftbench data``: the benchmarks' data files, and whether they are the pinned ones."""

from pathlib import Path

import click
import msgspec

from xftbench.benchmarks import DATA_FILES
from xftbench.benchmarks.datafiles import DataFile, find
from xftbench.commands.options import json_option
from xftbench.errors import DataFileError
from xftbench.records import Record


class DataStatus(Record):
    """A data file, and what was found of it."""

    file: DataFile
    path: str | None
    problem: str | None


def data_status(data_file: DataFile, data_dir: Path | None) -> DataStatus:
    """Look for a data file and verify it."""
    try:
        return DataStatus(file=data_file, path=str(find(data_file, data_dir)), problem=None)
    except DataFileError as error:
        return DataStatus(file=data_file, path=None, problem=str(error))


@click.command
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="XFTBENCH_DATA_DIR",
    help="Folder with benchmark files, searched before the installed packages.",
)
@json_option
def command(data_dir: Path | None, as_json: bool) -> None:
    """List every benchmark's data file with source and licence, and verify its hash.

    Exits with 3 if one is missing or not the pinned one.
    """
    statuses = [data_status(data_file, data_dir) for data_file in DATA_FILES]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(statuses), indent=2))
    else:
        for status in statuses:
            click.echo(f"{status.file.benchmark}@{status.file.version}  {status.file.file_name}")
            click.echo(f"  source   {status.file.source} ({status.file.licence})")
            click.echo(f"  sha256   {status.file.sha256}")
            click.echo(f"  found    {status.path}, verified" if status.path else "  MISSING")
    problems = [status.problem for status in statuses if status.problem]
    if problems:
        raise DataFileError("\n".join(problems))
