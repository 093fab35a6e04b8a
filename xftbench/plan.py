"""What a command line asks for, resolved: suites, problems, prompts, and the spec that identifies a run."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from xftbench.benchmarks import parse_suite
from xftbench.benchmarks.benchmark import Benchmark, DataSet, select
from xftbench.benchmarks.ds1000 import Ds1000
from xftbench.benchmarks.suggest import near_task
from xftbench.errors import ToolchainError, UsageProblem, XftbenchError
from xftbench.execution.native.toolchains import missing_toolchains
from xftbench.execution.pool import Isolation
from xftbench.execution.probe import Executor, describe, missing_data, require_environments
from xftbench.generation.backend import Engine
from xftbench.generation.checkpoints import Checkpoint
from xftbench.hashing import sha256_record
from xftbench.prompts.presets import PRESETS, Selection, expand
from xftbench.prompts.render import find_style, render_all
from xftbench.prompts.style import ExtractionName, Policy, PromptStyle
from xftbench.records import Limits, NativeProblem, Problem, Prompt, SamplingParams
from xftbench.store.spec import GenerationSpec, ScoringSpec

T = TypeVar("T")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteOptions:
    """What a command's options say about its suites."""

    suites: Sequence[str]
    """Words after ``--suite``; presets are not spelled out yet."""
    data_dir: Path | None
    isolation: Isolation
    timeout_scale: float = 1.0
    ids: Sequence[str] = ()
    limit: int | None = None
    style: str | None = None
    sampling: Mapping[str, Any] | None = None
    """Decoding options that were given; the style's own stand for the others."""
    missing_toolchains: Literal["refused", "left_out", "not_needed"] = "refused"
    """What becomes of problems in a language that can't be run here."""
    ds1000_unseeded: bool = False
    """Whether DS-1000's programs run as officially, without seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A benchmark's version, which of its problems are asked, how, and what judges the answers."""

    benchmark: Benchmark
    data: DataSet
    problems: tuple[Problem, ...]
    style: PromptStyle
    sampling: SamplingParams
    prompts: tuple[Prompt, ...]
    limits: Limits
    executor: Executor
    left_out: tuple[str, ...] = ()
    """What is not asked, because it can't be judged here: languages, and problems with what they lack."""

    @property
    def name(self) -> str:
        """Of the benchmark, with what was selected of it."""
        return self.benchmark.name

    @property
    def task_ids(self) -> list[str]:
        """Of the selected problems, in the benchmark's order."""
        return [problem.task_id for problem in self.problems]


class _Loaded(NamedTuple):
    """A suite whose data is here, and which of its problems are asked."""

    benchmark: Benchmark
    data: DataSet
    style: PromptStyle
    problems: tuple[Problem, ...]


def plan_suites(options: SuiteOptions) -> list[Suite]:
    """Resolve every suite of a command; whatever one of them lacks here is told before anything starts.

    Raises:
        UsageProblem: If a suite, its version, a style or a task_id is unknown.
        XftbenchError: What the suites that can't run here lack; each with what to do about it.
    """
    selections = expand(list(options.suites))
    named = [(selection, *_benchmark(selection, options)) for selection in selections]
    names = [benchmark.name for _, benchmark, _ in named]
    if len(set(names)) < len(names):
        raise UsageProblem("--suite names one suite twice", hint="give each version a command of its own")
    styled = [
        (benchmark, version, find_style(benchmark.family, options.style or selection.style))
        for selection, benchmark, version in named
    ]
    if options.ds1000_unseeded and not any(isinstance(benchmark, Ds1000) for _, benchmark, _ in named):
        raise UsageProblem(
            f"--ds1000-unseeded: {' and '.join(names)} has nothing to do with DS-1000", hint="leave it out"
        )
    loaded = _each(names, [partial(_load, *suite, options.data_dir) for suite in styled])
    _refuse_idle_skipping(loaded, options)
    chosen = _with_ids(loaded, options.ids, options.limit)
    return _each(names, [partial(_finish, suite, options) for suite in chosen])


def _refuse_idle_skipping(loaded: Sequence[_Loaded], options: SuiteOptions) -> None:
    """Refuse to leave languages out where no suite has any: whoever asks for it means another suite."""
    if options.missing_toolchains == "left_out" and not any(
        isinstance(problem, NativeProblem) for suite in loaded for problem in suite.data.problems
    ):
        names = " and ".join(suite.benchmark.name for suite in loaded)
        raise UsageProblem(
            f"--skip-missing-toolchains: {names} has no languages that could be left out", hint="leave it out"
        )


def _benchmark(selection: Selection, options: SuiteOptions) -> tuple[Benchmark, str]:
    try:
        benchmark, version = parse_suite(selection.suite)
    except UsageProblem as error:
        if error.message.startswith("unknown suite"):
            error.hint = f"{error.hint or ''}; presets: {', '.join(PRESETS)}"
        raise
    if options.ds1000_unseeded and isinstance(benchmark, Ds1000):
        benchmark = benchmark.unseeded()
    return benchmark, version


def _load(benchmark: Benchmark, version: str, style: PromptStyle, data_dir: Path | None) -> _Loaded:
    data = benchmark.load(version, data_dir)
    return _Loaded(benchmark, data, style, data.problems)


