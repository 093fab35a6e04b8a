"""Where this user's files are."""

import os
from pathlib import Path

from xftbench.errors import UsageProblem


def home() -> Path | None:
    """Return the user's home; None if neither $HOME nor the list of users names one, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def caches() -> Path:
    """Return the folder of all programs' caches, by the XDG convention; it need not exist.

    Raises:
        UsageProblem: If there is no home that it could be in.
    """
    if named := os.environ.get("XDG_CACHE_HOME"):
        return Path(named)
    if (found := home()) is None:
        raise UsageProblem(
            "no home directory to keep caches in: HOME is not set, and user "
            f"{os.getuid()} has no entry in /etc/passwd",
            hint="set HOME or XDG_CACHE_HOME to a folder that can be written",
        )
    return found / ".cache"


def own_cache() -> Path:
    """Return the folder of our own caches; raises like `caches`."""
    return caches() / "xftbench"
