"""What a run keeps beside its target, in ``.TARGET.training``, until the target is there."""

import fcntl
import json
import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from xft.errors import OutputError, TrainingError
from xft.output import write_text_atomically
from xft.stages import changes

COMPLETE = "xft_complete.json"
"""Written last into a checkpoint: one without it was cut off. Holds what the trainer itself doesn't keep."""
_SPEC = "spec.json"


def state_of(target: Path) -> Path:
    """Return the directory that keeps the checkpoints of a run until its target is there."""
    return target.absolute().with_name(f".{target.name}.training")


def last_checkpoint(state_dir: Path) -> Path | None:
    """Return the newest checkpoint that was written whole."""
    found = [path.parent for path in state_dir.glob(f"checkpoint-*/{COMPLETE}")]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)


def claim(state_dir: Path, spec: dict[str, Any], overwrite: bool) -> ExitStack:
    """Write what the run is, or check that the unfinished one is the same; hold the directory's lock.

    Raises:
        OutputError: If the directory can't be made.
        TrainingError: If another process holds it, or the unfinished run is another one.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"can't write {state_dir}: {error.strerror}") from error
    with ExitStack() as held:
        descriptor = os.open(state_dir, os.O_RDONLY)
        held.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingError(f"{state_dir} is in use by another process") from error
        path = state_dir / _SPEC
        text = json.dumps(spec, indent=2, sort_keys=True) + "\n"
        old = path.read_text(encoding="utf-8") if path.exists() else None
        if old is not None and old != text and not overwrite:
            changed = _differences(json.loads(old), spec)
            raise TrainingError(
                f"{state_dir} holds an unfinished run that differs in {changed}",
                hint="give the same arguments to finish it, or pass --overwrite to drop it",
            )
        if old != text:
            path.unlink(missing_ok=True)
        for checkpoint in state_dir.glob("checkpoint-*"):
            if old != text or not (checkpoint / COMPLETE).exists():
                shutil.rmtree(checkpoint)
        write_text_atomically(path, text)
        return held.pop_all()


def forget(state_dir: Path) -> None:
    """Remove the state; what a kill leaves of it has no spec, so no run takes it for its own."""
    (state_dir / _SPEC).unlink(missing_ok=True)
    shutil.rmtree(state_dir)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    return ", ".join(
        f"{name.rpartition('.')[2]} ({str(was)[:12]}, now {str(now)[:12]})"
        for name, was, now in sorted(changes(old, new))
    )
