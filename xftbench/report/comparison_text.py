"""A comparison in words that need no statistics, and the figures behind them."""

from collections.abc import Iterator, Sequence

from xftbench.benchmarks.clusters import counted_as
from xftbench.records import Record
from xftbench.report.comparison import Comparison, Finding, SuiteComparison
from xftbench.store.comparable import DECODING_UNKNOWN
from xftbench.store.results import PLUS_ALONE

_SHOWN = 8


class Row(Record):
    """One line of the table, as text."""

    suite: str
    candidate: str
    scores: str
    difference: str
    interval: str
    p: str
    noise: str
    finding: str


def render(comparison: Comparison) -> str:
    """Return what `compare` prints."""
    lines: list[str] = []
    for pair in comparison.pairs:
        lines += [*_story(pair, comparison), ""]
    lines += [*_table(comparison), ""]
    lines += list(_footer(comparison))
    return "\n".join(lines)


def headline(pair: SuiteComparison, comparison: Comparison) -> str:
    """Return the one sentence that says what was seen and what it shows."""
    test = pair.test
    counted = counted_as(pair.suite, test.n_problems, test.n_clusters)
    if pair.n_baseline == pair.n_candidate == 1:
        seen = (
            f"{pair.candidate} solves {len(test.gained)} that {pair.baseline} fails "
            f"and loses {len(test.lost)} of {test.n_problems}"
        )
    else:
        seen = (
            f"{pair.candidate} does better on {len(test.gained)} problems than {pair.baseline} "
            f"and worse on {len(test.lost)} of {test.n_problems}"
        )
    if counted:
        seen += f" ({counted})"
    return f"{seen}; {_p(pair, comparison)}: {_shows(pair, comparison)}"


def points(share: float) -> str:
    """Return a difference in percentage points, with its sign."""
    return f"{100 * share:+.1f}"


def _story(pair: SuiteComparison, comparison: Comparison) -> Iterator[str]:
    test = pair.test
    mark = " *" if pair.marks else ""
    yield f"{_name(pair)}, {pair.candidate} against {pair.baseline}: {FINDINGS[pair.finding].upper()}{mark}"
    yield f"  {headline(pair, comparison)}."
    yield (
        f"  pass@{pair.k} goes from {100 * test.baseline:.1f} % to {100 * test.candidate:.1f} %: "
        f"{points(test.difference)} points, and the truth lies between {points(test.low)} and "
        f"{points(test.high)} ({_confidence(comparison)} sure)."
    )
    if pair.finding == "can't tell" and (test.low > 0 or test.high < 0):
        yield (
            "  That range leaves out 0, but only just: the test decides, and it is stricter"
            f"{' and counts all questions asked' if len(comparison.pairs) > 1 else ''}."
        )
    if pair.finding == "equivalent" and max(-test.low, test.high) >= comparison.question.margin:
        yield (
            f"  That range reaches beyond the margin of {100 * comparison.question.margin:g} points because "
            "it is wider than the one that the margin was tested with."
        )
    yield f"  {_noise_sentence(pair)}"
    if pair.finding in ("can't tell", "within noise") and test.detectable is not None:
        yield (
            f"  A true difference of {100 * test.detectable:.1f} points or more would be found here 4 times "
            "out of 5; a smaller one is likely to be missed."
        )
    yield f"  What to do: {_advice(pair, comparison)}"
    for label, tasks in (("gained", test.gained), ("lost", test.lost)):
        if tasks:
            more = f" and {len(tasks) - _SHOWN} more" if len(tasks) > _SHOWN else ""
            yield f"  {label:<7} {', '.join(tasks[:_SHOWN])}{more}"


FINDINGS: dict[Finding, str] = {
    "better": "better",
    "worse": "worse",
    "equivalent": "equivalent within the margin",
    "can't tell": "can't tell",
    "within noise": "within noise",
}


def _shows(pair: SuiteComparison, comparison: Comparison) -> str:
    margin = f"{100 * comparison.question.margin:g} points"
    match pair.finding:
        case "better" | "worse":
            surely = pair.equivalence_adjusted <= comparison.question.alpha
            small = f", though by less than {margin} ({_tested(comparison)})" if surely else ""
            return f"{pair.candidate} is really {pair.finding}{small}"
        case "equivalent":
            return f"what differs between them is less than {margin} ({_tested(comparison)})"
        case "within noise" if pair.same_checkpoint:
            return "both runs are of the same checkpoint, so all of this is noise"
        case "within noise":
            return "the same checkpoint differs from itself by as much, so this is not called a difference"
        case _:
            return f"this run can't tell them apart; {_needed(pair)}"


def _needed(pair: SuiteComparison) -> str:
    net, n = pair.test.net_needed, pair.test.n_problems
    if net > n:
        return f"no result on {n} problems could"
    if pair.n_baseline == pair.n_candidate == 1:
        return f"{net} net problems would have been needed"
    return f"a difference of {100 * net / n:.1f} points would have been needed"


