"""Checkpoints from the Hugging Face hub: only the files that are needed to run one, pinned to a commit."""

import importlib.util
import logging
from pathlib import Path

from xftbench.errors import BackendError

_logger = logging.getLogger(__name__)

_ALWAYS = ("*.json", "*.txt", "*.model", "*.tiktoken", "*.jinja", "*.py")
# Sub-directories hold other formats and training state.
_NEVER = ("*/*", "consolidated*", "training_args.bin", "optimizer.bin", "scheduler.bin")


def download(repo: str, revision: str | None) -> tuple[Path, str]:
    """Fetch a checkpoint, or find it in the hub's own cache.

    Returns:
        Its directory, and the commit that the revision stood for.

    Raises:
        BackendError: If it does not exist, may not be read, or is not here while the hub can't be reached.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise BackendError(
            f"can't fetch {repo}: huggingface_hub is not installed", hint="pip install 'xftbench[hf]'"
        )
    _logger.info("fetching %s from the hub, or finding it in the hub's cache", repo)
    directory = _snapshot(repo, revision, (*_ALWAYS, "*.safetensors"))
    if not any(directory.glob("*.safetensors")):
        directory = _snapshot(repo, revision, (*_ALWAYS, "*.bin"))
    return directory, directory.name


def _snapshot(repo: str, revision: str | None, patterns: tuple[str, ...]) -> Path:
    # Imported here: it pulls in an HTTP client that no other kind of model needs.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = repo if revision is None else f"{repo}@{revision}"
    try:
        return Path(
            snapshot_download(
                repo, revision=revision, allow_patterns=list(patterns), ignore_patterns=list(_NEVER)
            )
        )
    except LocalEntryNotFoundError as error:
        raise BackendError(
            f"{wanted} is not in the hub's cache, and the hub can't be reached",
            hint="without a network, copy the checkpoint here and give its directory; a local directory is "
            "written ./dir or /path/to/dir",
        ) from error
    except HfHubHTTPError as error:
        raise BackendError(
            f"the hub does not give out {wanted}: {_first_line(error)}",
            hint="check the spelling; a private or gated model needs `hf auth login`",
        ) from error
    except (HFValidationError, OSError) as error:
        raise BackendError(f"can't fetch {wanted}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
