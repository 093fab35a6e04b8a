"""The one protocol that every generation backend satisfies, and what it is given."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Protocol

from xftbench.records import Prompt, Record, Sample, SamplingParams


class Engine(Record):
    """What generates: part of a run's identity, known before any weights are loaded."""

    name: str
    """``vllm``, ``hf`` or ``replay``."""
    version: str
    """Version of the engine; completions of two versions are never mixed in one run."""
    dtype: str
    """Precision that the weights are run in."""
    device: str
    """``cuda`` or ``cpu``."""
    processor: str = ""
    """See `xftbench.generation.devices.processor`; empty where nothing is computed."""
    batch_size: int | None = None
    """Prompts generated together, at most; None if the engine decides it while it runs."""
    order: str = "engine"
    """See `xftbench.generation.options.Order`."""


class Request(Record):
    """One sample to draw."""

    prompt: Prompt
    sample_index: int
    seed: int

    @classmethod
    def draw(cls, prompt: Prompt, sample_index: int, run_seed: int) -> "Request":
        """Build the request for one sample, with the seed that belongs to it and to nothing else.

        The seed depends on the run's seed, the problem and the index alone, so resuming, reordering or
        another batch size leaves every draw as it was.
        """
        digest = hashlib.sha256(f"{run_seed}\0{prompt.task_id}\0{sample_index}".encode()).digest()
        return cls(prompt=prompt, sample_index=sample_index, seed=int.from_bytes(digest[:4], "big"))

    @property
    def key(self) -> str:
        """The request's identity in words."""
        return f"{self.prompt.task_id} {self.sample_index}"


class Backend(Protocol):
    """Something that completes prompts."""

    def generate(self, requests: Sequence[Request], sampling: SamplingParams) -> Iterator[Sample]:
        """Yield one sample per request, each as soon as it is complete, in any order.

        Raises:
            BackendError: If the engine fails; samples yielded before stay valid.
        """
        ...
