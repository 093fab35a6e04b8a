"""Options that several commands share, and progress on stderr."""

import contextlib
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Never, TypeVar, get_args

import click
from click.core import ParameterSource

from xft.checkpoint import OnBytes, Writing
from xft.commands.parameters import SEED, NamedPath, Number
from xft.data import Style

Function = TypeVar("Function", bound=Callable[..., Any])
DIRECTORY = NamedPath(path_type=Path)
STYLES = click.Choice(get_args(Style))


def was_given(name: str) -> bool:
    """Whether an option of the command under way was typed, and is not its default."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def writing_options(function: Function) -> Function:
    """Add the options of everything that writes a checkpoint."""
    size = Number(min=0, min_open=True)
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
    for add in (
        option(
            "--reference", is_flag=True,
            help="As the released code: Adafactor, bf16 weights, no clipping; options given beside it win.",
        ),
        option(
            "--checkpoint-minutes", type=Number(0, min_open=True), default=10.0,
            help="How often the state is kept.",
        ),
        option("--seed", type=SEED, default=42, help="Seed of order and noise."),
        option("--ewa", type=Number(), help="Share rate of experts' weight averaging; for an MoE."),
        option("--compile", is_flag=True, help="Use torch.compile: pays on GPUs."),
        option("--checkpoint-activations", is_flag=True, help="Recompute instead of storing."),
        option(
            "--compute", type=click.Choice(["auto", "bf16", "fp32", "pure-bf16"]), default="auto",
            help="Arithmetic on fp32 weights, or pure-bf16 weights. auto: bf16 where the device has it.",
        ),
        option("--packing/--no-packing", default=False, help="Fill sequences with several rows."),
        option("--style", type=STYLES, default="magicoder", help="Wording of a prompt."),
        option("--max-tokens", type=int, default=1024, help="Longer rows are left out."),
        option("--clip", type=Number(), default=1.0, help="Largest gradient norm; 0 does not clip."),
        option("--warmup", type=Number(), default=0.07, help="Share of the steps."),
        option("--schedule", type=click.Choice(["linear", "cosine"]), default="linear", help="Of the rate."),
        option("--lr", type=Number(), default=5e-5, help="Peak learning rate."),
        option("--optimizer", type=click.Choice(["adamw", "adafactor"]), default="adamw", help="Optimiser."),
        option("--accumulate", type=int, default=1, help="Passes per step."),
        option("--batch-size", type=int, default=8, help="Sequences per pass."),
        option("--steps", type=int, default=None, help="Optimiser steps, instead of epochs."),
        option("--epochs", type=Number(), default=1.0, help="Passes over the data."),
        option("--data", required=True, help="JSON Lines file, hub data set (org/name[:split]), or stdlib."),
    ):  # fmt: skip
        function = add(function)
    return writing_options(function)


def run_training(source: Path, data: str, out: Path, options: dict[str, Any]) -> None:
    """Train, with progress on stderr, and say what became of the rows."""
    from xft.training import REFERENCE, TrainOptions, train

    if options["reference"]:
        options |= {name: value for name, value in REFERENCE.items() if not was_given(name)}
    chosen = TrainOptions(**{field.name: options[field.name] for field in dataclasses.fields(TrainOptions)})
    minutes = options["checkpoint_minutes"]
    with training_progress() as on_step:
        rows = train(
            source, data, out, chosen, writing=writing(options), checkpoint_minutes=minutes, on_step=on_step
        )
    if os.environ.get("RANK", "0") == "0":  # the first of several processes speaks
        click.echo(f"{out}: tuned on {rows}")


@contextlib.contextmanager
def training_progress() -> Iterator[Callable[[Any], None]]:
    """Give a callback for step reports: a bar on a terminal, lines now and then elsewhere."""
    if not sys.stderr.isatty():
        from xft.training import step_lines

        yield step_lines(10, lambda line: click.echo(line, err=True))
        return
    from tqdm import tqdm

    bar: tqdm[Never]
    with tqdm((), unit="step", dynamic_ncols=True, file=sys.stderr) as bar:

        def show(report: Any) -> None:
            bar.total, bar.n = report.n_steps, report.step
            bar.set_postfix_str(str(report).partition(": ")[2], refresh=True)

        yield show
