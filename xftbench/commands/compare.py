"""``xftbench compare``: is the difference between stored runs real?"""

from pathlib import Path
from typing import Any

import click
import msgspec

from xftbench.commands.options import allow_option, json_option, runs_option, statistics_options


@click.command
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL ...")
@click.option("--baseline", metavar="MODEL", help="What the others are compared with.  [default: the first]")
@click.option(
    "--check",
    type=click.Choice(["score", "base", "plus", "strict"]),
    default="score",
    show_default=True,
    help="Compare by another of a suite's rules.",
)
@statistics_options
@allow_option
@runs_option
@json_option
def command(models: tuple[str, ...], baseline: str | None, runs: Path, as_json: bool, **options: Any) -> None:
    """Compare models problem by problem, and say which differences are real.

    A MODEL is a run directory, a folder of run directories, a baseline file, or the NAME of a model in RUNS.
    Runs of several suites are paired by suite. docs/comparing.md explains every word that is printed.

    Ends with 3 if runs differ in more than the model.
    """
    # Not at the top: scipy takes longer to import than everything else here.
    from xftbench.report.comparison import compare, settings_of
    from xftbench.report.comparison_text import render
    from xftbench.store.noise import read_certificates
    from xftbench.store.results import find_models

    certificates = read_certificates(runs / "noise")
    comparison = compare(find_models(models, runs), baseline, settings_of(**options), certificates)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode())
    else:
        click.echo(render(comparison))
