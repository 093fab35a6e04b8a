"""What other people's libraries do when they fail or talk: turned into our errors, and silence."""

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

from xftbench.errors import BackendError, XftbenchError

_logger = logging.getLogger(__name__)


@contextlib.contextmanager
def as_backend_errors(doing: str, hint: str) -> Iterator[None]:
    """Turn whatever an engine raises into a `BackendError` that gives its first telling line.

    Args:
        doing: What was being done, such as ``loading /path``.
        hint: The next thing to do, unless the cause itself suggests another.
    """
    try:
        yield
    except XftbenchError:
        raise
    except Exception as error:  # engines raise anything; whatever it is, it is theirs
        _logger.debug("%s failed", doing, exc_info=True)
        raise BackendError(f"{doing} failed: {first_line(error)}", hint=_hint_for(error) or hint) from error


def first_line(error: BaseException) -> str:
    """Return the first telling line of an exception's message, with its type if the message is bare."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # pydantic opens with a count, and the reason stands two lines below.
    if lines and re.match(r"\d+ validation errors? for", lines[0]):
        lines = [line.removeprefix("Value error, ") for line in lines[2:]] or lines
    name = type(error).__name__
    return f"{name}: {lines[0][:400]}" if lines else name


def _hint_for(error: BaseException) -> str | None:
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "available memory" in text:
        return "not enough memory: close other programs, or give a smaller checkpoint or --dtype bfloat16"
    return None


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars, advice and deprecation warnings off the user's terminal."""
    from transformers.utils import logging

    chatter: Any = logging
    bars, level = chatter.is_progress_bar_enabled(), chatter.get_verbosity()
    chatter.disable_progress_bar()
    chatter.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        chatter.set_verbosity(level)
        if bars:
            chatter.enable_progress_bar()
