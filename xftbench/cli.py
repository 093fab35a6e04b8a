"""The command group: logging, exit codes, and commands that are imported only when asked for."""

import contextlib
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any

import click

from xftbench import __version__
from xftbench.errors import StoreError, XftbenchError

_COMMANDS = {
    "run": "Generate, execute and score: one leaderboard row for each model.",
    "generate": "Generate completions only; `run` or `score` goes on from there.",
    "score": "Judge samples made here or elsewhere; needs neither torch nor vllm.",
    "show": "Show one sample: prompt, completion, program, verdict, and why.",
    "compare": "Say which differences between stored runs are real.",
    "noise": "Measure how far a checkpoint differs from itself.",
    "gate": "Fail a build whose model is worse than its reference.",
    "explain": "Say whether two runs may be compared, and what differs.",
    "leaderboard": "Build the tables from complete runs.",
    "report": "Write one HTML page: tables, differences, programs side by side, costs.",
    "moe-report": "Show which experts of a mixture wrote the replies of a run.",
    "contamination": "Score apart the problems that a checkpoint's tuning data gives away.",
    "doctor": "Say what works on this machine, and what to do about the rest.",
    "env": "Create and check the environments that some suites' programs run in.",
    "data": "List the benchmarks' data files and verify them.",
}

_EPILOG = """\
Results go to stdout, progress and messages to stderr.

\b
Exit codes:
  0    done
  1    another expected failure; gate: the candidate is worse
  2    usage: unknown suite, style or model, options that contradict each other
  3    a data or samples file, a compiler or an environment is missing, broken or not the pinned one;
       compare, gate: the runs differ in more than the model
  4    a model could not be loaded, or its engine failed
  5    a run directory belongs to another spec or process, or it or the output can't be written
  6    the sandbox failed; nothing is booked as a model's failure
  130  interrupted by Ctrl-C or SIGTERM; the same command goes on where it stopped
"""


class _PastClickError(Exception):
    """Stands for a broken pipe in places where click would make it an exit code of 1 without a word."""

    def __init__(self, error: BrokenPipeError) -> None:
        super().__init__(error)
        self.error = error


@contextlib.contextmanager
def _past_click() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _PastClickError(error) from error


class _LazyGroup(click.Group):
    """A group that imports ``xftbench.commands.<name>`` on demand, so that --help stays fast."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse the arguments, and print help if they ask for it."""
        with _past_click():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with _past_click():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which people need them."""
        return list(_COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; of a misspelt one say which was meant."""
        if not args[0].startswith("-") and args[0] not in _COMMANDS and not ctx.resilient_parsing:
            from xftbench.benchmarks.suggest import did_you_mean  # not at the top: it is seldom needed

            ctx.fail(f"No such command {args[0]!r}. {did_you_mean(args[0], _COMMANDS).capitalize()}".rstrip())
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"xftbench.commands.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


class _ClickHandler(logging.Handler):
    """Writes log records to stderr in click's manner, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        from tqdm import tqdm  # not at the top: --help need not pay for it

        with tqdm.external_write_mode(file=sys.stderr):
            prefix = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
            click.echo(prefix + self.format(record), err=True)


@click.group(cls=_LazyGroup, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xftbench")
@click.option("-v", "--verbose", is_flag=True, help="Log more, and show the traceback of expected errors.")
@click.option("-q", "--quiet", is_flag=True, help="Log warnings only.")
def cli(verbose: bool, quiet: bool) -> None:
    """Is this checkpoint really better? Real benchmarks, isolated execution, results that can be resumed."""
    logger = logging.getLogger("xftbench")
    logger.handlers = [_ClickHandler()]
    logger.setLevel(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)
    logger.propagate = False


def run(arguments: list[str]) -> int:
    """Run the command line and return the exit code; only bugs keep their traceback."""
    try:
        result = cli.main(arguments, prog_name="xftbench", standalone_mode=False)
        # What is still in a buffer is written now: at the interpreter's end nobody could tell that it failed.
        click.echo(nl=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as error:
        return error.exit_code
    except XftbenchError as error:
        if {"-v", "--verbose"} & set(arguments):
            logging.getLogger("xftbench").exception("traceback of the error below")
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted; the same command goes on where it stopped", err=True)
        return 130
    except _PastClickError as passed:
        return _without_output(passed.error)
    except OSError as error:
        return _without_output(error)
    return result if isinstance(result, int) else 0


def _without_output(error: OSError) -> int:
    """Return the exit code for output that can't be written; any other error is raised."""
    if not _is_of_output(error):
        raise error
    _let_go_of_stdout()
    if not isinstance(error, BrokenPipeError):  # who reads no more, as head does, wants to hear no more
        click.echo(f"error: can't write the output: {error.strerror}", err=True)
    return StoreError.exit_code


def _is_of_output(error: OSError) -> bool:
    """Return whether it was raised by writing what a command prints, not a file of its own."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is click.echo.__code__


def _let_go_of_stdout() -> None:
    """Have the interpreter's end write what is left in the buffer to nowhere, or it fails once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
