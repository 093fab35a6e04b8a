"""``xftbench contamination``: scores on the problems that tuning data gives away, and on the others."""

from dataclasses import replace
from pathlib import Path

import click

from xftbench.commands.options import DIRECTORY, data_dir_option, json_option


@click.command
@click.argument("paths", metavar="RUNS...", nargs=-1, required=True, type=DIRECTORY)
@click.option(
    "--training-data", multiple=True, metavar="DATA",
    help="Look for problems in this data (as xft train takes it) instead of that of the lineages.",
)  # fmt: skip
@data_dir_option
@json_option
def command(
    paths: tuple[Path, ...], training_data: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> None:
    """Score complete runs on the problems that overlap with tuning data, and on the others.

    The data is what each checkpoint's lineage names. What can't be found is said to be unknown, never clean.
    """
    from xftbench.commands.report_content import problems_of
    from xftbench.report.contamination import frame, text
    from xftbench.report.runs import expand, into_tables, read_runs

    tables = [
        replace(table, problems=problems_of(table, data_dir))
        for table in into_tables(read_runs(expand(paths)))
    ]
    found = frame(tables, training_data)
    if as_json:
        click.echo(found.to_json(orient="records", indent=2))
    else:
        click.echo(text(tables, found))
