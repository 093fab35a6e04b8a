"""Options that several commands share, and the parameter types behind them."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from xftbench.errors import UsageProblem

F = TypeVar("F", bound=Callable[..., Any])

_DIRECTORY = click.Path(file_okay=False, path_type=Path)


class SpreadCommand(click.Command):
    """A command whose ``--models`` takes all words up to the next option: ``--models a=x b=y --n 2``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, after spreading."""
        return super().parse_args(ctx, spread(args, "--models"))


def spread(arguments: Sequence[str], option: str) -> list[str]:
    """Repeat an option before each of the words that follow it, up to the next option."""
    result: list[str] = []
    inside = False
    for word in arguments:
        if word.startswith("-"):
            inside = word == option
            if not inside:
                result.append(word)
        elif inside:
            result += [option, word]
        else:
            result.append(word)
    # A bare `--models` at the end must stay, so that click can say that its value is missing.
    return [*result, option] if option in arguments and option not in result else result


def parse_models(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return (name, ref) for each ``NAME=REF``; a word without ``=`` is its own name.

    Raises:
        UsageProblem: If a name is empty, can't be part of a directory name, or stands twice.
    """
    models: list[tuple[str, str]] = []
    for word in words:
        name, separator, ref = word.partition("=")
        if not separator:
            name, ref = Path(word).name, word
        if not name or not ref or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise UsageProblem(
                f"--models {word!r}: expected NAME=REF, with a NAME of letters, digits, '.', '_' and '-'",
                hint="for example --models sft=checkpoints/sft xft=checkpoints/merged",
            )
        if name in dict(models):
            raise UsageProblem(f"--models has the name {name!r} twice", hint="each model needs its own NAME")
        models.append((name, ref))
    return models


def default_cache_dir() -> Path:
    """Return where converted checkpoints are kept, by the XDG convention."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xftbench"


def _apply(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


suite_options = _apply(
    [
        click.option("--suite", default="humaneval", show_default=True, help="SUITE or SUITE@VERSION."),
        click.option(
            "--data-dir",
            type=_DIRECTORY,
            envvar="XFTBENCH_DATA_DIR",
            help="Folder with benchmark files, searched before the installed packages.",
        ),
    ]
)

execution_options = _apply(
    [
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            help="Programs executed at a time.  [default: the machine's CPUs]",
        ),
        click.option(
            "--isolation",
            type=click.Choice(["namespaces", "rlimits"]),
            default="namespaces",
            show_default=True,
            help="'rlimits' is much weaker: only where the kernel forbids namespaces.",
        ),
    ]
)

generation_options = _apply(
    [
        click.option(
            "--models",
            multiple=True,
            required=True,
            metavar="NAME=REF [NAME=REF ...]",
            help="REF: a checkpoint directory, a hub id (org/name[@revision]), smollm2, or a samples file.",
        ),
        click.option(
            "--style",
            help="Prompt style: base, chat or magicoder.  [default: the suite's published protocol]",
        ),
        click.option(
            "--backend",
            type=click.Choice(["auto", "vllm", "hf"]),
            default="auto",
            show_default=True,
            help="auto: vllm where it imports, else hf.",
        ),
        click.option("--dtype", default="auto", show_default=True, help="Precision of the weights."),
        click.option(
            "--n", type=click.IntRange(min=1), default=1, show_default=True, help="Samples a problem."
        ),
        click.option(
            "--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0 is greedy."
        ),
        click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True),
        click.option(
            "--max-new-tokens", type=click.IntRange(min=1), default=512, show_default=True, metavar="TOKENS"
        ),
        click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True),
        click.option("--limit", type=click.IntRange(min=1), help="Only the first LIMIT problems."),
        click.option("--task-id", "task_ids", multiple=True, help="Only this problem; may be repeated."),
        click.option(
            "--out",
            type=_DIRECTORY,
            default="runs",
            show_default=True,
            help="Where run directories are made: OUT/SUITE--NAME--RUN.",
        ),
        click.option(
            "--cache-dir",
            type=_DIRECTORY,
            default=default_cache_dir,
            show_default="~/.cache/xftbench",
            help="Where converted checkpoints are kept.",
        ),
    ]
)

leaderboards_option = click.option(
    "--leaderboards",
    type=_DIRECTORY,
    default="leaderboards",
    show_default=True,
    help="Where the tables are written: SUITE.csv, .parquet, .md and .json.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
