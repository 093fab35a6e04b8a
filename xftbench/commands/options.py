"""Options that several commands share, and the parameter types behind them."""

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
from click.core import ParameterSource

from xft.commands.parameters import NamedPath, Number
from xftbench.errors import UsageProblem
from xftbench.execution import processors
from xftbench.places import own_cache
from xftbench.plan import SuiteOptions

F = TypeVar("F", bound=Callable[..., Any])


DIRECTORY = NamedPath(file_okay=False, path_type=Path)
FILE = NamedPath(dir_okay=False, path_type=Path)
PATH = NamedPath(path_type=Path)


class SpreadCommand(click.Command):
    """A command some of whose options take all words up to the next one: ``--models a=x b=y --n 2``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, after spreading."""
        names = {name for option in self.get_params(ctx) for name in option.opts}
        for option in ("--models", "--suite"):
            if option in names:
                args = spread(args, option)
        return super().parse_args(ctx, args)


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


def _apply(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_DATA_DIR = "XFTBENCH_DATA_DIR"


def data_dir_for(about: str) -> Callable[[F], F]:
    """Return the option of a folder with files that would be downloaded else; `about` is its help."""
    return click.option(
        "--data-dir", type=DIRECTORY, envvar=_DATA_DIR, callback=_existing_data_dir, help=about
    )


def _existing_data_dir(context: click.Context, option: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a folder that is not there: its files would be taken from elsewhere, and nobody would know."""
    if value is None or value.is_dir():
        return value
    source = context.get_parameter_source(option.name or "")
    where = _DATA_DIR if source is ParameterSource.ENVIRONMENT else "--data-dir"
    raise UsageProblem(f"{where}: there is no folder {str(value)!r}")


data_dir_option = data_dir_for("Folder with benchmark files, searched before the installed packages.")


_problem_options = [
    click.option(
        "--ids",
        "ids",
        metavar="FILE|ID,ID",
        help="Only these problems: task_ids separated by commas, or a file with one on each line.",
    ),
    click.option("--task-id", "task_ids", multiple=True, help="Only this problem; may be repeated."),
    click.option("--limit", type=click.IntRange(min=1), help="Only the first LIMIT problems of a suite."),
    data_dir_option,
]

suite_options = _apply(
    [
        click.option(
            "--suite",
            "suites",
            multiple=True,
            metavar="SUITE [SUITE ...]",
            help="SUITE, SUITE@VERSION, SUITE:PART,PART or a preset such as xft-paper; several in one "
            "command share a loaded model.  [default: humaneval]",
        ),
        *_problem_options,
    ]
)

one_suite_options = _apply(
    [
        click.option(
            "--suite",
            "suites",
            multiple=True,
            metavar="SUITE",
            help="SUITE, SUITE@VERSION or SUITE:PART,PART, one in a command.  "
            "[default: what a run directory of ours says, else humaneval]",
        ),
        *_problem_options,
    ]
)

isolation_option = click.option(
    "--isolation",
    type=click.Choice(["namespaces", "rlimits"]),
    default="namespaces",
    show_default=True,
    help="'rlimits' is much weaker: only where the kernel forbids namespaces.",
)

execution_options = _apply(
    [
        click.option(
            "--workers",
            type=click.IntRange(1, 1024),
            default=processors.worth_using,
            show_default="the CPUs, or a container's share of them",
            help="Programs executed at a time.",
        ),
        isolation_option,
        click.option(
            "--skip-missing-toolchains",
            is_flag=True,
            help="Leave languages that can't be run here out of the score, which then says so.",
        ),
        click.option(
            "--timeout-scale",
            type=Number(0, 1000, min_open=True),
            default=1.0,
            show_default=True,
            metavar="X",
            help="Multiply every time limit, for a machine that is much slower or faster.",
        ),
        click.option(
            "--ds1000-unseeded",
            is_flag=True,
            help="Seed no random numbers before DS-1000's programs, as its authors' script; a few verdicts "
            "then change from run to run.",
        ),
    ]
)

decoding_options = _apply(
    [
        click.option(
            "--style",
            help="Prompt style, such as base, chat, instruct or magicoder; docs/prompts.md has them all.  "
            "[default: the suite's published protocol]",
        ),
        click.option(
            "--backend",
            type=click.Choice(["auto", "vllm", "hf"]),
            default="auto",
            show_default=True,
            help="auto: vllm where it imports, else hf.",
        ),
        click.option("--dtype", default="auto", show_default=True, help="Precision of the weights."),
        click.option("--n", type=click.IntRange(min=1), help="Samples a problem.  [default: the style's]"),
        click.option("--temperature", type=Number(min=0), help="0 is greedy.  [default: the style's]"),
        click.option("--top-p", type=Number(0, 1, min_open=True), help="[default: the style's]"),
        click.option(
            "--max-new-tokens",
            type=click.IntRange(min=1),
            metavar="TOKENS",
            help="[default: the style's]",
        ),
        click.option(
            "--out",
            type=DIRECTORY,
            default="runs",
            show_default=True,
            help="Where run directories are made: OUT/SUITE--NAME--RUN.",
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
        decoding_options,
        click.option(
            "--batch-size",
            type=click.IntRange(min=1),
            help="Prompts generated together, at most.  [default: the engine's]",
        ),
        click.option("--seed", type=click.IntRange(min=0), help="[default: 0]"),
    ]
)

cache_option = click.option(
    "--cache-dir",
    type=DIRECTORY,
    default=own_cache,
    show_default="~/.cache/xftbench",
    help="Where converted checkpoints and known outcomes are kept.",
)

no_cache_option = click.option(
    "--no-cache", is_flag=True, help="Execute every program, whatever is known of it from earlier runs."
)

extraction_option = click.option(
    "--extraction",
    type=click.Choice(["strict", "lenient"]),
    help="strict: the protocol's literal rule; lenient: look for the code where that gives no program.  "
    "[default: the style's]",
)


def outcomes_path(cache_dir: Path, *, no_cache: bool) -> Path | None:
    """Return where outcomes are kept between runs; None if they are not."""
    return None if no_cache else cache_dir / "outcomes.sqlite"


SAMPLING_OPTIONS = ("n", "temperature", "top_p", "max_new_tokens", "seed")


# By whether languages are to be skipped; a command that executes nothing has no such option.
_MISSING: dict[bool | None, Literal["refused", "left_out", "not_needed"]] = {
    None: "not_needed", False: "refused", True: "left_out",
}  # fmt: skip


def suite_request(options: dict[str, Any]) -> SuiteOptions:
    """Take what concerns the suites out of a command's options."""
    given = {name: options.pop(name, None) for name in SAMPLING_OPTIONS}
    return SuiteOptions(
        suites=options.pop("suites") or ("humaneval",),
        data_dir=options.pop("data_dir"),
        ids=(*parse_ids(options.pop("ids")), *options.pop("task_ids")),
        limit=options.pop("limit"),
        isolation=options.pop("isolation", "namespaces"),
        timeout_scale=options.pop("timeout_scale", 1.0),
        ds1000_unseeded=options.pop("ds1000_unseeded", False),
        missing_toolchains=_MISSING[options.pop("skip_missing_toolchains", None)],
        style=options.pop("style", None),
        sampling={name: value for name, value in given.items() if value is not None},
    )


def parse_ids(text: str | None) -> list[str]:
    """Return the task_ids that ``--ids`` names: in a file, one a line, or in the word itself.

    Raises:
        UsageProblem: If there is no such file, or it can't be read or names nothing.
    """
    if text is None:
        return []
    try:
        words = (
            Path(text).read_text(encoding="utf-8-sig").splitlines()
            if _is_file_of_ids(text)
            else text.split(",")
        )
    except (OSError, UnicodeDecodeError) as error:
        raise UsageProblem(f"--ids: can't read {text}: {error}") from error
    ids = [word.strip() for word in words if word.strip() and not word.lstrip().startswith("#")]
    if not ids:
        raise UsageProblem(
            f"--ids {text!r} names no problem", hint="for example --ids HumanEval/0,HumanEval/7"
        )
    return ids


def _is_file_of_ids(text: str) -> bool:
    path = Path(text)
    try:
        is_there = path.exists() and not path.is_dir()  # a pipe is as good
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False  # a long list of task_ids
    # A task_id has one slash at most, within it, and no suffix.
    is_path = text.startswith((".", "/", "~")) or len(path.parts) > 2 or path.suffix
    if not is_there and is_path and "," not in text:
        raise UsageProblem(
            f"--ids: there is no file {text!r}, and no task_id is written like that",
            hint="for example --ids HumanEval/0,HumanEval/7, or a file with one on each line",
        )
    return is_there


leaderboards_option = click.option(
    "--leaderboards",
    type=DIRECTORY,
    default="leaderboards",
    show_default=True,
    help="Where the tables are written: SUITE.csv, .parquet, .md and .json.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")

runs_option = click.option(
    "--runs",
    type=DIRECTORY,
    default="runs",
    show_default=True,
    help="Folder whose run directories can be named by their model's NAME.",
)

allow_option = click.option(
    "--allow",
    multiple=True,
    metavar="FIELD",
    help="Compare although this field differs, and mark the result; may be repeated. See xftbench explain.",
)

statistics_options = _apply(
    [
        click.option("--k", type=click.IntRange(min=1), default=1, show_default=True, help="k of pass@k."),
        click.option(
            "--alpha",
            type=Number(0, 0.5, min_open=True),
            default=0.05,
            show_default=True,
            help="How often a difference that is not there may be called real.",
        ),
        click.option(
            "--margin",
            type=Number(0, 100, min_open=True),
            default=2.0,
            show_default=True,
            metavar="POINTS",
            help="Differences smaller than this are as good as none.",
        ),
        click.option("--mid-p", is_flag=True, help="McNemar's mid-p: less conservative, not exact."),
    ]
)
