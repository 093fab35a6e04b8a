"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

import click
from tqdm import tqdm

from xftbench.pipeline import Progress

_LINE_EVERY_S = 15.0


class ProgressView:
    """Shows a run's progress: samples judged, tokens per second, passed so far. Use as a context manager."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar: tqdm[None] | None = None
        self._next_line = 0.0

    def __call__(self, progress: Progress) -> None:
        """Show one step."""
        if sys.stderr.isatty():
            self._show_bar(progress)
        elif time.monotonic() >= self._next_line or progress.n_judged == progress.n_samples:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            click.echo(
                f"{self._name}: {progress.n_generated}/{progress.n_samples} generated, "
                f"{progress.n_judged} judged, {_postfix(progress)}",
                err=True,
            )

    def _show_bar(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=progress.n_samples, desc=self._name, unit="sample", dynamic_ncols=True, file=sys.stderr
            )
        # Half a step for a completion, half for its verdict, would be exact; the slower side is honest.
        self._bar.n = min(progress.n_generated, progress.n_judged) if progress.n_judged else 0
        self._bar.set_postfix_str(f"{progress.n_generated} generated, {_postfix(progress)}", refresh=True)

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
