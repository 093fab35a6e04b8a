"""``xft sft``."""

from pathlib import Path
from typing import Any

import click

from xft.checkpoint import open_checkpoint
from xft.commands.options import DIRECTORY, run_training, training_options


@click.command("sft")
@click.argument("dense", type=DIRECTORY)
@training_options
def command(dense: Path, data: str, out: Path, **options: Any) -> None:
    """Tune a dense model on instructions: what a merged MoE has to beat.

    fp32 master weights; the result is written in the dtype of the source. An interrupted run goes on when
    the same command is given again. Several processes: accelerate launch -m xft sft ...
    """
    open_checkpoint(dense).require_dense("xft sft")
    run_training(dense, data, out, options)
