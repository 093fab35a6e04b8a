"""What a command line asks for, resolved: problems, prompts, and the spec that identifies a run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xftbench.benchmarks import parse_suite
from xftbench.benchmarks.benchmark import Benchmark, DataSet, select
from xftbench.benchmarks.suggest import suggestion
from xftbench.errors import UsageProblem
from xftbench.execution.pool import Isolation
from xftbench.execution.probe import describe
from xftbench.generation.backend import Engine
from xftbench.generation.checkpoints import Checkpoint
from xftbench.hashing import sha256_record
from xftbench.prompts.extract import ExtractionName
from xftbench.records import Limits, Problem, Prompt, SamplingParams
from xftbench.store.spec import GenerationSpec, ScoringSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A benchmark's version, and which of its problems are asked."""

    benchmark: Benchmark
    data: DataSet
    problems: tuple[Problem, ...]

    @property
    def task_ids(self) -> list[str]:
        """Of the selected problems, in the benchmark's order."""
        return [problem.task_id for problem in self.problems]


def load_suite(
    text: str, *, data_dir: Path | None, task_ids: Sequence[str] = (), limit: int | None = None
) -> Suite:
    """Return the problems that ``SUITE[@VERSION]`` and the filters name.

    Raises:
        UsageProblem: If the suite, its version or a task_id is unknown.
        DataFileError: If the data file is missing or not the pinned one.
    """
    benchmark, version = parse_suite(text)
    data = benchmark.load(version, data_dir)
    known = data.task_ids
    for task_id in task_ids:
        if task_id not in known:
            near = suggestion(task_id, known).split(" known:")[0]
            raise UsageProblem(f"{benchmark.name} has no problem {task_id!r}", hint=near[:200])
    return Suite(benchmark=benchmark, data=data, problems=select(data.problems, task_ids, limit))


def generation_spec(
    checkpoint: Checkpoint, style: str, prompts: Sequence[Prompt], sampling: SamplingParams, engine: Engine
) -> GenerationSpec:
    """Return everything that decides a checkpoint's completions."""
    return GenerationSpec(
        checkpoint_sha256=checkpoint.sha256,
        style=style,
        prompts_sha256=sha256_record(prompts),
        sampling=sampling,
        engine=engine.name,
        engine_version=engine.version,
        dtype=engine.dtype,
        device=engine.device,
    )


def scoring_spec(
    suite: Suite, extraction: ExtractionName, limits: Limits, isolation: Isolation
) -> ScoringSpec:
    """Return everything that decides the verdicts of given completions."""
    identity = describe(isolation, suite.benchmark.toolchains(suite.problems))
    return ScoringSpec(
        suite=suite.benchmark.name,
        suite_version=suite.data.version,
        data_sha256=suite.data.sha256,
        n_problems=len(suite.problems),
        problems_sha256=sha256_record(suite.task_ids),
        extraction=extraction,
        limits=limits,
        isolation=identity.isolation,
        python=identity.python,
        libraries=identity.libraries,
        toolchains=identity.toolchains,
    )
