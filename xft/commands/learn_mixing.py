"""``xft learn-mixing``."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from xft.checkpoint import open_checkpoint
from xft.coefficients import MIXING_FILE
from xft.commands.options import DIRECTORY, STYLES, was_given
from xft.commands.parameters import SEED, Number
from xft.output import check_file_target, write_text_atomically


@click.command("learn-mixing")
@click.argument("moe", type=DIRECTORY)
@click.option("--data", required=True, help="JSON Lines file, hub data set (org/name[:split]), or stdlib.")
@click.option("--held-out-data", help="Rows that only measure.  [default: a share of --data]")
@click.option("-o", "--out", type=DIRECTORY, help="File of the coefficients.  [default: in the MoE]")
@click.option("--steps", type=int, default=200, show_default=True, help="Optimiser steps.")
@click.option("--epochs", type=Number(), help="Passes over the data, instead of steps.")
@click.option("--batch-size", type=int, default=8, show_default=True, help="Rows per step.")
@click.option("--lr", type=Number(), default=0.05, show_default=True, help="Peak learning rate.")
@click.option("--shared-weight", type=float, default=0.75, show_default=True, help="λ, 0 to 1.")
@click.option(
    "--per",
    type=click.Choice(["layer", "matrix"]),
    default="layer",
    show_default=True,
    help="What has coefficients of its own.",
)
@click.option("--learn-shared", is_flag=True, help="Learn λ too (an ablation).")
@click.option("--max-tokens", type=int, default=1024, show_default=True, help="Longer rows are left out.")
@click.option(
    "--held-out", type=Number(), default=0.1, show_default=True, help="Share of rows that only measure."
)
@click.option(
    "--style",
    type=STYLES,
    default="magicoder",
    show_default=True,
    help="How an instruction is worded.",
)
@click.option("--reference", is_flag=True, help="The released learning rate, at which shares hardly move.")
@click.option("--seed", type=SEED, default=42, show_default=True, help="Seed of split and order.")
def command(
    moe: Path,
    data: str,
    held_out_data: str | None,
    out: Path | None,
    style: str,
    reference: bool,
    **options: Any,
) -> None:
    """Learn how much of each expert goes into the merged model.

    Prints, per layer, how far the shares moved from equal ones, and whether they beat those on rows that
    were held out. An interrupted run goes on when the same command is given again.
    """
    open_checkpoint(moe).require_moe("learning its mixing")
    target = out or moe / MIXING_FILE
    check_file_target(target)
    from xft.learn import REFERENCE_LR, Kept, LearnOptions, learn_mixing
    from xft.mixing import to_record

    if reference and not was_given("lr"):
        options["lr"] = REFERENCE_LR
    chosen = LearnOptions(**{field.name: options[field.name] for field in dataclasses.fields(LearnOptions)})
    state = target.with_name(f".{target.name}.state")
    mixed, report = learn_mixing(
        moe, data, chosen, style, held_out_data=held_out_data, state=Kept(state), on_step=show_step
    )
    write_text_atomically(
        target, msgspec.json.format(msgspec.json.encode(to_record(mixed, report.cost)), indent=2).decode()
    )
    state.unlink(missing_ok=True)
    click.echo(f"{target}: learned on {report.rows}, {report.tokens_per_s:.0f} tokens/s")
    for index, row in enumerate(report.layers):
        click.echo(
            f"layer {index}: shares moved by up to {row['largest_change']:.1%}, entropy {row['entropy']:.3f}"
        )
    click.echo(report.verdict())


def show_step(step: int, n_steps: int, loss: float) -> None:
    """Show progress on stderr: each step on a terminal, a line now and then elsewhere."""
    if sys.stderr.isatty():
        click.echo(f"\rstep {step}/{n_steps}: loss {loss:.4f}", err=True, nl=step == n_steps)
    elif step % 50 == 0 or step in {1, n_steps}:
        click.echo(f"step {step}/{n_steps}: loss {loss:.4f}", err=True)
