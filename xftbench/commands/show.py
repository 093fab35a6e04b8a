"""``xftbench show``: everything that is known of one sample."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from xftbench import jsonl
from xftbench.benchmarks import parse_suite
from xftbench.benchmarks.suggest import did_you_mean, spelled
from xftbench.commands.options import DIRECTORY, data_dir_option, json_option
from xftbench.errors import StoreError, UsageProblem, XftbenchError
from xftbench.execution.native import proof
from xftbench.execution.native.checks import Check, failed_check
from xftbench.execution.outcome import spelled_out
from xftbench.prompts.render import render
from xftbench.records import NativeProgram, Program, Prompt, Record, Sample, SampleKey, Verdict
from xftbench.store.results import runs_by_name
from xftbench.store.run_dir import find_runs, read_spec
from xftbench.store.spec import SpecFile

_LINES = 60
"""Of a part that are printed; --json has all."""
_WIDTH = 500
"""Of a line that is printed."""


_RUNS = Path("runs")
"""Where other commands look a model's NAME up."""


class Shown(Record, kw_only=True):
    """What ``show --json`` prints."""

    run: str
    task_id: str
    sample_index: int
    prompt: Prompt | None
    """As it was sent; None if the suite's data is not here, or for samples made elsewhere."""
    problem: str = ""
    """The problem's own text."""
    sample: Sample | None
    verdict: Verdict | None
    """None if it was not judged yet."""
    program: dict[str, Any] | None
    """What was executed, put together again."""
    program_is_the_one_judged: bool | None
    program_text: str | None = None
    """Of a language other than Python: the whole file as it was run, the test behind the solution."""
    check: Check | None = None
    """Of a language other than Python: the check that failed, where the program's output names its line."""
    note: str = ""
    """What could not be shown, and why."""


@click.command
@click.argument("run_dir", metavar="RUN", type=DIRECTORY)
@click.argument("task_id", metavar="TASK")
@click.option(
    "--sample",
    "sample_index",
    type=click.IntRange(min=0),
    help="Which of the problem's samples.  [default: the first that did not pass, or the first]",
)
@data_dir_option
@json_option
def command(
    run_dir: Path, task_id: str, sample_index: int | None, data_dir: Path | None, as_json: bool
) -> None:
    """Show one sample of a run: prompt, completion, solution, program, verdict, and why.

    RUN is a run directory, complete or not; TASK a task_id such as HumanEval/3, or its
    number.
    """
    if not (run_dir / "spec.json").exists():
        raise _no_run(run_dir)
    spec = read_spec(run_dir)
    samples = {sample.key: sample for sample in _rows(run_dir / "samples.jsonl", Sample)}
    verdicts = {verdict.key: verdict for verdict in _rows(run_dir / "verdicts.jsonl", Verdict)}
    task_id = spelled(task_id, {task for task, _ in (*samples, *verdicts)})
    index = _choose(run_dir, task_id, sample_index, samples, verdicts)
    key = (task_id, index)
    shown = _put_together(run_dir, spec, data_dir, samples.get(key), verdicts.get(key), key)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    else:
        click.echo("\n".join(_text(shown)))


def _no_run(word: Path) -> UsageProblem:
    """Return what to say of a word that is no run directory; a NAME or a folder may stand for some."""
    near = find_runs(word) if word.is_dir() else runs_by_name(_RUNS).get(str(word), [])
    if near:
        listed = ", ".join(map(str, near[:5]))
        hint = f"name one of its runs: {listed}{', ...' * (len(near) > 5)}"
    else:
        hint = "xftbench run and score make them; a run of ours is named OUT/SUITE--NAME--RUN"
    return UsageProblem(f"{word} is no run directory: it has no spec.json", hint=hint)


