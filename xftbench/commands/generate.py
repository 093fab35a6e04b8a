"""``xftbench generate``: completions only."""

from typing import Any

import click
import msgspec

from xftbench.commands.models import ModelsRequest, plan_models, warn_of_cut_replies
from xftbench.commands.options import (
    SpreadCommand,
    cache_option,
    generation_options,
    json_option,
    suite_options,
    suite_request,
)
from xftbench.commands.progress import ProgressView
from xftbench.pipeline import generate


@click.command(cls=SpreadCommand)
@generation_options
@suite_options
@cache_option
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Generate completions and execute nothing, for example where no sandbox may be used.

    `xftbench run` with the same options judges them; so does `xftbench score` with their samples.jsonl.
    """
    _, models = plan_models(ModelsRequest(suites=suite_request(options), **options))
    made = []
    for model in models:
        with model.loader:
            for run in model.runs:
                with run.open() as run_dir, ProgressView(run.label) as view:
                    generate(run.source, run_dir, view)
                made.append(
                    {
                        "name": run.checkpoint.name,
                        "suite": run.suite.name,
                        "run_dir": str(run.path),
                        "n_samples": len(run_dir.samples),
                    }
                )
                warn_of_cut_replies(run.label, run_dir)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(made), indent=2))
    else:
        for entry in made:
            click.echo(
                f"{entry['name']}: {entry['n_samples']} samples of {entry['suite']} in "
                f"{entry['run_dir']}/samples.jsonl"
            )
