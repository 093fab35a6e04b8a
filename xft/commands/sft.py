"""``xft sft``."""

from pathlib import Path
from typing import Any

import click

from xft.checkpoint import open_checkpoint
from xft.commands.options import DIRECTORY, run_training, training_options


@click.command("sft")
@click.argument("dense", type=DIRECTORY)
@training_options
def command(dense: Path, data: Path, out: Path, **options: Any) -> None:
    """Tune a dense model on instructions: what a merged MoE has to beat.

    One process, fp32 master weights; the result is written in the dtype of the source.
    """
    open_checkpoint(dense).require_dense("xft sft")
    run_training(dense, data, out, options)
