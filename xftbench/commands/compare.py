"""``xftbench compare``: is the difference between stored runs real?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from xftbench.commands.options import (
    allow_option,
    data_dir_option,
    json_option,
    runs_option,
    statistics_options,
)
from xftbench.commands.tags import tags_reader
from xftbench.errors import UsageProblem
from xftbench.records import VERDICTS

if TYPE_CHECKING:
    from xftbench.report.diff import Filters


@click.command
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL ...")
@click.option("--baseline", metavar="MODEL", help="What the others are compared with.  [default: the first]")
@click.option(
    "--check",
    type=click.Choice(["score", "base", "plus", "strict"]),
    default="score",
    show_default=True,
    help="Compare by another of a suite's rules; plus: the added inputs alone.",
)
@click.option("--diff", is_flag=True, help="Show gained and lost problems, the programs side by side.")
@click.option("--task", "tasks", multiple=True, metavar="TASK_ID", help="With --diff: only this problem.")
@click.option("--suite", "suites", multiple=True, help="With --diff: only this suite.")
@click.option("--tag", "tags", multiple=True, metavar="TAG=VALUE", help="With --diff: such as language=rs.")
@click.option(
    "--verdict",
    "verdicts",
    multiple=True,
    type=click.Choice(VERDICTS),
    help="With --diff: of the side that fails.",
)
@click.option("--change", type=click.Choice(["gained", "lost"]), help="With --diff: only these.")
@data_dir_option
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
    from xftbench.store.results import find_models, noise_folders

    filters = _filters(options)
    data_dir = options.pop("data_dir")
    found = find_models(models, runs)
    certificates = read_certificates(*noise_folders(found, runs))
    comparison = compare(found, baseline, settings_of(**options), certificates)
    if filters is not None:
        from xftbench.report import diff

        diffs = list(diff.problem_diffs(comparison.pairs, found, filters, tags_reader(data_dir)))
        click.echo(_json(diffs) if as_json else diff.render(diffs))
        return
    if as_json:
        click.echo(_json(comparison))
    else:
        click.echo(render(comparison))


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _filters(options: dict[str, Any]) -> "Filters | None":
    """Take what concerns the diff out of the options; None if none was asked for.

    Raises:
        UsageProblem: If a filter is malformed, or there is one without --diff.
    """
    from xftbench.report.diff import Filters

    tags = options.pop("tags")
    if wrong := [tag for tag in tags if not all(tag.partition("="))]:
        raise UsageProblem(f"--tag {wrong[0]!r}: expected TAG=VALUE", hint="for example --tag language=rs")
    filters = Filters(
        task_ids=options.pop("tasks"),
        suites=options.pop("suites"),
        tags=tuple((name, value) for name, _, value in (tag.partition("=") for tag in tags)),
        verdicts=options.pop("verdicts"),
        change=options.pop("change"),
    )
    if options.pop("diff"):
        return filters
    if filters != Filters():
        raise UsageProblem("--task, --suite, --tag, --verdict and --change choose what --diff shows")
    return None
