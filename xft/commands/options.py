"""Options that several commands share, and progress on stderr."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from xft.checkpoint import OnBytes, Writing

Function = TypeVar("Function", bound=Callable[..., Any])
DIRECTORY = click.Path(path_type=Path)


def writing_options(function: Function) -> Function:
    """Add the options of everything that writes a checkpoint."""
    size = click.FloatRange(min=0, min_open=True)
    for option in (
        click.option("--full-hash", is_flag=True, help="Hash every byte of the sources for the lineage."),
        click.option("--shard-gb", type=size, default=5.0, show_default=True, help="Largest shard, in GB."),
        click.option(
            "--overwrite", is_flag=True, help="Replace an existing target, once the new one is whole."
        ),
        click.option("-o", "--out", required=True, type=DIRECTORY, help="The new checkpoint directory."),
    ):
        function = option(function)
    return function


def writing(options: dict[str, Any]) -> Writing:
    """Build the record from a command's options."""
    return Writing(
        overwrite=options["overwrite"],
        shard_bytes=int(options["shard_gb"] * 1e9),
        full_hash=options["full_hash"],
        on_bytes=_progress(),
    )


def _progress() -> OnBytes | None:
    """Return a callback that shows progress on a terminal; None elsewhere, where it would fill a log."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        click.echo(f"\r{done / 1e9:.2f} of {total / 1e9:.2f} GB", nl=done == total, err=True)

    return show


def training_options(function: Function) -> Function:
    """Add the options of full fine-tuning."""
    option = functools.partial(click.option, show_default=True)
    styles = click.Choice(["magicoder", "chat", "raw"])
    for add in (
        option("--seed", type=int, default=42, help="Seed of order and noise."),
        option("--checkpoint-activations", is_flag=True, help="Recompute instead of storing."),
        option("--bf16", is_flag=True, help="Compute in bf16; the weights stay fp32."),
        option("--style", type=styles, default="magicoder", help="Wording of a prompt."),
        option("--max-tokens", type=int, default=1024, help="Longer rows are left out."),
        option("--clip", type=float, default=1.0, help="Largest gradient norm; 0 does not clip."),
        option("--warmup", type=float, default=0.07, help="Share of the steps."),
        option("--lr", type=float, default=5e-5, help="Peak learning rate."),
        option("--accumulate", type=int, default=1, help="Passes per step."),
        option("--batch-size", type=int, default=8, help="Rows per pass."),
        option("--steps", type=int, default=None, help="Optimiser steps, instead of epochs."),
        option("--epochs", type=float, default=1.0, help="Passes over the data."),
        option("--data", type=DIRECTORY, required=True, help="JSON Lines of instructions and responses."),
    ):
        function = add(function)
    return writing_options(function)


def run_training(source: Path, data: Path, out: Path, options: dict[str, Any]) -> None:
    """Train, with progress on stderr, and say what became of the rows."""
    from xft.train import TrainOptions, step_lines, train

    chosen = TrainOptions(**{field.name: options[field.name] for field in dataclasses.fields(TrainOptions)})
    on_step = step_lines(10, lambda line: click.echo(line, err=True))
    rows = train(source, data, out, chosen, writing=writing(options), on_step=on_step)
    click.echo(f"{out}: tuned on {rows}")
