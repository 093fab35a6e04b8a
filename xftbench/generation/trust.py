"""Whether a checkpoint's own Python code is run: an MoE brings its modeling file along."""

import json
import logging
from pathlib import Path

from xftbench.errors import BackendError
from xftbench.generation.checkpoints import Checkpoint, is_from_hub

_logger = logging.getLogger(__name__)

_FILES = ("config.json", "tokenizer_config.json")


def trusts_code(checkpoint: Checkpoint) -> bool:
    """Whether to run a checkpoint's own Python files: only if its config points to them, and it is local.

    Raises:
        BackendError: If a checkpoint straight from the hub wants to run code: nobody here has read it.
    """
    directory = Path(checkpoint.path)
    if not any(_has_auto_map(directory / name) for name in _FILES):
        return False
    if is_from_hub(checkpoint):
        raise BackendError(
            f"{checkpoint.ref} brings its own Python code, which is not run unread",
            hint=f"read the *.py files in {directory}; to run them, give that directory as the model",
        )
    return True


def announce(checkpoint: Checkpoint) -> None:
    """Log which of a checkpoint's own files will be run."""
    files = sorted(path.name for path in Path(checkpoint.path).glob("*.py"))
    _logger.info("%s: running the checkpoint's own code (auto_map): %s", checkpoint.name, ", ".join(files))


def _has_auto_map(path: Path) -> bool:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and bool(config.get("auto_map"))
