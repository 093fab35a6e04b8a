"""``xftbench generate``: completions only."""

import logging
from typing import Any

import click

from xftbench.commands.models import ModelsRequest, plan_runs
from xftbench.commands.options import SpreadCommand, generation_options, json_option, suite_options
from xftbench.commands.progress import ProgressView
from xftbench.commands.run import sampling_of
from xftbench.pipeline import generate

_logger = logging.getLogger(__name__)


@click.command(cls=SpreadCommand)
@generation_options
@suite_options
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Generate completions and execute nothing, for example where no sandbox may be used.

    `xftbench run` with the same options judges them; so does `xftbench score` with their samples.jsonl.
    """
    request = ModelsRequest(sampling=sampling_of(options), isolation="namespaces", **options)
    _, runs = plan_runs(request)
    made = []
    for run in runs:
        with run.open() as run_dir, ProgressView(run.checkpoint.name) as view:
            generate(run.source, run_dir, view)
            made.append(
                {"name": run.checkpoint.name, "run_dir": str(run.path), "n_samples": len(run_dir.samples)}
            )
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(made), indent=2))
    else:
        for entry in made:
            click.echo(f"{entry['name']}: {entry['n_samples']} samples in {entry['run_dir']}/samples.jsonl")
