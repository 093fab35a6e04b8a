"""From ``--models`` and its companions to runs that can be made: shared by `run` and `generate`."""

import logging
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from xftbench.commands.options import parse_models
from xftbench.errors import SandboxError, UsageProblem
from xftbench.execution.pool import Isolation
from xftbench.generation import BackendOptions, choose_backend, describe_engine, open_backend
from xftbench.generation.backend import Backend, Engine
from xftbench.generation.checkpoints import Checkpoint, resolve
from xftbench.generation.replay import read_samples
from xftbench.hashing import sha256_record
from xftbench.pipeline import Source, Task, from_model, from_samples
from xftbench.plan import Suite, generation_spec, load_suite, scoring_spec
from xftbench.prompts.extract import ExtractionName
from xftbench.prompts.render import find_style, render_all
from xftbench.prompts.templates import PromptStyle
from xftbench.records import Limits, Prompt, SamplingParams
from xftbench.store.environment import capture
from xftbench.store.model_facts import read_facts
from xftbench.store.run_dir import RunDir, ScoresFile
from xftbench.store.spec import RunSpec

_logger = logging.getLogger(__name__)

REPLAY = Engine(name="replay", version="1", dtype="", device="")
"""The engine of samples that were made elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsRequest:
    """The options of `run` and `generate`, as typed by the user."""

    models: Sequence[str]
    suite: str
    data_dir: Path | None
    style: str | None
    backend: str
    dtype: str
    sampling: SamplingParams
    limit: int | None
    task_ids: Sequence[str]
    isolation: Isolation
    out: Path
    cache_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """One model's run, ready to be made."""

    checkpoint: Checkpoint
    task: Task
    source: Source
    spec: RunSpec
    path: Path

    def open(self) -> RunDir:
        """Create or reopen the run directory."""
        return open_run(self.path, self.spec, self.checkpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every model of one command is asked alike."""

    suite: Suite
    style: PromptStyle
    prompts: tuple[Prompt, ...]


def plan_runs(request: ModelsRequest) -> tuple[Suite, list[ModelRun]]:
    """Resolve everything before anything expensive starts: a slip in the last model costs seconds.

    Raises:
        UsageProblem, DataFileError, BackendError: For what can't be resolved.
    """
    models = parse_models(request.models)
    suite = load_suite(
        request.suite, data_dir=request.data_dir, task_ids=request.task_ids, limit=request.limit
    )
    style = find_style(suite.benchmark.name, request.style)
    asked = Asked(suite=suite, style=style, prompts=render_all(suite.problems, style))
    checkpoints = [resolve(name, ref, cache_dir=request.cache_dir) for name, ref in models]
    return suite, list(_runs(request, asked, checkpoints))


def _runs(request: ModelsRequest, asked: Asked, checkpoints: Sequence[Checkpoint]) -> Iterator[ModelRun]:
    for checkpoint in checkpoints:
        if checkpoint.kind == "samples":
            yield _replayed(request, asked, checkpoint)
        else:
            yield _generated(request, asked, checkpoint)


def _generated(request: ModelsRequest, asked: Asked, checkpoint: Checkpoint) -> ModelRun:
    name, reason = choose_backend(request.backend)
    _logger.info("%s: %s (%s)", checkpoint.name, checkpoint.ref, reason)
    if checkpoint.has_chat_template and not asked.style.is_chat and request.style is None:
        _logger.info(
            "%s has a chat template, which style %r, the suite's published protocol, does not use "
            "(--style chat does)",
            checkpoint.name, asked.style.name,
        )  # fmt: skip
    options = BackendOptions(dtype=request.dtype)

    def load() -> AbstractContextManager[Backend]:
        _logger.info("%s: loading into %s; the first answers take a while", checkpoint.name, name)
        return open_backend(name, checkpoint, options)

    source = from_model(asked.prompts, request.sampling, load)
    engine = describe_engine(name, checkpoint, options)
    return _model_run(request, asked, checkpoint, engine, source)


def _replayed(request: ModelsRequest, asked: Asked, checkpoint: Checkpoint) -> ModelRun:
    everything = read_samples(Path(checkpoint.path), asked.suite.data.task_ids)
    selected = set(asked.suite.task_ids)
    samples = [sample for sample in everything if sample.task_id in selected]
    if not samples:
        raise UsageProblem(f"{checkpoint.path} has no sample of the problems that were selected")
    return _model_run(request, asked, checkpoint, REPLAY, from_samples(samples))


def _model_run(
    request: ModelsRequest, asked: Asked, checkpoint: Checkpoint, engine: Engine, source: Source
) -> ModelRun:
    extraction: ExtractionName = "given" if checkpoint.kind == "samples" else asked.style.extraction
    spec = RunSpec(
        generation=generation_spec(checkpoint, asked.style.name, asked.prompts, request.sampling, engine),
        scoring=scoring_spec(asked.suite, extraction, Limits(), request.isolation),
    )
    return ModelRun(
        checkpoint=checkpoint,
        task=Task(benchmark=asked.suite.benchmark, problems=asked.suite.problems, extraction=extraction),
        source=source,
        spec=spec,
        path=request.out / f"{asked.suite.benchmark.name}--{checkpoint.name}--{sha256_record(spec)[:8]}",
    )


def open_run(path: Path, spec: RunSpec, checkpoint: Checkpoint) -> RunDir:
    """Create or reopen a run directory, with what is worth knowing about this command."""
    environment = capture(
        name=checkpoint.name,
        ref=checkpoint.ref,
        kind=checkpoint.kind,
        command=[shlex.quote(word) for word in ["xftbench", *sys.argv[1:]]],
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        model=None if checkpoint.kind == "samples" else read_facts(Path(checkpoint.path)),
    )
    return RunDir(path, spec, environment)


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
