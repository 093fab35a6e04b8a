"""May two runs stand side by side? One answer for `compare`, `gate`, `explain` and the leaderboard.

Every field of a run's spec counts unless it stands in one of the two lists below, so a field that is added to
the spec later separates runs until somebody decides otherwise.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from xftbench.errors import NotComparableError, UsageProblem
from xftbench.hashing import sha256_record, short_id
from xftbench.records import Record
from xftbench.store.spec import RunSpec

Kind = Literal["compared", "noted", "refused"]

_COMPARED = {
    "checkpoint_sha256": "the models themselves: what is compared",
    "sampling.seed": "another draw of the same decoding",
}

_NOTED = {
    "engine_version": "another version may round differently and flip a few greedy answers",
    "dtype": "another precision rounds differently and flips a few greedy answers",
    "device": "another device rounds differently and flips a few greedy answers",
    "processor": "another processor, or number of threads, rounds differently and flips a few greedy answers",
    "batch_size": "another batch size rounds differently and flips a few greedy answers",
    "order": "another order of the prompts makes other batches, which round differently",
}

_MEANING = {
    "style": "the problems were worded differently",
    "prompts_sha256": "the texts or stop strings sent to the model differ",
    "sampling": "the answers were drawn differently",
    "engine": "another engine generated: templates, stops and rounding may differ",
    "suite": "two different benchmarks",
    "suite_version": "another version of the benchmark's data: problems or tests differ",
    "data_sha256": "another data file: problems or tests differ",
    "n_problems": "another number of problems was asked",
    "n_suite": "the suites have different sizes",
    "problems_sha256": "other problems were asked",
    "extraction": "code was taken out of the answers by another rule",
    "policy": "one run looks for code where the other takes the answer literally",
    "limits": "programs had other limits: what is too slow or too big in one run may pass in the other",
    "isolation": "programs ran in another sandbox",
    "python": "programs ran on another Python",
    "libraries": "programs could import other libraries",
    "toolchains": "programs were compiled or run by other tools",
    "options": "the benchmark was set up differently",
    "left_out": "parts of the suite were left out of one run",
    "incomplete": "a run lacks samples or verdicts; only the problems that both have are compared",
}

DECODING_UNKNOWN = (
    "decoding unknown: both are completions made elsewhere that don't say how they were drawn, "
    "so they may differ in that, too"
)
"""Said where two runs may stand side by side because neither says anything."""

_VERSIONED = ("python", "libraries")
"""Compared up to the minor version: patch releases are noted."""


class Difference(Record):
    """One field in which two runs differ."""

    field: str
    before: str
    after: str
    kind: Kind
    meaning: str


def comparable_key(spec: RunSpec, allow: Sequence[str] = ()) -> str:
    """Return a short hash that is equal for two runs exactly if nothing refuses their comparison.

    Args:
        spec: Of a run.
        allow: Fields in which the runs may differ all the same.
    """
    fields = {
        field: _essence(field, value)
        for field, value in _flat(spec)
        if kind_of(field) == "refused" and not is_allowed(field, allow)
    }
    return short_id(sha256_record(fields))


def differences(before: RunSpec, after: RunSpec) -> list[Difference]:
    """Return every field in which two runs differ, with what that means."""
    left, right = dict(_flat(before)), dict(_flat(after))
    found = []
    for field in {**left, **right}:
        old, new = left.get(field), right.get(field)
        if old == new:
            continue
        kind = kind_of(field)
        if kind == "refused" and _essence(field, old) == _essence(field, new):
            kind = "noted"
        found.append(
            Difference(
                field=field, before=_text(old), after=_text(new), kind=kind, meaning=_meaning(field, kind)
            )
        )
    return found


def kind_of(field: str) -> Kind:
    """Return what a difference in a field means for a comparison."""
    if field in _COMPARED:
        return "compared"
    return "noted" if field in _NOTED else "refused"


def check_allowed(allow: Sequence[str]) -> None:
    """Refuse an ``--allow`` that names no field.

    Raises:
        UsageProblem: If one doesn't.
    """
    for word in allow:
        if word.split(".")[0] not in {*_MEANING, *_NOTED}:
            raise UsageProblem(f"--allow {word!r} is no field of a run", hint="known: " + ", ".join(_MEANING))


def is_allowed(field: str, allow: Sequence[str]) -> bool:
    """Whether a field, or a group that it belongs to, was named."""
    return any(field == word or field.startswith(f"{word}.") for word in allow)


def refuse(found: Sequence[Difference], allow: Sequence[str], what: str) -> list[Difference]:
    """Return the differences that were allowed by name.

    Raises:
        NotComparableError: If there are others that refuse the comparison.
    """
    refused = [difference for difference in found if difference.kind == "refused"]
    if wrong := [difference for difference in refused if not is_allowed(difference.field, allow)]:
        lines = "\n  ".join(f"{d.field}: {d.before} -> {d.after} ({d.meaning})" for d in wrong)
        flags = " ".join(f"--allow {name}" for name in dict.fromkeys(d.field for d in wrong))
        raise NotComparableError(
            f"{what} can't be set side by side: they differ in more than the model\n  {lines}",
            hint=f"make both runs alike; or {flags} if you know that it does not matter: the table is then "
            "marked",
        )
    return refused


def _flat(spec: RunSpec) -> Iterator[tuple[str, object]]:
    generation = msgspec.to_builtins(spec.generation)
    generation.pop("stated", None)  # it shows in the values
    unknown = [name for name, value in spec.generation.decoding.items() if value is None]
    generation["sampling"] |= dict.fromkeys(unknown, "unknown")
    for part in (generation, msgspec.to_builtins(spec.scoring)):
        yield from _leaves(part, "")


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _essence(field: str, value: object) -> object:
    if field.split(".")[0] in _VERSIONED and isinstance(value, str):
        return ".".join(value.split(".")[:2])
    return value


def _meaning(field: str, kind: Kind) -> str:
    if field in _COMPARED:
        return _COMPARED[field]
    if field in _NOTED:
        return _NOTED[field]
    if kind == "noted":
        return "patch releases; results are expected to be the same"
    return _MEANING.get(field.split(".")[0], "decides results")


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    text = str(value)
    if len(text) == 64 and " " not in text:
        return text[:12] + "…"
    return text or "none"
