"""``xftbench leaderboard``: tables from complete runs."""

import logging
from pathlib import Path
from typing import Any

import click

from xft.commands.parameters import Number
from xftbench.commands.options import DIRECTORY, allow_option, json_option, leaderboards_option
from xftbench.errors import StoreError

_logger = logging.getLogger(__name__)
_FORMATS = ["markdown", "csv", "json", "latex", "model-index"]


@click.command
@click.argument("paths", metavar="[RUNS]...", nargs=-1, type=DIRECTORY)
@click.option(
    "--runs",
    type=DIRECTORY,
    default="runs",
    show_default=True,
    help="Folder whose run directories are put into the tables, if none are named.",
)
@click.option(
    "--baseline", metavar="NAME", help="Model that the others are compared with, paired by problem."
)
@click.option(
    "--format", "format_name", type=click.Choice(_FORMATS), default="markdown", show_default=True,
    help="What is printed; files in every format are written in any case.",
)  # fmt: skip
@click.option(
    "--published", type=DIRECTORY, metavar="DIRECTORY",
    help="Add the published numbers of a folder (leaderboards/published), in a section of their own.",
)  # fmt: skip
@click.option("--money-per-hour", type=Number(min=0), help="Price of the machine: adds money/solved.")
@allow_option
@leaderboards_option
@json_option
def command(paths: tuple[Path, ...], runs: Path, leaderboards: Path, as_json: bool, **options: Any) -> None:
    """Build the tables from every complete run, or from those that are named.

    Runs that can't be compared (another prompt style, decoding, data version, limit or engine) are put
    into tables of their own; with --allow they share one, which then says so.
    """
    from xftbench.report import formats, leaderboard, published
    from xftbench.report.runs import expand, find_baseline, read_runs
    from xftbench.store.comparable import check_allowed

    found = expand(paths or [runs])
    check_allowed(options["allow"])
    complete = read_runs(found, options["allow"])
    if not complete:
        raise StoreError(
            f"none of the {len(found)} runs in {', '.join(map(str, paths or [runs]))} is complete",
            hint="give the commands that made them again; they go on where they stopped",
        )
    baseline = options["baseline"]
    if baseline is not None:
        find_baseline(complete, baseline)
    others = published.read(options["published"]) if options["published"] else None
    frame = leaderboard.from_runs(complete, baseline, options["money_per_hour"])
    written = leaderboard.write(frame, leaderboards)
    _logger.info("tables: %s", ", ".join(str(path) for path in written))
    name = "json" if as_json else options["format_name"]
    click.echo(formats.FORMATS[name](frame).decode().rstrip("\n"))
    if name == "markdown":
        _echo_more(leaderboard.averages(complete), others, sorted(set(frame["suite"])))


def _echo_more(averages: Any, others: Any, suites: list[str]) -> None:
    """Print averages and published numbers below the tables, each under its name."""
    from xftbench.report import published
    from xftbench.report.formats import markdown_table, percent

    if not averages.empty:
        shown = averages.assign(**{name: averages[name].map(percent) for name in ("macro", "weighted")})
        click.echo("\nAverages of pass@1: macro gives each part the same weight, weighted each problem\n")
        click.echo(markdown_table(shown))
    if others is not None and (text := published.markdown(published.relevant(others, suites))):
        click.echo("\n" + text)
