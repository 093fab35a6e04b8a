"""``xft train``."""

from pathlib import Path
from typing import Any

import click

from xft.checkpoint import open_checkpoint
from xft.commands.options import DIRECTORY, run_training, training_options


@click.command("train")
@click.argument("moe", type=DIRECTORY)
@training_options
def command(moe: Path, data: str, out: Path, **options: Any) -> None:
    """Tune an MoE on instructions, balance loss included.

    fp32 master weights; the result is written in the dtype of the source. An interrupted run goes on when
    the same command is given again. Several processes: accelerate launch -m xft train ...
    """
    open_checkpoint(moe).require_moe("xft train")
    run_training(moe, data, out, options)
