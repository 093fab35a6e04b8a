"""``xft inspect``."""

from pathlib import Path
from typing import Any

import click
import msgspec

from xft.commands.options import DIRECTORY
from xft.inspection import inspect_checkpoint


@click.command("inspect")
@click.argument("checkpoint", type=DIRECTORY)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--experts", is_flag=True, help="An MoE: how far its experts are from each other (reads them all)."
)
@click.option("--full-hash", is_flag=True, help="Hash every byte, instead of a sample of each tensor.")
def command(checkpoint: Path, as_json: bool, experts: bool, full_hash: bool) -> None:
    """Say what a checkpoint is, and where it comes from."""
    found = inspect_checkpoint(checkpoint, with_experts=experts, full_hash=full_hash)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for key, value in found.items():
        click.echo(f"{key + ':':20}{_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "".join(f"\n  {item}" for item in value) if value else "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return "none" if value is None else str(value)
