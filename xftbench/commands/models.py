"""From ``--models`` and its companions to runs that can be made: shared by `run` and `generate`."""

import glob
import logging
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from xftbench.commands.options import parse_models
from xftbench.errors import SandboxError, StoreError, UsageProblem
from xftbench.generation import BackendOptions, choose_backend, describe_engine, multipl_e_files, open_backend
from xftbench.generation.backend import Backend, Engine
from xftbench.generation.checkpoints import Checkpoint, resolve
from xftbench.generation.options import Order
from xftbench.generation.replay import read_samples
from xftbench.pipeline import Source, Task, from_model, from_samples
from xftbench.plan import Suite, SuiteOptions, generation_spec, plan_suites, scoring_spec
from xftbench.prompts.style import Policy, PromptStyle
from xftbench.reading import Reading, reading_of
from xftbench.records import Sample, SamplingParams
from xftbench.store import comparable
from xftbench.store.environment import capture
from xftbench.store.model_facts import read_facts
from xftbench.store.run_dir import RunDir, ScoresFile, file_name, read_spec
from xftbench.store.spec import GenerationSpec, RunSpec

_logger = logging.getLogger(__name__)

_REPLAY = Engine(name="replay", version="1", dtype="", device="")
"""The engine of samples that were made elsewhere."""
_UNCHOSEN = {"processor", "device", "engine_version", "python"}
"""Fields of a run that nobody sets, so that a change of them surprises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsRequest:
    """The options of `run` and `generate`, as typed by the user."""

    models: Sequence[str]
    suites: SuiteOptions
    backend: str
    dtype: str
    policy: Policy | None = None
    batch_size: int | None = None
    order: Order = "engine"
    out: Path
    cache_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """One model's run of one suite, ready to be made."""

    checkpoint: Checkpoint
    suite: Suite
    task: Task
    source: Source
    spec: RunSpec
    style: PromptStyle | None
    path: Path

    @property
    def label(self) -> str:
        """What the run is called on the terminal."""
        return f"{self.checkpoint.name} {self.suite.benchmark.family}"

    def open(self) -> RunDir:
        """Create or reopen the run directory."""
        if not self.path.exists():
            _tell_of_kin(self.path, self.spec)
        return open_run(self.path, self.spec, self.checkpoint, self.style)


class Loader:
    """Loads a checkpoint when it is first needed, once for all suites. Use as a context manager."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Backend]]) -> None:
        self._opened = opened
        self._stack = ExitStack()
        self._backend: Backend | None = None

    @contextmanager
    def borrow(self) -> Iterator[Backend]:
        """Lend the backend; it stays loaded."""
        if self._backend is None:
            self._backend = self._stack.enter_context(self._opened())
        yield self._backend

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._backend = None
        self._stack.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model, and its runs of every suite."""

    runs: tuple[ModelRun, ...]
    loader: Loader


def plan_models(request: ModelsRequest) -> tuple[list[Suite], list[Model]]:
    """Resolve everything before anything expensive starts: a slip in the last model costs seconds.

    Raises:
        UsageProblem, DataFileError, BackendError: For what can't be resolved.
    """
    models = parse_models(request.models)
    suites = plan_suites(request.suites)
    checkpoints = [resolve(name, ref, cache_dir=request.cache_dir) for name, ref in models]
    if request.suites.sampling and all(checkpoint.kind == "samples" for checkpoint in checkpoints):
        options = ", ".join(f"--{option.replace('_', '-')}" for option in request.suites.sampling)
        raise UsageProblem(
            f"{options}: nothing is drawn, as every model is a file of samples",
            hint="leave it out; how many samples a problem has is taken from the file",
        )
    return suites, [
        _replayed(request, suites, checkpoint)
        if checkpoint.kind == "samples"
        else _generated(request, suites, checkpoint)
        for checkpoint in checkpoints
    ]


def _generated(request: ModelsRequest, suites: Sequence[Suite], checkpoint: Checkpoint) -> Model:
    name, reason = choose_backend(request.backend)
    _logger.info("%s: %s (%s)", checkpoint.name, checkpoint.ref, reason)
    options = BackendOptions(dtype=request.dtype, batch_size=request.batch_size, order=request.order)

    def opened() -> AbstractContextManager[Backend]:
        _logger.info("%s: loading into %s; the first answers take a while", checkpoint.name, name)
        return open_backend(name, checkpoint, options)

    loader = Loader(opened)
    engine = describe_engine(name, checkpoint, options)
    _tell_of_template(request, suites, checkpoint)
    runs = []
    for suite in suites:
        source = from_model(suite.prompts, suite.sampling, loader.borrow, suite.style.name)
        reading = Reading(suite.style.name, suite.style.extraction, request.policy or suite.style.policy)
        generation = generation_spec(checkpoint, reading.style, suite.prompts, suite.sampling, engine)
        runs.append(_model_run(request, suite, checkpoint, source, reading, generation))
    return Model(runs=tuple(runs), loader=loader)


def _tell_of_template(request: ModelsRequest, suites: Sequence[Suite], checkpoint: Checkpoint) -> None:
    plain = [suite.name for suite in suites if not suite.style.is_chat]
    if checkpoint.has_chat_template and plain and request.suites.style is None:
        _logger.info(
            "%s has a chat template, which the protocol of %s does not use (--style chat does)",
            checkpoint.name, ", ".join(plain),
        )  # fmt: skip


