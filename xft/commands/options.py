"""Options that several commands share, and progress on stderr."""

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
