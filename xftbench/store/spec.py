"""What identifies a run: everything that decides its results, by content, and nothing else."""

from collections.abc import Iterator

import msgspec

from xftbench.hashing import sha256_record, short_id
from xftbench.prompts.style import PromptStyle
from xftbench.records import Limits, Record, SamplingParams
from xftbench.store.model_facts import ModelFacts

SCHEMA_VERSION = 2
DECODING = ("temperature", "top_p", "max_new_tokens", "seed")
"""Fields of `SamplingParams` that nobody can tell from the samples."""


class GenerationSpec(Record):
    """Everything that decides the completions."""

    checkpoint_sha256: str
    """Content of weights, configuration, tokenizer and chat template; of the samples file for replay."""
    style: str
    prompts_sha256: str
    """Of every prompt's text and stop strings."""
    sampling: SamplingParams
    engine: str
    engine_version: str
    dtype: str
    device: str
    processor: str = ""
    """Name, kernels and number of threads or GPUs, which decide the rounding; empty for replay."""
    batch_size: int | None = None
    """Prompts generated together, at most; None if the engine decides it while it runs, or for replay."""
    order: str = "engine"
    """In which the prompts were handed over: the engine's own, ``reversed`` or ``shuffled``."""
    stated: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """For replay: the fields of `sampling` that the samples' file says. The others but `n` are placeholders.

    Unset where it says none, so that such a run keeps its identity; see `decoding`.
    """

    @property
    def decoding(self) -> dict[str, float | int | None]:
        """Temperature, top-p, token limit and seed; None for what samples made elsewhere don't say."""
        values = {name: getattr(self.sampling, name) for name in DECODING}
        stated = self.stated or ()
        is_known = self.engine != "replay"
        return {name: value if is_known or name in stated else None for name, value in values.items()}

    @property
    def is_decoding_unknown(self) -> bool:
        """Whether nothing is known of how the samples were drawn."""
        return all(value is None for value in self.decoding.values())


class ScoringSpec(Record, kw_only=True):
    """Everything that decides the verdicts of given completions."""

    suite: str
    suite_version: str
    data_sha256: str
    n_problems: int
    n_suite: int | None = None
    """Problems that the whole suite has; more than `n_problems` where a part was selected."""
    problems_sha256: str
    """Of the task_ids that were selected."""
    extraction: str
    policy: str = "strict"
    """Whether code is looked for where the protocol's literal rule gives no program: strict or lenient."""
    limits: Limits
    isolation: str
    python: str
    """Interpreter that the programs run on."""
    libraries: dict[str, str]
    """Libraries that the programs can import beyond the standard library, with versions."""
    toolchains: dict[str, str] = msgspec.field(default_factory=dict)
    """Compilers, interpreters and environments besides our own Python, with versions."""
    options: dict[str, str] = msgspec.field(default_factory=dict)
    """Settings of the benchmark's own that change verdicts and are not its published default."""
    left_out: tuple[str, ...] = ()
    """Parts of the suite that could not be run here and were left out by request."""


class RunSpec(Record):
    """One run: a checkpoint's completions of a benchmark, and how they are judged."""

    generation: GenerationSpec
    scoring: ScoringSpec

    @property
    def sha256(self) -> str:
        """Identity of the run."""
        return sha256_record(self)

    @property
    def run_id(self) -> str:
        """The identity's short form, in names of directories and in tables."""
        return short_id(self.sha256)


class Environment(Record):
    """What is worth knowing about a run but does not decide its results."""

    name: str
    """What the user calls the checkpoint."""
    ref: str
    """Where it came from: a directory, a hub id or a built-in name."""
    kind: str
    """``dense``, ``moe`` or ``samples``."""
    started: str
    """ISO 8601, UTC."""
    command: tuple[str, ...]
    git_commit: str | None
    """Of xftbench's checkout, with ``+dirty`` if it had uncommitted changes."""
    packages: dict[str, str]
    machine: str
    model: ModelFacts | None = None
    """Its size and how it was made, where that can be known."""


class SpecFile(Record, kw_only=True):
    """``spec.json``."""

    schema_version: int
    run_id: str
    """8 digits of the spec's hash."""
    spec: RunSpec
    style: PromptStyle | None = None
    """The whole prompt style; what decides results is in `spec` too. None for samples made elsewhere."""
    environment: Environment


def differences(ours: object, theirs: object, path: str = "") -> Iterator[str]:
    """Yield ``field: theirs -> ours`` for every leaf in which two records differ."""
    ours, theirs = msgspec.to_builtins(ours), msgspec.to_builtins(theirs)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in {**theirs, **ours}:
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}" if path else str(key))
    elif ours != theirs:
        yield f"{path}: {_short(theirs)} -> {_short(ours)}"


def _short(value: object) -> str:
    text = str(value)
    return text[:12] + "…" if len(text) == 64 and " " not in text else text