def _rows(path: Path, record_type: type[Any]) -> list[Any]:
    """Return the whole lines of a log; the last one may be in the making."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"can't read {path}: {error.strerror}") from error
    return jsonl.decode(data[: data.rfind(b"\n") + 1], record_type, str(path))


def _choose(run_dir: Path, task_id: str, sample_index: int | None, samples: Any, verdicts: Any) -> int:
    """Return which sample of a problem is shown.

    Raises:
        UsageProblem: If the run has no such problem or sample; near ones are named.
    """
    keys: list[SampleKey] = list(dict.fromkeys([*samples, *verdicts]))
    indexes = sorted(index for task, index in keys if task == task_id)
    if not indexes:
        tasks = list(dict.fromkeys(task for task, _ in keys))
        if not tasks:
            raise UsageProblem(f"{run_dir} has no sample yet")
        raise UsageProblem(f"{run_dir} has no problem {task_id!r}", hint=_near(task_id, tasks))
    if sample_index is None:
        wrong: list[int] = [
            i for i in indexes if (v := verdicts.get((task_id, i))) is not None and v.verdict != "passed"
        ]
        return (wrong or indexes)[0]
    if sample_index not in indexes:
        raise UsageProblem(
            f"{run_dir} has no sample {sample_index} of {task_id}",
            hint=f"it has {indexes[0]} to {indexes[-1]}",
        )
    return sample_index


def _near(task_id: str, tasks: Sequence[str]) -> str:
    """Return the problems that may have been meant."""
    ending = [task for task in tasks if task.rpartition("/")[2] == task_id or task_id in task][:3]
    if ending:
        return "did you mean " + " or ".join(ending) + "?"
    named = tasks[0] if len(tasks) == 1 else f"{tasks[0]} to {tasks[-1]}"
    return f"{did_you_mean(task_id, tasks)}it has {len(tasks)} problem{'s' * (len(tasks) != 1)}: {named}"


def _put_together(
    run_dir: Path,
    spec: SpecFile,
    data_dir: Path | None,
    sample: Sample | None,
    verdict: Verdict | None,
    key: tuple[str, int],
) -> Shown:
    prompt: Prompt | None = None
    program: Program | None = None
    note = text = ""
    try:
        benchmark, version = parse_suite(f"{spec.spec.scoring.suite}@{spec.spec.scoring.suite_version}")
        (problem,) = [p for p in benchmark.load(version, data_dir).problems if p.task_id == key[0]]
        text = problem.prompt
        prompt = render(problem, spec.style) if spec.style else None
        program = benchmark.program(problem, verdict.solution) if verdict else None
    except XftbenchError as error:
        note = f"prompt and program are not shown: {error.message}"
    is_the_one = program.sha256 == verdict.program_sha256 if program and verdict else None
    native = program if isinstance(program, NativeProgram) else None
    return Shown(
        run=str(run_dir),
        task_id=key[0],
        sample_index=key[1],
        prompt=prompt,
        problem=text,
        sample=sample,
        verdict=verdict,
        program=msgspec.to_builtins(program) if program else None,
        program_is_the_one_judged=is_the_one,
        program_text=proof.plain(native) if native else None,
        check=failed_check(native, verdict) if native and verdict and is_the_one else None,
        note=note,
    )


def _text(shown: Shown) -> Iterator[str]:
    verdict = shown.verdict
    yield f"{shown.task_id}, sample {shown.sample_index}: {verdict.verdict if verdict else 'not judged yet'}"
    if verdict:
        yield from _verdict_lines(verdict)
    if shown.check:
        yield f"check     line {shown.check.line}: {_one_line(shown.check.text)}"
    if shown.note:
        yield f"note      {shown.note}"
    yield from _prompt_parts(shown)
    if shown.sample:
        yield from _sample_part(shown.sample)
    if verdict:
        yield from _part(f"solution (rule {verdict.rule})", verdict.solution)
    yield from _program_parts(shown)
    if verdict and verdict.stderr:
        yield from _part("stderr (its end)", verdict.stderr)


def _prompt_parts(shown: Shown) -> Iterator[str]:
    if shown.prompt is None:
        if shown.problem:
            yield from _part("problem (how it was put to the model is not known)", shown.problem)
        return
    kind = "prompt, inside the checkpoint's chat template" if shown.prompt.is_chat else "prompt"
    yield from _part(kind, shown.prompt.text)
    if shown.prompt.response:
        yield from _part("beginning of the reply", shown.prompt.response)


def _sample_part(sample: Sample) -> Iterator[str]:
    end = {"stop": "ended by itself", "length": "cut off at the token limit", None: ""}
    why = f"ended at {sample.stop_reason!r}" if sample.stop_reason else end[sample.finish_reason]
    title = "completion" if sample.completion is not None else "solution, as given"
    text = sample.completion if sample.completion is not None else sample.solution or ""
    yield from _part(f"{title} ({why})" if why else title, text)


def _program_parts(shown: Shown) -> Iterator[str]:
    if shown.program is None:
        return
    if not shown.program_is_the_one_judged:
        yield "\nThe program below is what xftbench would run now; it is not the one that was judged."
    if shown.program_text is not None:
        yield from _numbered(shown.program_text, shown.check)
        return
    for name, value in shown.program.items():
        if name not in ("kind", "task_id", "solution"):
            yield from _part(f"program: {name}", value if isinstance(value, str) else _compact(value))


def _numbered(text: str, check: Check | None) -> Iterator[str]:
    """Yield a program's lines with their numbers; of a long one those around the check, or its end."""
    yield "\n--- program (the test behind the solution) ---"
    lines = text.split("\n")
    begin = max(0, len(lines) - _LINES)
    if check:
        begin = max(0, min(begin, check.line - _LINES // 2))
    if begin:
        yield f"... {begin} lines before (--json has all)"
    for number, line in enumerate(lines[begin : begin + _LINES], start=begin + 1):
        mark = ">" if check and number == check.line else " "
        yield f"{mark}{number:>4}  {_one_line(line)}".rstrip()
    if left := len(lines[begin + _LINES :]):
        yield f"... {left} more lines (--json has all)"


def _compact(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _verdict_lines(verdict: Verdict) -> Iterator[str]:
    checks = [f"{name} {value}" for name in ("base", "plus", "strict") if (value := getattr(verdict, name))]
    if checks:
        yield f"checks    {', '.join(checks)}"
    for name in ("detail", "evidence"):
        if value := getattr(verdict, name):
            yield f"{name:<9} {value}"
    yield f"took      {verdict.cpu_s:g} s of CPU, {verdict.wall_s:g} s of wall time"
    if verdict.failure:
        for name in ("input", "expected", "actual"):
            if text := getattr(verdict.failure, name):
                yield f"{name:<9} {_one_line(text)}"


def _part(title: str, text: str) -> Iterator[str]:
    yield f"\n--- {title} ---"
    lines = text.split("\n")
    yield from (_one_line(line) for line in lines[:_LINES])
    if len(lines) > _LINES:
        yield f"... {len(lines) - _LINES} more lines (--json has all)"


def _one_line(text: str) -> str:
    """Return a line that no terminal takes for a command, and that does not flood it."""
    shown = spelled_out(text[:_WIDTH])
    return shown + ("…" if len(text) > _WIDTH else "")
