"""The ``xft`` command line: imports a command only when asked for, so that ``--help`` needs no torch."""

import difflib
import importlib
import logging
import os
import sys

import click

from xft import interrupt
from xft.errors import XftError

# Command → module of `xft.commands`, and the line that the overview shows.
COMMANDS = {
    "recipe": ("recipe", "Run the whole line from one TOML, and go on where it stopped."),
    "upcycle": ("upcycle", "Make an MoE whose experts are copies of a dense model's MLPs."),
    "sft": ("sft", "Tune a dense model on instructions: the control."),
    "train": ("train", "Tune an MoE on instructions."),
    "learn-mixing": ("learn_mixing", "Learn how much of each expert goes into the merged model."),
    "merge": ("merge", "Merge an MoE, or several dense checkpoints, into a dense one."),
    "data": ("data", "Look at training data, and check it against benchmarks."),
    "inspect": ("inspect", "Say what a checkpoint is, and where it comes from."),
    "selfcheck": ("selfcheck", "Compare this installation with reference tensors."),
}


class LazyGroup(click.Group):
    """A group whose commands are modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the work."""
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; of a misspelt one say which was meant."""
        if not args[0].startswith("-") and args[0] not in COMMANDS and not ctx.resilient_parsing:
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"xft.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", count=True, help="Log more: -v what is done, -vv everything.")
def cli(verbose: int) -> None:
    """Upcycle a dense code model, tune it as a mixture of experts, merge it back.

    Exit codes: 0 done; 1 failed; 2 wrong options; 3 a checkpoint is missing, truncated or of the wrong kind;
    4 the architecture is not supported; 5 the target exists or can't be written; 6 a check found a
    difference; 7 wrong training data; 8 training diverged, or an unfinished run is of other arguments; 130
    interrupted.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr)
    if not verbose:
        # Not a setting of ours: it keeps transformers' progress bars off stderr.
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


_OF_EXTRAS = ("torch", "transformers", "safetensors", "accelerate", "gguf", "trl", "datasets")


def run() -> int:
    """Run the command line and return the exit code; expected failures end with their message."""
    try:
        result = cli.main(prog_name="xft", standalone_mode=False)
    except XftError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except ModuleNotFoundError as error:
        if error.name not in _OF_EXTRAS:
            raise
        lacking = XftError(f"this needs {error.name}", hint="pip install 'xftbench[train]'")
        click.echo(f"error: {lacking}", err=True)
        return lacking.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(interrupt.MESSAGE, err=True)
        return interrupt.EXIT_CODE
    return result if isinstance(result, int) else 0