def _advice(pair: SuiteComparison, comparison: Comparison) -> str:
    better, worse = pair.candidate, pair.baseline
    margin = f"{100 * comparison.question.margin:g} points"
    match pair.finding:
        case "better":
            return f"prefer {better} on this suite."
        case "worse":
            return f"keep {worse} on this suite, and look at what broke: add --diff."
        case "equivalent":
            return f"take either; choose by cost or speed. (A loss of {margin} or more is ruled out.)"
        case "within noise" if pair.same_checkpoint:
            return "nothing; to compare two models, name runs of two checkpoints."
        case "within noise":
            return "don't choose by this suite; treat the two as alike until more suites say otherwise."
        case _:
            samples = "" if pair.n_candidate > 1 else " several samples a problem (--n 20 --temperature 0.2)"
            return (
                "don't choose by this result: it is neither a win nor proof that nothing changed. "
                f"Add suites, or{samples or ' more samples a problem'}."
            )


def _noise_sentence(pair: SuiteComparison) -> str:
    if pair.noise_floor is None:
        return "Noise floor: not measured for these checkpoints (xftbench noise CHECKPOINT measures it)."
    whose = " and ".join(pair.noise_of)
    inside = "inside" if abs(pair.test.difference) <= pair.noise_floor else "outside"
    return (
        f"Noise floor: {whose} differ{'s' if len(pair.noise_of) == 1 else ''} from "
        f"{'itself' if len(pair.noise_of) == 1 else 'themselves'} by up to "
        f"{100 * pair.noise_floor:.1f} points at other batch sizes and orders; this difference is {inside}."
    )


def rows(comparison: Comparison) -> list[Row]:
    """Return the table's lines."""
    return [
        Row(
            suite=_name(pair) + ("*" if pair.marks else ""),
            candidate=f"{pair.candidate} vs {pair.baseline}",
            scores=f"{100 * pair.test.baseline:.1f} -> {100 * pair.test.candidate:.1f}",
            difference=points(pair.test.difference),
            interval=f"{points(pair.test.low)} to {points(pair.test.high)}",
            p=f"{pair.p_adjusted:.2g}",
            noise="unknown" if pair.noise_floor is None else f"{100 * pair.noise_floor:.1f}",
            finding=FINDINGS[pair.finding],
        )
        for pair in comparison.pairs
    ]


def _table(comparison: Comparison) -> Iterator[str]:
    heads = ["suite", "models", "pass@k %", "points", f"{_confidence(comparison)} interval", "p", "noise", ""]
    cells = [[getattr(row, name) for name in Row.__struct_fields__] for row in rows(comparison)]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    for line in [heads, *cells]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _footer(comparison: Comparison) -> Iterator[str]:
    question = comparison.question
    if len(comparison.pairs) > 1:
        yield (
            f"p is adjusted for {len(comparison.pairs)} questions asked at once (Holm): the chance that any "
            f"difference called real here is not is at most {100 * question.alpha:g} %."
        )
        yield _overall(comparison.pairs)
    if question.mid_p and (flipped := [_name(p) for p in comparison.pairs if "mid-p" not in p.test.test]):
        yield (
            f"--mid-p changes nothing for {', '.join(dict.fromkeys(flipped))}: it is of McNemar's test, and "
            "several answers a problem, or problems that belong together, are tested by changing signs"
        )
    yield f"margin of equivalence: {100 * question.margin:g} points (--margin)"
    for pair in comparison.pairs:
        yield from _differences(pair)
    if comparison.not_paired:
        yield f"not compared, because not every model was run on it: {', '.join(comparison.not_paired)}"


def _differences(pair: SuiteComparison) -> Iterator[str]:
    for mark in pair.marks:
        yield (
            f"* {_name(pair)}, {pair.candidate}: {mark.field} differs ({mark.before} -> {mark.after}): "
            f"{mark.meaning}; allowed by --allow, so this is not a comparison of the models alone"
        )
    if pair.is_decoding_unknown:
        yield f"note: {_name(pair)}, {pair.candidate}: {DECODING_UNKNOWN}"
    for note in pair.notes:
        yield (
            f"note: {_name(pair)}, {pair.candidate}: {note.field} differs ({note.before} -> {note.after}): "
            f"{note.meaning}"
        )


def _overall(pairs: Sequence[SuiteComparison]) -> str:
    said = []
    for name, text in FINDINGS.items():
        if count := sum(pair.finding == name for pair in pairs):
            said.append(f"{text} in {count}")
    return f"of {len(pairs)} comparisons: {', '.join(said)}"


def _name(pair: SuiteComparison) -> str:
    check = PLUS_ALONE if pair.check == "plus" else pair.check
    return pair.suite if pair.check == "score" else f"{pair.suite} ({check})"


def _p(pair: SuiteComparison, comparison: Comparison) -> str:
    p = pair.test.p_value
    text = f"p = {p:.2g}" if p >= 0.0001 else "p < 0.0001"
    if len(comparison.pairs) > 1 and pair.p_adjusted != p:
        text += f" ({pair.p_adjusted:.2g} with all {len(comparison.pairs)} questions counted)"
    return text


def _tested(comparison: Comparison) -> str:
    """Say how sure a margin is: a loss and a gain are two questions, which comes to a narrower interval."""
    alpha = comparison.question.alpha
    return f"two one-sided tests at {100 * alpha:g} %, a {100 * (1 - 2 * alpha):g} % interval"


def _confidence(comparison: Comparison) -> str:
    return f"{100 * (1 - comparison.question.alpha):g} %"
