"""``xftbench moe-report``: which experts wrote the replies of a run."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from xftbench.commands.options import (
    DIRECTORY,
    SpreadCommand,
    data_dir_option,
    json_option,
    parse_models,
)
from xftbench.errors import StoreError, UsageProblem
from xftbench.places import own_cache

_logger = logging.getLogger(__name__)


@click.command(cls=SpreadCommand)
@click.argument("paths", metavar="RUNS...", nargs=-1, required=True, type=DIRECTORY)
@click.option(
    "--models", multiple=True, metavar="NAME=REF [NAME=REF ...]",
    help="Where the mixtures are now.  [default: where their runs found them]",
)  # fmt: skip
@click.option(
    "--per-problem", type=click.IntRange(min=1), default=4, show_default=True,
    help="Replies of each problem that are looked at.",
)  # fmt: skip
@click.option("--dtype", default="auto", show_default=True, help="Precision of the weights.")
@data_dir_option
@json_option
def command(paths: tuple[Path, ...], models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show load, entropy, dead experts and shared weight of the mixtures in some runs.

    Each stored reply is passed through its checkpoint once with transformers, whatever engine made it, and
    what the routers did is kept in the run's routing.jsonl. An interrupted command goes on where it stopped;
    xftbench report then shows the routing, too.
    """
    from xftbench.commands.report_content import problems_of
    from xftbench.report.formats import markdown_table
    from xftbench.report.routing import by_part, frame, summary
    from xftbench.report.runs import expand, into_tables, read_runs

    elsewhere = dict(parse_models(list(models)))
    tables = [
        replace(table, problems=problems_of(table, options["data_dir"]))
        for table in into_tables(read_runs(expand(paths)))
    ]
    mixtures = [(table, run) for table in tables for run in table.runs if is_mixture(run)]
    if not mixtures:
        raise UsageProblem(
            f"none of the runs in {', '.join(map(str, paths))} is of a mixture of experts",
            hint="moe-report is for checkpoints of xft upcycle and xft train",
        )
    found: dict[str, Any] = {}
    suites = [table.suite for table in tables]
    for table, run in mixtures:
        ref = elsewhere.get(run.name, run.spec_file.environment.ref)
        collect(run, table.problems, ref, dtype=options["dtype"], per_problem=options["per_problem"])
        # A suite that was run in several ways has several tables, with the same models.
        where = table.suite if suites.count(table.suite) == 1 else table.label
        found[f"{run.name} on {where}"] = by_part(table, run)
    if as_json:
        import json

        rows = {name: json.loads(frame(parts).to_json(orient="records")) for name, parts in found.items()}
        click.echo(json.dumps(rows, indent=2))
        return
    texts = [f"{name}\n\n{markdown_table(summary(parts))}" for name, parts in found.items()]
    click.echo("\n\n".join(texts))


def is_mixture(run: Any) -> bool:
    """Whether a run is of a checkpoint in which not every parameter takes part in each token."""
    environment = run.spec_file.environment
    facts = environment.model
    return environment.kind == "moe" or (facts is not None and facts.n_active_parameters < facts.n_parameters)


def collect(run: Any, problems: Mapping[str, Any], ref: str, *, dtype: str, per_problem: int) -> None:
    """Bring a run's routing.jsonl to its end from wherever it stands.

    Raises:
        StoreError: If the checkpoint or the prompts are not those of the run, or its samples are gone.
    """
    from xftbench.generation.checkpoints import resolve
    from xftbench.generation.options import BackendOptions
    from xftbench.generation.routing import Reply, watch
    from xftbench.records import SampleRouting
    from xftbench.store.append_log import AppendLog
    from xftbench.store.routing import ROUTING_FILE

    wanted = [sample for sample in run.samples.values() if sample.completion is not None]
    wanted = _at_most(wanted, per_problem)
    log = AppendLog(run.path / ROUTING_FILE, SampleRouting)
    try:
        missing = [sample for sample in wanted if sample.key not in log.records]
        if not missing:
            return
        checkpoint = resolve(run.name, ref, cache_dir=own_cache())
        if checkpoint.sha256 != run.spec.generation.checkpoint_sha256:
            raise StoreError(
                f"{ref} is not the checkpoint of {run.path}: its hash is {checkpoint.sha256[:12]}, expected "
                f"{run.spec.generation.checkpoint_sha256[:12]}",
                hint=f"name the right one with --models {run.name}=DIRECTORY",
            )
        prompts = prompts_of(run, problems)
        replies = [Reply(prompts[sample.task_id], sample) for sample in missing]
        _logger.info("%s: looking at %d replies of %s", run.name, len(replies), run.path)
        for number, record in enumerate(watch(checkpoint, BackendOptions(dtype=dtype), replies), start=1):
            log.append(record)
            if number % 100 == 0:
                _logger.info("%s: %d of %d", run.name, number, len(replies))
    finally:
        log.close()


def _at_most(samples: Sequence[Any], per_problem: int) -> list[Any]:
    return [sample for sample in samples if sample.sample_index < per_problem]


def prompts_of(run: Any, problems: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the prompts that a run's model was given.

    Raises:
        StoreError: If they can't be worded as they were: other data, or another version of the style.
    """
    from xftbench.hashing import sha256_record
    from xftbench.prompts.render import find_style, render_all

    asked = {sample.task_id for sample in run.samples.values()}
    chosen = [problem for task_id, problem in problems.items() if task_id in asked]
    family = run.spec.scoring.suite.partition(":")[0]
    prompts = render_all(chosen, find_style(family, run.spec.generation.style)) if chosen else ()
    if sha256_record(prompts) != run.spec.generation.prompts_sha256:
        raise StoreError(
            f"the prompts of {run.path} can't be worded again: the benchmark's data or its style differ",
            hint="name the data with --data-dir; use the xftbench that made the run",
        )
    return {prompt.task_id: prompt for prompt in prompts}
