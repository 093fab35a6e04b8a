"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Never, Self

import click
from tqdm import tqdm

from xftbench.pipeline import Progress

_LINE_EVERY_S = 15.0


class ProgressView:
    """Shows a run's progress: samples judged, tokens per second, passed so far. Use as a context manager."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[Never] | None = None
        self._next_line = 0.0
        self._last_line = ""

    def __call__(self, progress: Progress) -> None:
        """Show one step."""
        if sys.stderr.isatty():
            self._show_bar(progress)
        elif time.monotonic() >= self._next_line or progress.n_judged == progress.n_samples:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            line = f"{progress.n_generated}/{progress.n_samples} generated, {progress.n_judged} judged"
            if line != self._last_line:  # the last step may be told twice
                click.echo(f"{self._name}: {line}, {_postfix(progress)}", err=True)
            self._last_line = line

    def _show_bar(self, progress: Progress) -> None:
        bar = self._bar
        if bar is None:
            self._bar = bar = tqdm(
                (),  # nothing to iterate over: the bar is moved by hand
                total=progress.n_samples, desc=self._name, unit="sample", dynamic_ncols=True, file=sys.stderr,
            )  # fmt: skip
        bar.n = progress.n_judged
        bar.set_postfix_str(f"{progress.n_generated} generated, {_postfix(progress)}", refresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _postfix(progress: Progress) -> str:
    rate = progress.n_tokens / progress.generation_s if progress.generation_s > 0 else 0.0
    passed = f"{progress.n_passed} passed so far"
    return f"{passed}, {rate:.0f} tokens/s" if rate else passed
