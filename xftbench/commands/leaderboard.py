"""``xftbench leaderboard``: tables from complete runs."""

import logging
from pathlib import Path

import click

from xftbench.commands.options import json_option, leaderboards_option
from xftbench.errors import StoreError

_logger = logging.getLogger(__name__)


@click.command
@click.option(
    "--runs",
    type=click.Path(file_okay=False, path_type=Path),
    default="runs",
    show_default=True,
    help="Folder whose run directories are put into the tables.",
)
@leaderboards_option
@json_option
def command(runs: Path, leaderboards: Path, as_json: bool) -> None:
    """Build the tables from every complete run.

    Runs that can't be compared (another prompt style, decoding, data version, limit or engine) are put
    into tables of their own.
    """
    from xftbench.report import leaderboard

    found = leaderboard.find_runs(runs)
    if not found:
        raise StoreError(
            f"no run directory in {runs}", hint="xftbench run makes them; --runs names the folder"
        )
    frame = leaderboard.build(found)
    if frame.empty:
        raise StoreError(
            f"none of the {len(found)} runs in {runs} is complete",
            hint="give the xftbench run command again; it goes on where it stopped",
        )
    paths = leaderboard.write(frame, leaderboards)
    _logger.info("tables: %s", ", ".join(str(path) for path in paths))
    click.echo(leaderboard.as_json(frame) if as_json else leaderboard.markdown(frame))
