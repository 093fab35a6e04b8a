"""What the problem browser of the page shows, packed: an index, and texts in chunks that are read on demand.

A page may hold a quarter of a million programs. Samples of a problem that agree in program and verdict are
stored once with their number; programs of one problem stand together, where compression finds what they
share. If that is still too much, fewer samples per model and problem are kept, and the page says how many.
"""

import base64
import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from xftbench.records import Problem, Sample, Verdict
from xftbench.report.runs import Run, Table

_PER_CHUNK = 40
_MAX_TEXT, _MAX_CODE = 4_000, 40_000
DEFAULT_MAX_BYTES = 13_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """Texts for the page: base64 of gzipped JSON."""

    index: str
    chunks: tuple[str, ...]
    n_samples: int
    """Samples of the runs."""
    n_kept: int
    """Samples whose program is in the page."""
    per_problem: int | None
    """How many of a model's samples of one problem are kept at most; None if all are."""


def pack(tables: Sequence[Table], max_bytes: int = DEFAULT_MAX_BYTES) -> Packed:
    """Return the browser's data in at most `max_bytes`, or with one sample per model and problem."""
    n_samples = sum(run.scores_file.scores.n_samples for table in tables for run in table.runs)
    entries = [_Entry(number, table, task_id) for number, table in enumerate(tables)
               for task_id in table.task_ids]  # fmt: skip
    cap = max((entry.most_samples for entry in entries), default=1)
    while True:
        starts = range(0, len(entries), _PER_CHUNK)
        texts = [_zipped([entry.texts(cap) for entry in entries[at : at + _PER_CHUNK]]) for at in starts]
        size = sum(map(len, texts))
        if size <= max_bytes or cap == 1:
            break
        cap = max(1, min(cap - 1, int(cap * max_bytes / size)))
    n_kept = sum(entry.n_kept for entry in entries)
    index = {
        "tables": [_about(table) for table in tables],
        "problems": [entry.summary() for entry in entries],
        "perChunk": _PER_CHUNK,
    }
    return Packed(
        index=_zipped(index),
        chunks=tuple(texts),
        n_samples=n_samples,
        n_kept=n_kept,
        per_problem=cap if n_kept < n_samples else None,
    )


def _zipped(value: object) -> str:
    # mtime 0: the same runs give the same page.
    return base64.b64encode(gzip.compress(msgspec.json.encode(value), 7, mtime=0)).decode()


def _about(table: Table) -> dict[str, object]:
    return {
        "label": table.label,
        "apart": table.apart,
        "suite": table.suite,
        "models": [run.name for run in table.runs],
    }


def language_of(table: Table, problem: Problem | None) -> str:
    """Return what a problem's solutions are written in, as far as that is known."""
    if problem is not None:
        return problem.tags.get("language", problem.language)
    return "" if ":" in table.suite or table.suite.startswith("multipl-e") else "python"


class _Entry:
    """One problem of one table."""

    def __init__(self, number: int, table: Table, task_id: str) -> None:
        self._number, self._table, self._task_id = number, table, task_id
        self._problem = table.problems.get(task_id)
        self.n_kept = 0

    @property
    def most_samples(self) -> int:
        """Of any model."""
        return max(len(run.verdicts.get(self._task_id, ())) for run in self._table.runs)

    def summary(self) -> dict[str, object]:
        """Return what the list shows and filters by."""
        tags = dict(self._problem.tags) if self._problem else {}
        return {
            "t": self._number,
            "id": self._task_id,
            "lang": language_of(self._table, self._problem),
            "tags": tags,
            "r": [self._result(run) for run in self._table.runs],
        }

    def _result(self, run: Run) -> list[object]:
        drawn, passed = run.tally(self._task_id)
        wrong = Counter(v.verdict for v in run.verdicts.get(self._task_id, ()) if v.verdict != "passed")
        return [drawn, passed, wrong.most_common(1)[0][0] if wrong else ""]

    def texts(self, cap: int) -> dict[str, object]:
        """Return the prompt and at most `cap` different samples of each model; strings stand once."""
        strings: dict[str, int] = {}
        self.n_kept = 0
        models = [list(self._samples(run, cap, strings)) for run in self._table.runs]
        prompt = self._problem.prompt if self._problem else ""
        return {"p": prompt, "s": list(strings), "m": models}

    def _samples(self, run: Run, cap: int, strings: dict[str, int]) -> Iterator[dict[str, object]]:
        groups: dict[tuple[str, str], list[Verdict]] = {}
        for verdict in run.verdicts.get(self._task_id, ()):
            groups.setdefault((verdict.solution, verdict.verdict), []).append(verdict)
        for members in _spread(list(groups.values()), cap):
            self.n_kept += len(members)
            first = members[0]
            code = strings.setdefault(_cut(first.solution, _MAX_CODE), len(strings))
            yield _sample(first, len(members), code, run.samples)


def _spread(groups: list[list[Verdict]], cap: int) -> list[list[Verdict]]:
    """Return at most `cap` of the groups, alternating between those that passed and those that did not."""
    if len(groups) <= cap:
        return groups
    passed = [group for group in groups if group[0].verdict == "passed"]
    failed = [group for group in groups if group[0].verdict != "passed"]
    n_failed = min(len(failed), max((cap + 1) // 2, cap - len(passed)))
    return passed[: cap - n_failed] + failed[:n_failed]


def _sample(
    verdict: Verdict, count: int, code: int, samples: Mapping[tuple[str, int], Sample]
) -> dict[str, object]:
    sample = samples.get(verdict.key)
    values: dict[str, object] = {
        "i": verdict.sample_index,
        "x": count,
        "c": code,
        "v": verdict.verdict,
        "d": _cut(verdict.detail, _MAX_TEXT),
        "r": verdict.rule,
        "t": sample.n_tokens if sample else None,
        "w": sample.finish_reason if sample else None,
        "cpu": round(verdict.cpu_s, 2),
        "e": _cut(verdict.stderr, _MAX_TEXT),
        "checks": {name: value for name in ("base", "plus", "strict") if (value := getattr(verdict, name))},
    }
    if verdict.failure is not None:
        values["f"] = [_cut(text, _MAX_TEXT) for text in msgspec.structs.astuple(verdict.failure)]
    return {key: value for key, value in values.items() if value not in ("", None, {})}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}\n… {len(text) - length:,} more characters"
