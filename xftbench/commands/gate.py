"""``xftbench gate``: end with 1 if a candidate is worse than its reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from xftbench import __version__, jsonl
from xftbench.commands.options import (
    PATH,
    allow_option,
    data_dir_for,
    json_option,
    runs_option,
    statistics_options,
)
from xftbench.commands.tags import tags_reader
from xftbench.errors import NotComparableError, StoreError, UsageProblem

if TYPE_CHECKING:
    from xftbench.report.gate_output import GateResult
    from xftbench.store.results import Model, Results

DEFAULT_RULE = "any < 0pt at 95%"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    candidates: Sequence[str]
    against: str | None
    fail_if: Sequence[str]
    checkpoint: Path | None
    invariants_only: Path | None
    logits: bool
    parents: Path | None
    data_dir: Path | None
    runs: Path
    save_baseline: Path | None


@click.command
@click.argument("candidates", nargs=-1, metavar="CANDIDATE ...")
@click.option("--against", metavar="REFERENCE", help="A run, a model's NAME, or a committed baseline file.")
@click.option(
    "--fail-if",
    multiple=True,
    metavar="RULE",
    help='For example "humaneval+ < -1.5pt at 95%" or "lost > 5"; may be repeated.  '
    f"[default: {DEFAULT_RULE}]",
)
@click.option(
    "--save-baseline", type=PATH, metavar="FILE", help="Write the candidate's results, if it passes."
)
@click.option("--junit", type=PATH, metavar="FILE", help="Write JUnit XML.")
@click.option("--markdown", type=PATH, metavar="FILE", help="Write a summary for a pull request.")
@click.option(
    "--checkpoint", type=PATH, metavar="DIR", help="Check this checkpoint's merge invariants as well, first."
)
@click.option(
    "--invariants-only",
    type=PATH,
    metavar="DIR",
    help="Check a checkpoint's merge invariants and nothing else.",
)
@click.option(
    "--logits", is_flag=True, help="With invariants: compare logits at step 0 too; loads both models."
)
@click.option("--parents", type=PATH, metavar="DIR", help="Where parents lie that are not where they were.")
@data_dir_for("Folder with benchmark files; needed by rules with [TAG=VALUE].")
@statistics_options
@allow_option
@runs_option
@json_option
def command(junit: Path | None, markdown: Path | None, as_json: bool, **options: Any) -> int:
    """Fail a build whose model is worse, and say which problems broke.

    Each rule has a level and a test of its own: --alpha, --margin and --mid-p are for the sentence that is
    printed about each suite.

    \b
    Exit codes:
      0  passed
      1  regression: a rule or a merge invariant failed
      2  usage
      3  not comparable, or an invariant could not be checked
    """  # noqa: D301 - click's mark is the character itself
    # Not at the top: scipy takes longer to import than everything else here.
    from xftbench.report import gate_output

    request = _Request(**{name: options.pop(name) for name in _Request.__slots__})
    result, candidate = _run(request, options)
    if as_json:
        found = {"outcome": result.word.lower(), **msgspec.to_builtins(result)}
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        click.echo(gate_output.text(result))
    for path, data in (
        (junit, gate_output.junit(result)),
        (markdown, gate_output.markdown(result).encode()),
    ):
        if path is not None:
            _write(path, data)
    baseline = request.save_baseline
    if baseline is not None and candidate is not None and not (result.failed or result.unchecked):
        from xftbench.store.results import write_baseline

        write_baseline(baseline, list(candidate.suites.values()), __version__)
        click.echo(f"baseline: {baseline}", err=True)
    return 1 if result.failed else 3 if result.unchecked else 0


def _run(request: _Request, statistics: dict[str, Any]) -> "tuple[GateResult, Model | None]":
    from xftbench.commands.invariants import check_invariants
    from xftbench.report.gate_output import GateResult

    if request.invariants_only is not None:
        if request.candidates or request.against:
            raise UsageProblem("--invariants-only checks a checkpoint and no runs")
        found = check_invariants(request.invariants_only, request.parents, logits=request.logits)
        name = request.invariants_only.name
        return GateResult(candidate=name, reference=None, invariants=tuple(found)), None
    if not request.candidates:
        raise UsageProblem("no candidate", hint="xftbench gate CANDIDATE --against REFERENCE")
    if "" in (*request.candidates, request.against):
        raise UsageProblem("a model is named by an empty word", hint="is a variable of the shell not set?")
    if request.against is None and request.fail_if:
        raise UsageProblem("--fail-if has nothing to compare with", hint="name a reference with --against")
    if request.against is None and not (request.checkpoint or request.save_baseline):
        raise UsageProblem("nothing is to be checked", hint="name a reference with --against")
    invariants = (
        check_invariants(request.checkpoint, request.parents, logits=request.logits)
        if request.checkpoint
        else []
    )
    candidate = _one_model(request.candidates, request.runs)
    if request.against is None:
        return GateResult(candidate=candidate.label, reference=None, invariants=tuple(invariants)), candidate
    result = _compare(request, candidate, statistics)
    return msgspec.structs.replace(result, invariants=tuple(invariants)), candidate


def _one_model(words: Sequence[str], runs: Path) -> "Model":
    from xftbench.store.results import find_models

    found = find_models(words, runs)
    if len(found) != 1:
        raise UsageProblem(
            f"{' '.join(words)} stands for {len(found)} models: {', '.join(model.label for model in found)}",
            hint="the gate looks at one candidate and one reference",
        )
    return found[0]


def _compare(request: _Request, candidate: "Model", statistics: dict[str, Any]) -> "GateResult":
    from xftbench.report.comparison import compare, settings_of
    from xftbench.report.gate_output import GateResult
    from xftbench.report.gate_rules import evaluate, parse_rule
    from xftbench.store.noise import read_certificates
    from xftbench.store.results import noise_folders

    rules = [parse_rule(text) for text in request.fail_if or [DEFAULT_RULE]]
    reference = _one_model([str(request.against)], request.runs)
    if reference.label == candidate.label:
        reference = msgspec.structs.replace(reference, label=f"{reference.label} (reference)")
    missing = [suite for suite in reference.suites if suite not in candidate.suites]
    if missing:
        raise NotComparableError(
            f"{candidate.label} has no run of {', '.join(missing)}, which {reference.label} has",
            hint="run the candidate on it; or compare with a reference without it",
        )
    settings = settings_of(**statistics, check="score")
    both = [reference, candidate]
    certificates = read_certificates(*noise_folders(both, request.runs))
    comparison = compare(both, None, settings, certificates)
    pairs = {
        suite: (results, candidate.suites[suite])
        for suite, results in reference.suites.items()
        if suite in candidate.suites
    }
    floors = {pair.suite: pair.noise_floor for pair in comparison.pairs if pair.noise_floor is not None}
    read_tags = tags_reader(request.data_dir)

    def tags_of(results: "Results") -> Mapping[str, Mapping[str, str]]:
        return read_tags(results.suite, results.spec.scoring.suite_version)

    results = [evaluate(rule, pairs, floors, settings.question.k, tags_of) for rule in rules]
    return GateResult(
        candidate=candidate.label, reference=reference.label, rules=tuple(results), comparison=comparison
    )


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        jsonl.write_atomically(path, data)
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror or error}") from error
