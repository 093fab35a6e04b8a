"""``xftbench noise``: how far does one checkpoint differ from itself?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from xftbench import jsonl
from xftbench.commands.models import Model, ModelRun, ModelsRequest, plan_models
from xftbench.commands.options import (
    SpreadCommand,
    cache_option,
    decoding_options,
    execution_options,
    extraction_option,
    json_option,
    no_cache_option,
    outcomes_path,
    parse_models,
    suite_options,
    suite_request,
)
from xftbench.commands.run import make_run
from xftbench.errors import UsageProblem
from xftbench.generation.checkpoints import is_samples
from xftbench.generation.options import ORDERS, Order
from xftbench.judge import Court
from xftbench.plan import Suite
from xftbench.records import Sample, SampleKey
from xftbench.store.noise import Condition, NoiseCertificate, certify, write_certificate
from xftbench.store.results import read_results
from xftbench.store.run_dir import is_settled


class _Asked(NamedTuple):
    """How one evaluation differs from the plain one."""

    batch_size: int | None = None
    order: Order = "engine"
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """One evaluation of the checkpoint on every suite."""

    asked: _Asked
    suites: Sequence[Suite]
    model: Model


@click.command(cls=SpreadCommand)
@click.argument("model", metavar="NAME=REF")
@click.option(
    "--batch-sizes", default="1,8", show_default=True, help="Besides the engine's own; with commas."
)
@click.option("--orders", default="reversed,shuffled", show_default=True, help="Besides the engine's own.")
@click.option(
    "--seeds", default="1,2", show_default=True, help="Besides 0; only where --temperature is not 0."
)
@decoding_options
@suite_options
@execution_options
@extraction_option
@cache_option
@no_cache_option
@json_option
def command(model: str, batch_sizes: str, orders: str, seeds: str, as_json: bool, **options: Any) -> None:
    """Evaluate one checkpoint several times, and keep how far the results differ.

    Only the batch size, the order of the prompts or the seed changes in between, so whatever differs is
    noise. `compare` and `gate` find the result in OUT/noise and never call a difference within it real. The
    same command goes on where it stopped.
    """
    varied = list(_conditions(batch_sizes, orders, seeds))
    certificates = _measure(model, varied, options)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(certificates), indent=2).decode())
    else:
        click.echo("\n".join(_told(certificate) for certificate in certificates))


def _conditions(batch_sizes: str, orders: str, seeds: str) -> Iterator[_Asked]:
    yield _Asked()
    for size in _numbers("--batch-sizes", batch_sizes, least=1):
        yield _Asked(batch_size=size)
    for order in filter(None, orders.split(",")):
        if order not in ORDERS:
            raise UsageProblem(f"--orders has {order!r}", hint=f"known: {', '.join(ORDERS)}")
        yield _Asked(order=next(known for known in ORDERS if known == order))
    for seed in _numbers("--seeds", seeds, least=0):
        yield _Asked(seed=seed)


def _numbers(option: str, text: str, least: int) -> list[int]:
    try:
        values = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        values = [least - 1]
    if any(value < least for value in values):
        raise UsageProblem(f"{option} {text!r}: expected whole numbers from {least} on, with commas between")
    return values


def _measure(model: str, varied: Sequence[_Asked], options: dict[str, Any]) -> list[NoiseCertificate]:
    workers, no_cache = options.pop("workers"), options.pop("no_cache")
    policy, out = options.pop("extraction"), options.pop("out")
    _refuse_samples(model)
    request = ModelsRequest(models=[model], suites=suite_request(options), policy=policy, out=out, **options)
    planned = _distinct([_plan(request, asked) for asked in varied])
    cache = outcomes_path(request.cache_dir, no_cache=no_cache)
    with Court(workers, request.suites.isolation, cache) as court:
        for index, suite in enumerate(planned[0].suites):
            if not all(is_settled(plan.model.runs[index].path) for plan in planned):
                court.check(suite, suite.problems)
        for plan in planned:
            with plan.model.loader:
                for run in plan.model.runs:
                    make_run(run, court)
    return [_certificate(index, planned, out / "noise") for index in range(len(planned[0].suites))]


def _refuse_samples(model: str) -> None:
    ((_, ref),) = parse_models([model])
    if is_samples(ref) and Path(ref).expanduser().exists():
        raise UsageProblem(
            f"{ref} is a file of samples, and noise is measured by generating several times",
            hint="name the checkpoint that made them",
        )


def _plan(request: ModelsRequest, asked: _Asked) -> _Planned:
    sampling = {**(request.suites.sampling or {}), "seed": asked.seed}
    varied = replace(
        request,
        suites=replace(request.suites, sampling=sampling),
        batch_size=asked.batch_size,
        order=asked.order,
        # The plain one is the ordinary run, and stands where `run` would put it.
        out=request.out if asked == _Asked() else request.out / "noise",
    )
    suites, (model,) = plan_models(varied)
    return _Planned(asked=asked, suites=suites, model=model)


def _distinct(planned: Sequence[_Planned]) -> list[_Planned]:
    """Leave out what would be the same evaluation again: a seed where nothing is drawn, a default spelt out.

    Raises:
        UsageProblem: If only one is left, or the model is a file of samples.
    """
    if planned[0].model.runs[0].checkpoint.kind == "samples":
        raise UsageProblem("noise is measured by generating, and this is a samples file")
    kept: dict[str, _Planned] = {}
    for plan in planned:
        is_drawn = any(run.suite.sampling.temperature > 0 for run in plan.model.runs)
        if plan.asked.seed == 0 or is_drawn:
            kept.setdefault("".join(run.spec.sha256 for run in plan.model.runs), plan)
    if len(kept) < 2:
        raise UsageProblem(
            "noise needs at least two evaluations that differ", hint="name --batch-sizes or --orders"
        )
    return list(kept.values())


def _certificate(index: int, planned: Sequence[_Planned], directory: Path) -> NoiseCertificate:
    runs: list[ModelRun] = [plan.model.runs[index] for plan in planned]
    results = [read_results(run.path) for run in runs]
    conditions = [
        Condition(
            batch_size=run.spec.generation.batch_size,
            order=run.spec.generation.order,
            seed=run.spec.generation.sampling.seed,
            run_id=run.spec.run_id,
            score=sum(c / n for n, c in result.tallies.values()) / max(1, len(result.tallies)),
        )
        for run, result in zip(runs, results, strict=True)
    ]
    tallies = [result.tallies for result in results]
    texts = [_texts(run.path) for run in runs]
    certificate = certify(runs[0].checkpoint.name, runs[0].spec, conditions, tallies, texts)
    write_certificate(directory, certificate)
    return certificate


def _texts(path: Path) -> dict[SampleKey, str]:
    return {sample.key: sample.completion or "" for sample in jsonl.read(path / "samples.jsonl", Sample)}


def _told(certificate: NoiseCertificate) -> str:
    scores = [100 * condition.score for condition in certificate.conditions]
    conditions = [
        f"  {100 * c.score:6.2f} %  batch size {c.batch_size or 'auto'}, order {c.order}, seed {c.seed}"
        for c in certificate.conditions
    ]
    head = f"{certificate.suite}: {certificate.name} evaluated {len(scores)} times"
    floor = (
        f"  {certificate.n_texts_changed} answers change their text between evaluations, "
        f"{certificate.n_flipped} of {certificate.n_problems} problems their result; two evaluations differ "
        f"on {100 * certificate.flip_rate:.2f} % of the problems\n"
        f"  noise floor: {100 * certificate.floor:.2f} points. A difference up to this is not called real."
    )
    return "\n".join([head, *conditions, floor])