def _replayed(request: ModelsRequest, suites: Sequence[Suite], checkpoint: Checkpoint) -> Model:
    answerable = {name: problem for suite in suites for name, problem in suite.data.answerable.items()}
    everything = read_samples(Path(checkpoint.path), answerable)
    said = multipl_e_files.decoding(Path(checkpoint.path))
    runs = []
    for suite in suites:
        selected = set(suite.task_ids)
        samples = [sample for sample in everything if sample.task_id in selected]
        if not samples:
            raise UsageProblem(f"{checkpoint.path} has no sample of the selected problems of {suite.name}")
        reading = reading_of(suite, samples, request.suites.style, request.policy, Path(checkpoint.path))
        source = from_samples(samples)
        generation = spec_of_samples(checkpoint, reading.style, samples, said)
        runs.append(_model_run(request, suite, checkpoint, source, reading, generation))
    return Model(runs=tuple(runs), loader=Loader(_nothing_to_load))


def spec_of_samples(
    checkpoint: Checkpoint, style: str, samples: Sequence[Sample], said: Mapping[str, Any]
) -> GenerationSpec:
    """Return what is known of how samples were drawn: how many a problem has, and what their file says."""
    n = max(Counter(sample.task_id for sample in samples).values())
    spec = generation_spec(checkpoint, style, (), SamplingParams(n=n, **said), _REPLAY)
    return msgspec.structs.replace(spec, stated=tuple(said) or msgspec.UNSET)


def _nothing_to_load() -> AbstractContextManager[Backend]:
    raise AssertionError("samples need no backend")


def _model_run(
    request: ModelsRequest,
    suite: Suite,
    checkpoint: Checkpoint,
    source: Source,
    reading: Reading,
    generation: GenerationSpec,
) -> ModelRun:
    spec = RunSpec(
        generation=generation,
        scoring=scoring_spec(suite, reading.extraction, reading.policy),
    )
    return ModelRun(
        checkpoint=checkpoint,
        suite=suite,
        task=task_of(suite, reading),
        source=source,
        spec=spec,
        style=suite.style if reading.style == suite.style.name else None,
        path=request.out / f"{file_name(suite.name)}--{checkpoint.name}--{spec.run_id}",
    )


def task_of(suite: Suite, reading: Reading) -> Task:
    """Return what samples answer and how they are judged."""
    return Task(
        benchmark=suite.benchmark,
        problems=suite.problems,
        extraction=reading.extraction,
        policy=reading.policy,
    )


def open_run(path: Path, spec: RunSpec, checkpoint: Checkpoint, style: PromptStyle | None) -> RunDir:
    """Create or reopen a run directory, with what is worth knowing about this command."""
    environment = capture(
        name=checkpoint.name,
        ref=checkpoint.ref,
        kind=checkpoint.kind,
        command=[shlex.quote(word) for word in ["xftbench", *sys.argv[1:]]],
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        model=None if checkpoint.kind == "samples" else read_facts(Path(checkpoint.path)),
    )
    return RunDir(path, spec, environment, style)


def _tell_of_kin(path: Path, spec: RunSpec) -> None:
    """Say why runs like this one, but of another machine or version, are neither gone on with nor taken."""
    stem = path.name.rpartition("--")[0]
    for other in sorted(path.parent.glob(f"{glob.escape(stem)}--*/spec.json")):
        try:
            found = comparable.differences(read_spec(other.parent).spec, spec)
        except StoreError:
            continue
        fields = {difference.field for difference in found}
        if fields & _UNCHOSEN and {difference.kind for difference in found} == {"noted"}:
            told = "; ".join(f"{one.field}: {one.before} -> {one.after}" for one in found)
            _logger.warning("%s was made otherwise, so this is another run: %s", other.parent, told)


def warn_of_cut_replies(label: str, run_dir: RunDir) -> None:
    """Say how many replies the token limit cut off: what they lack is no sign that the model can't do it."""
    cut = [key for key, sample in run_dir.samples.items() if sample.finish_reason == "length"]
    verdicts = [verdict.verdict for key in cut if (verdict := run_dir.verdicts.get(key))]
    n_failed = len(cut) - verdicts.count("passed")
    if n_failed:
        judged = f", and {n_failed} of these did not pass" if verdicts else ""
        _logger.warning(
            "%s: %d of %d replies were cut off at the limit of tokens%s (--max-new-tokens raises it)",
            label, len(cut), len(run_dir.samples), judged,
        )  # fmt: skip


def refuse_infrastructure_errors(results: Mapping[Path, ScoresFile]) -> None:
    """End a command whose sandbox failed on some samples, after everything else was reported.

    Raises:
        SandboxError: If there are such samples.
    """
    broken = [
        f"{count} samples in {path}"
        for path, scores_file in results.items()
        if (count := scores_file.scores.counts.get("infrastructure_error", 0))
    ]
    if broken:
        raise SandboxError(
            "the sandbox failed on some samples, which are neither passed nor failed\n  "
            + "\n  ".join(broken),
            hint="give the same command again; only those samples are tried again",
        )