def _finish(loaded: _Loaded, options: SuiteOptions) -> Suite:
    """Word the prompts, and look for what the programs need."""
    problems, left_out = _runnable(loaded, options)
    if options.missing_toolchains != "not_needed":
        problems, lacking = _judgeable(loaded.benchmark, problems)
        left_out += lacking
    return Suite(
        benchmark=loaded.benchmark,
        data=loaded.data,
        problems=problems,
        left_out=left_out,
        style=loaded.style,
        sampling=_sampling(loaded.style.sampling, options.sampling or {}),
        prompts=render_all(problems, loaded.style),
        limits=loaded.benchmark.limits.scaled(options.timeout_scale),
        executor=describe(options.isolation, loaded.benchmark.toolchains(problems)),
    )


def _runnable(loaded: _Loaded, options: SuiteOptions) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Return the problems whose languages can be run here, and the languages that can't.

    Raises:
        ToolchainError: If there are such languages and they were not to be left out, or if nothing remains.
    """
    benchmark, problems = loaded.benchmark, loaded.problems
    missing = missing_toolchains(benchmark.toolchains(problems))
    if not missing or options.missing_toolchains == "not_needed":
        return problems, ()
    languages = tuple(toolchain.language for toolchain in missing)
    kept = tuple(problem for problem in problems if problem.language not in languages)
    if options.missing_toolchains == "left_out" and kept:
        return kept, languages
    wants = [
        f"  {toolchain.language} ({sum(problem.language == toolchain.language for problem in problems)} "
        f"problems) needs {', '.join(toolchain.what)}: {toolchain.install}"
        for toolchain in missing
    ]
    raise ToolchainError(
        f"{benchmark.name}: no toolchain here for {', '.join(languages)}\n" + "\n".join(wants),
        hint="install what is missing, or leave those languages out of the score by --skip-missing-toolchains"
        if kept
        else "install what is missing; xftbench doctor says what is here",
    )


def _judgeable(
    benchmark: Benchmark, problems: tuple[Problem, ...]
) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """Take out the problems whose own tests lack a data set here: they would fail, whatever the answer.

    Raises:
        ToolchainError: If the environment that the programs run in is not there, or if nothing remains.
    """
    require_environments(benchmark.toolchains(problems))
    missing = missing_data({problem.needs for problem in problems} - {""})
    lacking = [problem for problem in problems if problem.needs in missing]
    if not lacking:
        return problems, ()
    kept = tuple(problem for problem in problems if problem.needs not in missing)
    what = " and ".join(sorted(missing))
    if not kept:
        raise ToolchainError(f"the selected problems of {benchmark.name} need {what}, which is not here")
    _logger.warning(
        "%s: %d problems can't be judged here and are left out of the score: they need %s",
        benchmark.name, len(lacking), what,
    )  # fmt: skip
    return kept, tuple(f"{one.task_id} (needs {one.needs})" for one in lacking)


def _sampling(published: SamplingParams, given: Mapping[str, Any]) -> SamplingParams:
    """Return the decoding: what was given, else the style's; greedy draws are all alike, so one is enough."""
    sampling = msgspec.structs.replace(published, **given)
    if given.get("temperature") == 0 and "n" not in given:
        sampling = msgspec.structs.replace(sampling, n=1)
    return sampling


def _each(names: Sequence[str], steps: Sequence[Callable[[], T]]) -> list[T]:
    """Take a step for every suite, and raise one error for all that can't."""
    results: list[T] = []
    failures: list[tuple[str, XftbenchError]] = []
    for name, step in zip(names, steps, strict=True):
        try:
            results.append(step())
        except UsageProblem:
            raise
        except XftbenchError as error:
            failures.append((name, error))
    if not failures:
        return results
    first = failures[0][1]
    if len(names) == 1:
        raise first
    lines = [f"{len(failures)} of {len(names)} suites can't run here, so nothing was started"]
    for name, failure in failures:
        lines.append(f"  {name}: {failure.message}")
        if failure.hint:
            lines.append(f"    -> {failure.hint}")
    raise type(first)("\n".join(lines)) from first


def _with_ids(suites: Sequence[_Loaded], ids: Sequence[str], limit: int | None) -> list[_Loaded]:
    """Keep the selected problems of each suite."""
    known = [task_id for suite in suites for task_id in suite.data.task_ids]
    for task_id in sorted(set(ids) - set(known)):
        near = near_task(task_id, known)
        where = " and ".join(suite.benchmark.name for suite in suites)
        hint = f"did you mean {near}?" if near else f"its problems are named like {known[0]}"
        raise UsageProblem(f"{where} has no problem {task_id!r}", hint=hint)
    kept = [suite._replace(problems=select(suite.problems, ids, limit)) for suite in suites]
    for suite in kept:
        if not suite.problems:
            raise UsageProblem(f"no problem of {suite.benchmark.name} is selected", hint="leave it out")
    return kept


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
        processor=engine.processor,
        batch_size=engine.batch_size,
        order=engine.order,
    )


def scoring_spec(suite: Suite, extraction: ExtractionName, policy: Policy) -> ScoringSpec:
    """Return everything that decides the verdicts of given completions."""
    return ScoringSpec(
        suite=suite.name,
        suite_version=suite.data.version,
        data_sha256=suite.data.sha256,
        n_problems=len(suite.problems),
        n_suite=len(suite.data.problems),
        problems_sha256=sha256_record(suite.task_ids),
        extraction=extraction,
        policy=policy,
        limits=suite.limits,
        isolation=suite.executor.isolation,
        python=suite.executor.python,
        libraries=suite.executor.libraries,
        toolchains=suite.executor.toolchains,
        options=suite.benchmark.options if isinstance(suite.benchmark, Ds1000) else {},
        left_out=suite.left_out,
    )
