"""What the gate found: for a terminal, as JUnit XML for a CI server, as Markdown for a pull request."""

from collections.abc import Iterator
from xml.etree import ElementTree

from xftbench.records import Record
from xftbench.report.comparison import Comparison
from xftbench.report.comparison_text import FINDINGS, headline, rows
from xftbench.report.gate_rules import RuleResult
from xftbench.store.comparable import Difference


class InvariantResult(Record):
    """One merge invariant of one checkpoint."""

    name: str
    checkpoint: str
    status: str
    """``ok``, ``failed`` or ``not checked``."""
    detail: str


class GateResult(Record):
    """Everything that a gate looked at."""

    candidate: str
    reference: str | None
    invariants: tuple[InvariantResult, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    comparison: Comparison | None = None

    @property
    def failed(self) -> bool:
        """Whether a rule or an invariant failed."""
        broken = any(invariant.status == "failed" for invariant in self.invariants)
        return broken or any(rule.failed for rule in self.rules)

    @property
    def unchecked(self) -> bool:
        """Whether an invariant could not be checked."""
        return any(invariant.status == "not checked" for invariant in self.invariants)

    @property
    def word(self) -> str:
        """The outcome in a word."""
        return "FAILED" if self.failed else "NOT CHECKED" if self.unchecked else "PASSED"


def text(result: GateResult) -> str:
    """Return what the terminal shows."""
    lines = [
        f"{invariant.status:<11} {invariant.name} ({invariant.checkpoint}): {invariant.detail}"
        for invariant in result.invariants
    ]
    lines += [
        f"{'FAILED' if rule.failed else 'ok':<7} {rule.rule}\n        {rule.message}" for rule in result.rules
    ]
    lines += list(_headlines(result))
    against = f" against {result.reference}" if result.reference else ""
    lines.append(f"gate: {result.candidate}{against}: {result.word}")
    return "\n".join(lines)


def _headlines(result: GateResult) -> Iterator[str]:
    if result.comparison is not None:
        for pair in result.comparison.pairs:
            yield f"{pair.suite}: {headline(pair, result.comparison)}"
            for mark in pair.marks:
                yield f"* {pair.suite}: {_mark(mark)}, allowed by --allow"


def _mark(mark: Difference) -> str:
    return f"{mark.field} differs ({mark.before} -> {mark.after})"


def junit(result: GateResult) -> bytes:
    """Return JUnit XML: a test case for each invariant and each rule."""
    n_failed = sum(rule.failed for rule in result.rules)
    n_failed += sum(invariant.status == "failed" for invariant in result.invariants)
    n_skipped = sum(invariant.status == "not checked" for invariant in result.invariants)
    counts = {
        "tests": str(len(result.rules) + len(result.invariants)),
        "failures": str(n_failed),
        "errors": "0",
        "skipped": str(n_skipped),
    }
    root = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(root, "testsuite", {"name": f"xftbench gate {result.candidate}", **counts})
    for invariant in result.invariants:
        name = f"{invariant.name} ({invariant.checkpoint})"
        case = _case(suite, "xftbench.invariants", name)
        if invariant.status == "failed":
            _failure(case, invariant.detail, invariant.detail)
        elif invariant.status == "not checked":
            ElementTree.SubElement(case, "skipped", {"message": _printable(invariant.detail)})
    for rule in result.rules:
        case = _case(suite, "xftbench.gate", rule.rule)
        if rule.failed:
            _failure(case, rule.message, f"{rule.rule}\n{rule.message}\n{_lost(result)}")
    ElementTree.indent(root)
    encoded: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return encoded + b"\n"


def _case(suite: ElementTree.Element, class_name: str, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(
        suite, "testcase", {"classname": class_name, "name": _printable(name), "time": "0"}
    )


def _failure(case: ElementTree.Element, message: str, body: str) -> None:
    failure = ElementTree.SubElement(case, "failure", {"message": _printable(message), "type": "regression"})
    failure.text = _printable(body)


def _printable(value: str) -> str:
    """Return a text without the control characters that XML can't hold."""
    return "".join(c if c in "\n\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)


def _lost(result: GateResult) -> str:
    if result.comparison is None:
        return ""
    return "\n".join(
        f"{pair.suite} lost: {', '.join(pair.test.lost)}"
        for pair in result.comparison.pairs
        if pair.test.lost
    )


def markdown(result: GateResult) -> str:
    """Return a summary for a pull request."""
    against = f" against {result.reference}" if result.reference else ""
    lines = [f"### xftbench gate: {result.candidate}{against}: {result.word.lower()}", ""]
    if result.rules:
        lines += ["| rule | outcome | seen |", "|---|---|---|"]
        lines += [
            f"| `{rule.rule}` | {'**failed**' if rule.failed else 'ok'} | {_cell(rule.message)} |"
            for rule in result.rules
        ]
        lines.append("")
    lines += _comparison_table(result.comparison) if result.comparison else []
    broken = [invariant for invariant in result.invariants if invariant.status != "ok"]
    if result.invariants:
        lines.append(
            f"{len(result.invariants) - len(broken)} of {len(result.invariants)} merge invariants hold."
        )
        lines += [f"- **{i.status}**: {i.name} (`{i.checkpoint}`): {_cell(i.detail)}" for i in broken]
    return "\n".join(lines).rstrip() + "\n"


def _comparison_table(comparison: Comparison) -> list[str]:
    lines = ["| suite | pass@k | change | interval | p | noise | |", "|---|---|---|---|---|---|---|"]
    lines += [
        "| "
        + " | ".join(
            [row.suite, f"{row.scores} %", row.difference, row.interval, row.p, row.noise, row.finding]
        )
        + " |"
        for row in rows(comparison)
    ]
    lines.append("")
    for pair in comparison.pairs:
        lines.append(f"- **{pair.suite}**: {_cell(headline(pair, comparison))}")
    for pair in comparison.pairs:
        lines += [f"- \\* {pair.suite}: {_mark(mark)}, allowed by `--allow`" for mark in pair.marks]
    lines.append("")
    for pair in comparison.pairs:
        for side, tasks in (("lost", pair.test.lost), ("gained", pair.test.gained)):
            if tasks:
                summary = f"{pair.suite}: {len(tasks)} {side}, {FINDINGS[pair.finding]}"
                listed = ", ".join(f"`{task}`" for task in tasks)
                lines += [f"<details><summary>{summary}</summary>", "", listed, "", "</details>", ""]
    return lines


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")
