"""``xft merge``."""

import json
from pathlib import Path
from typing import Any, cast

import click
from click.core import ParameterSource

from xft.coefficients import Mixing, Rule
from xft.combine import CombineOptions, CombineRule, combine
from xft.commands.options import DIRECTORY, writing, writing_options
from xft.commands.parameters import SEED, Number
from xft.errors import CheckpointError, ParityError, UsageProblem
from xft.merge import MergeOptions, merge

# Rule → the options that it takes, besides those of every rule of its kind.
_MOE_RULES = {
    "learned": {"mixing"},
    "uniform": {"shared_weight"},
    "mean": set(),
    "shared-only": set(),
    "frequency": {"shared_weight", "frequencies"},
}
_DIFFERENCES = {"base", "weights", "scale"}
_DENSE_RULES = {
    "soup": {"weights"},
    "task-arithmetic": _DIFFERENCES,
    "ties": _DIFFERENCES | {"density"},
    "dare": _DIFFERENCES | {"density", "seed"},
    "slerp": {"t"},
}
_DTYPES = {"bf16": "BF16", "fp16": "F16", "fp32": "F32"}


@click.command("merge")
@click.argument("sources", type=DIRECTORY, nargs=-1, required=True)
@click.option(
    "--rule",
    type=click.Choice([*_MOE_RULES, *_DENSE_RULES]),
    default="learned",
    show_default=True,
    help="One MoE: learned, uniform, mean, shared-only, frequency. Dense checkpoints: the others.",
)
@click.option(
    "--mixing", type=DIRECTORY, help="File of learned coefficients.  [default: xft_mixing.json of the MoE]"
)
@click.option(
    "--shared-weight",
    type=float,
    default=0.75,
    show_default=True,
    help="How much of the shared expert (λ, 0 to 1), for uniform and frequency.",
)
@click.option(
    "--frequencies", type=DIRECTORY, help='JSON file with {"counts": [[...] per layer]}, for frequency.'
)
@click.option(
    "--dtype", type=click.Choice(list(_DTYPES)), help="Of the merged checkpoint.  [default: the MoE's]"
)
@click.option("--base", type=DIRECTORY, help="Common ancestor, for task-arithmetic, ties and dare.")
@click.option(
    "--weights", help="One weight per dense checkpoint, with commas; soup: they sum to 1.  [default: equal]"
)
@click.option(
    "--scale", type=Number(), default=1.0, show_default=True, help="How far to go along the differences."
)
@click.option(
    "--density", type=Number(), default=1.0, show_default=True, help="Share of entries ties and dare keep."
)
@click.option(
    "--t", type=Number(), default=0.5, show_default=True, help="slerp: 0 is the first model, 1 the second."
)
@click.option("--seed", type=SEED, default=42, show_default=True, help="Seed of dare.")
@click.option(
    "--verify", is_flag=True, help="One MoE: compare with the mixing model, and print the difference."
)
@writing_options
@click.pass_context
def command(
    context: click.Context, /, sources: tuple[Path, ...], rule: str, out: Path, verify: bool, **options: Any
) -> None:
    """Merge an MoE, or several dense checkpoints, into a dense one.

    The merged checkpoint is an ordinary one of the base architecture. Memory: a few MB for an MoE, a few
    fp32 copies of the largest tensor for dense checkpoints.
    """
    how = writing(options)
    merging = None if rule in _DENSE_RULES else _merging(rule, options)
    _refuse_idle(context, rule)
    if merging is None:
        combine(sources, options["base"], out, _combining(rule, options), how)
        click.echo(f"{out}: {rule} of {len(sources)} checkpoints")
        return
    if len(sources) != 1:
        raise UsageProblem(f"the rule {rule} takes one MoE, got {len(sources)} checkpoints")
    used = merge(sources[0], out, merging, writing=how)
    click.echo(f"{out}: merged by the rule {rule}")
    if verify:
        _verify(sources[0], out, used)


def _refuse_idle(context: click.Context, rule: str) -> None:
    """Refuse an option that was given and that the rule would not look at."""
    takes = _DENSE_RULES.get(rule) or _MOE_RULES[rule] | {"dtype", "verify"}
    for name in {"dtype", "verify"}.union(*_MOE_RULES.values(), *_DENSE_RULES.values()) - takes:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageProblem(f"--{name.replace('_', '-')} doesn't apply to the rule {rule}")


def _combining(rule: str, options: dict[str, Any]) -> CombineOptions:
    return CombineOptions(
        rule=cast(CombineRule, rule),
        weights=_numbers(options["weights"]),
        **{name: options[name] for name in ("scale", "density", "t", "seed")},
    )


def _merging(rule: str, options: dict[str, Any]) -> MergeOptions:
    frequencies, dtype = options["frequencies"], options["dtype"]
    return MergeOptions(
        rule=cast(Rule, rule),
        mixing=options["mixing"],
        shared_weight=options["shared_weight"],
        counts=None if frequencies is None else _counts(frequencies),
        out_dtype=None if dtype is None else _DTYPES[dtype],
    )


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError as error:
        raise UsageProblem(f"--weights is {text!r}, expected numbers with commas") from error


def _counts(path: Path) -> Any:
    from xft.checkpoint import read_json

    counts = read_json(path).get("counts")
    is_table = isinstance(counts, list) and all(isinstance(row, list) for row in counts)
    if not is_table or not all(isinstance(n, int | float) for row in cast(list[Any], counts) for n in row):
        raise CheckpointError(f"{path} has no table of numbers under counts: {json.dumps(counts)[:60]}")
    return counts


def _verify(moe: Path, out: Path, mixing: Mixing) -> None:
    from xft.verify import verify_merged

    difference = verify_merged(moe, out, mixing)
    click.echo(f"largest logit difference to the mixing model: {difference}")
    if not difference.is_within:
        raise ParityError("the merged model does not compute what the mixing model does")
