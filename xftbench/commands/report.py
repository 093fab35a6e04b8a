"""``xftbench report``: one HTML file with leaderboard, differences, programs, costs and provenance."""

import logging
from pathlib import Path
from typing import Any

import click

from xft.commands.parameters import Number
from xftbench.commands.options import DIRECTORY, FILE, allow_option, data_dir_for
from xftbench.errors import StoreError

_logger = logging.getLogger(__name__)


@click.command
@click.argument("paths", metavar="RUNS...", nargs=-1, required=True, type=DIRECTORY)
@click.option(
    "--out", type=FILE, default="report.html", show_default=True,
    help="The page: one file that needs no network.",
)  # fmt: skip
@click.option(
    "--baseline", metavar="NAME", help="Model that the others are compared with.  [default: the first]"
)
@click.option("--plots", type=DIRECTORY, help="Also write every figure to this folder, as SVG and PNG.")
@click.option(
    "--published",
    "published_dir",
    type=DIRECTORY,
    help="Add published numbers of a folder (leaderboards/published).",
)
@click.option("--title", default="Code model report", show_default=True)
@data_dir_for("Folder with benchmark files, for the problems' texts and tags.")
@click.option(
    "--training-data", multiple=True, metavar="DATA",
    help="Look for problems in this data (as xft train takes it) instead of that of the lineages.",
)  # fmt: skip
@click.option(
    "--max-mb", type=Number(min=0.1), default=13.0, show_default=True,
    help="Programs in the page, packed; above it, fewer samples of each problem are kept.",
)  # fmt: skip
@allow_option
def command(paths: tuple[Path, ...], **options: Any) -> None:
    """Write a page about complete runs: run directories, or folders that hold some."""
    from xftbench.commands.report_content import ReportOptions, build
    from xftbench.report.page import figures, render
    from xftbench.report.plots import save

    out, plots = options.pop("out"), options.pop("plots")
    content = build(paths, ReportOptions(**options))
    page = render(content).encode("utf-8", "backslashreplace")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(page)
        if plots:
            written = [path for one in figures(content) for path in save(one.figure, plots, one.name)]
            _logger.info("%d files in %s", len(written), plots)
    except OSError as error:
        raise StoreError(f"can't write {error.filename}: {error.strerror}") from error
    click.echo(f"{out} ({len(page) / 1e6:.1f} MB)")
