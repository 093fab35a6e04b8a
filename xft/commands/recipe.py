"""``xft recipe``."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from xft.commands.options import DIRECTORY, training_progress, writing
from xft.commands.parameters import Number
from xft.recipe import read_recipe
from xft.stages import Stage, Workshop


class _Progress:
    """Progress on stderr."""

    def training(self) -> AbstractContextManager[Any]:
        return training_progress()

    def mixing(self, step: int, n_steps: int, loss: float) -> None:
        from xft.commands.learn_mixing import show_step

        show_step(step, n_steps, loss)


@click.command("recipe")
@click.argument("recipe")
@click.option(
    "-o", "--out", type=DIRECTORY, help="Directory of everything that is made.  [default: RECIPE's name]"
)
@click.option("--dry-run", is_flag=True, help="Only say what is done and what would be made.")
@click.option("--overwrite", is_flag=True, help="Make again what was made otherwise, and all that follows.")
@click.option("--shard-gb", type=Number(min=0, min_open=True), default=5.0, show_default=True,
              help="Largest shard, in GB.")  # fmt: skip
@click.option("--full-hash", is_flag=True, help="Hash every byte of the sources for the lineage.")
def command(recipe: str, out: Path | None, dry_run: bool, **options: Any) -> None:
    """Run the whole line: base → SFT, and base → MoE → tuned MoE → mixing → merged dense model.

    RECIPE is a TOML file, or the name of one that comes with xft (smollm2). What is there already is kept;
    after an interruption, the same command goes on where it stopped.
    """
    chosen = read_recipe(recipe)
    from xft.line import Line  # it imports torch

    target = out or Path("checkpoints") / Path(recipe).stem
    line = Line(chosen, target, writing(options), _Progress())
    stages = line.stages()
    workshop = Workshop(target)
    try:
        todo = workshop.missing(stages)
        if dry_run:
            for stage in stages:
                click.echo(f"{'to make' if stage in todo else 'done':8}{stage.name:14} {stage.about}")
            return
        if not options["overwrite"]:
            workshop.refuse_foreign(todo)
        for number, stage in enumerate(stages, start=1):
            where = f"{number}/{len(stages)}"
            _bring(stage, workshop, where, is_missing=stage in todo, replace=options["overwrite"])
    finally:
        workshop.close()
    _summarise(line.checkpoints(stages), chosen.data.style)


def _bring(stage: Stage, workshop: Workshop, where: str, *, is_missing: bool, replace: bool) -> None:
    if not is_missing:
        workshop.tidy(stage)
        click.echo(f"== {where} {stage.name}: done", err=True)
        return
    click.echo(f"== {where} {stage.name}: {stage.about}", err=True)
    made = workshop.make(stage, replace)
    click.echo(f"   {made.result} ({made.seconds} s)", err=True)


def _summarise(checkpoints: dict[str, Path], style: str) -> None:
    for name, path in checkpoints.items():
        click.echo(f"{name:14} {path}")
    models = " ".join(f"{name}={path}" for name, path in checkpoints.items())
    asked = f" --style {style}" if style in {"chat", "magicoder"} else ""
    click.echo(f"\ncompare them:  xftbench run --models {models}{asked}", err=True)
