"""``xft upcycle``."""

import dataclasses
from pathlib import Path
from typing import Any

import click

from xft.commands.options import DIRECTORY, writing, writing_options
from xft.commands.parameters import SEED, Number
from xft.config import MoeConfig
from xft.errors import ParityError
from xft.upcycle import upcycle


@click.command("upcycle")
@click.argument("dense", type=DIRECTORY)
@click.option(
    "--experts",
    "num_experts",
    type=int,
    default=8,
    show_default=True,
    help="Experts per layer, the shared one included.",
)
@click.option(
    "--top-k", type=int, default=6, show_default=True, help="Experts per token, the shared one included."
)
@click.option(
    "--routing",
    type=click.Choice(["xft", "xft_unnormalized", "topk", "random"]),
    default="xft",
    show_default=True,
    help="xft: shared expert, normalised; xft_unnormalized: the ablation; topk: vanilla upcycling; "
    "random: for train --ewa.",
)
@click.option(
    "--router",
    type=click.Choice(["mlp", "linear"]),
    default="mlp",
    show_default=True,
    help="Kind of the router.",
)
@click.option(
    "--router-std",
    "init_std",
    type=Number(),
    default=None,
    help="Standard deviation of the new router weights.  [default: the base's initializer_range]",
)
@click.option(
    "--balance",
    "balance_coef",
    type=Number(),
    default=0.01,
    show_default=True,
    help="Weight of the balance loss.",
)
@click.option(
    "--noise-eps", type=Number(), default=0.01, show_default=True, help="Floor of the routing noise."
)
@click.option(
    "--reference",
    is_flag=True,
    help="Reproduce the released code: RoPE base, is_in test, padding in the balance loss, noise.",
)
@click.option("--seed", type=SEED, default=42, show_default=True, help="Seed of the router weights.")
@click.option("--verify", is_flag=True, help="Load both models in fp32 and print the largest difference.")
@writing_options
def command(dense: Path, out: Path, seed: int, verify: bool, **options: Any) -> None:
    """Make an MoE whose experts are copies of a dense model's MLPs.

    DENSE is a checkpoint directory of any decoder of transformers. No tensor is loaded: the bytes are
    copied from file to file.
    """
    moe = MoeConfig(**{field.name: options[field.name] for field in dataclasses.fields(MoeConfig)})
    layout = upcycle(dense, out, moe, seed=seed, writing=writing(options))
    click.echo(f"{out}: {layout.n_layers} layers, {moe.num_experts} experts, top-{moe.top_k}, {moe.routing}")
    if verify:
        _verify(dense, out, moe)


def _verify(dense: Path, out: Path, moe: MoeConfig) -> None:
    from xft.verify import verify_upcycled

    difference = verify_upcycled(dense, out)
    click.echo(f"largest logit difference to the dense model: {difference}")
    if moe.routing == "xft_unnormalized":
        click.echo("unnormalised weights don't sum to 1, so a difference is expected")
    elif moe.reference:
        click.echo("the released code changes the RoPE base to 10000; a model with another base differs")
    elif not difference.is_within:
        raise ParityError("the upcycled model does not compute what the dense one does")
