"""The gate's language: what parses, what it means, and what it finds in planted pairs."""

import re
from pathlib import Path

import pytest
from factories import a_spec
from planted import passed

from xftbench.errors import NotComparableError, UsageProblem
from xftbench.report.gate_rules import Rule, evaluate, parse_rule
from xftbench.store.results import Results


def results(which: str, suite: str = "humaneval+", **checks: str) -> Results:
    def tallies(text: str) -> dict[str, tuple[int, int]]:
        return {f"T/{i}": (len(row), sum(row)) for i, row in enumerate(passed(text))}

    return Results(
        name="m", run_id="0", spec=a_spec(suite=suite), style=None, is_complete=True, tallies=tallies(which),
        checks={name: tallies(text) for name, text in checks.items()},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("humaneval+ < -1.5pt at 95%", Rule(text="", suite="humaneval+", value=-0.015, confidence=0.95)),
        ("humaneval+<-1.5pt", Rule(text="", suite="humaneval+", value=-0.015)),
        ("lost > 5", Rule(text="", metric="lost", op=">", value=5)),
        ("humaneval+ lost >= 5", Rule(text="", suite="humaneval+", metric="lost", op=">=", value=5)),
        ("any < 0pt at 99 %", Rule(text="", suite="any", confidence=0.99)),
        (
            "humaneval+.base score < 60pt",
            Rule(text="", suite="humaneval+", check="base", metric="score", value=0.6),
        ),
        (
            "multipl-e:java,rs[language=rs, source=humaneval] < -3pt",
            Rule(
                text="",
                suite="multipl-e:java,rs",
                value=-0.03,
                tags=(("language", "rs"), ("source", "humaneval")),
            ),
        ),
        (
            "unless mbpp > -2pt at 90%",
            Rule(text="", unless=True, suite="mbpp", op=">", value=-0.02, confidence=0.9),
        ),
    ],
)
def test_a_rule_is_read(text: str, expected: Rule) -> None:
    import msgspec

    assert parse_rule(text) == msgspec.structs.replace(expected, text=text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is no rule"),
        ("humaneval+", "is no rule"),
        ("humaneval+ < ", "is no rule"),
        ("humaneval+ < -1.5%", "is no rule"),
        ("humaneval+ == 0pt", "is no rule"),
        ("humaneval+ < -1.5", "measured in points"),
        ("lost > 5pt", "number of problems"),
        ("lost > 5 at 95%", "a confidence is for a change"),
        ("humaneval+ < 0pt at 100%", "50 to below 100"),
        ("humaneval+.bas < 0pt", "unknown check"),
        ("humaneval+ losses > 3", "unknown metric"),
        ("change < 0pt", "needs a suite"),
        ("humaneval+[rs] < 0pt", r"TAG=VALUE"),
    ],
)
def test_what_is_no_rule_is_told_why(text: str, complaint: str) -> None:
    with pytest.raises(UsageProblem, match=complaint):
        parse_rule(text)


def fails(text: str, before: str, after: str, floor: float | None = None) -> bool:
    floors = {} if floor is None else {"humaneval+": floor}
    pairs = {"humaneval+": (results(before), results(after))}
    return evaluate(parse_rule(text), pairs, floors, 1, lambda _: {}).failed


SAME, WORSE, MUCH_WORSE = "1" * 100 + "0" * 64, "1" * 95 + "0" * 69, "1" * 80 + "0" * 84


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        # The observed change alone.
        ("humaneval+ < -1.5pt", SAME, False),
        ("humaneval+ < -1.5pt", WORSE, True),
        # Fails only if we are sure: 5 lost and none gained may be chance for a drop of more than 1.5 points.
        ("humaneval+ < -1.5pt at 95%", WORSE, False),
        ("humaneval+ < -1.5pt at 95%", MUCH_WORSE, True),
        # Fails unless we are sure that it is not worse: even no change at all must be shown.
        ("unless humaneval+ > -1.5pt at 95%", SAME, True),
        ("unless humaneval+ > -3pt at 95%", SAME, False),
        ("unless humaneval+ > -1.5pt at 95%", WORSE, True),
        ("humaneval+ < 0pt at 95%", WORSE, True),
        ("humaneval+ < 0pt at 99%", WORSE, False),
        ("lost > 5", WORSE, False),
        ("lost > 4", WORSE, True),
        ("net < -4", WORSE, True),
        ("gained < 1", SAME, True),
        ("humaneval+ score < 60pt", WORSE, True),
        ("humaneval+ score < 57pt", WORSE, False),
    ],
)
def test_a_rule_fails_exactly_where_its_sentence_says(text: str, after: str, expected: bool) -> None:
    assert fails(text, SAME, after) is expected


def test_a_drop_of_5_of_5_is_sure_at_the_exact_binomial_level() -> None:
    # One-sided: 1/32 = 3.1 %.
    assert fails("humaneval+ < 0pt at 96.8%", SAME, WORSE)
    assert not fails("humaneval+ < 0pt at 96.9%", SAME, WORSE)


def test_a_difference_within_the_noise_floor_is_never_sure() -> None:
    assert not fails("humaneval+ < 0pt at 95%", SAME, WORSE, floor=0.04)
    assert fails("humaneval+ < 0pt at 95%", SAME, WORSE, floor=0.02)
    assert fails("humaneval+ < -1.5pt", SAME, WORSE, floor=0.04), "what was observed is what was observed"


def test_that_nothing_got_worse_is_not_noise() -> None:
    assert not fails("unless humaneval+ > -3pt at 95%", SAME, SAME, floor=0.04)


def test_any_holds_each_suite_to_a_stricter_level() -> None:
    rule = parse_rule("any < 0pt at 95%")
    one = {"a": (results(SAME), results(WORSE))}
    two = one | {"b": (results(SAME), results(SAME))}
    assert evaluate(rule, one, {}, 1, lambda _: {}).failed
    assert not evaluate(rule, two, {}, 1, lambda _: {}).failed


@pytest.mark.parametrize("text", ["any < 0pt at 95%", "any lost > 3", "unless any > -3pt at 95%"])
def test_one_bad_suite_of_several_is_enough(text: str) -> None:
    same, worse = (results(SAME), results(SAME)), (results(SAME), results(MUCH_WORSE))
    for pairs in ({"a": worse, "b": same}, {"a": same, "b": worse}):
        assert evaluate(parse_rule(text), pairs, {}, 1, lambda _: {}).failed
    assert not evaluate(parse_rule(text), {"a": same, "b": same}, {}, 1, lambda _: {}).failed


def test_counts_without_a_suite_are_summed() -> None:
    pairs = {suite: (results(SAME), results(WORSE)) for suite in ("a", "b")}
    assert evaluate(parse_rule("lost > 9"), pairs, {}, 1, lambda _: {}).failed
    assert not evaluate(parse_rule("any lost > 9"), pairs, {}, 1, lambda _: {}).failed


def test_tags_and_checks_choose_a_part() -> None:
    before, after = results(SAME, base=SAME), results(WORSE, base=SAME)
    pairs = {"humaneval+": (before, after)}
    tags = {f"T/{i}": {"language": "rs" if i < 50 else "js", "x": "y" if i < 95 else "z"} for i in range(164)}

    def failed(text: str) -> bool:
        return evaluate(parse_rule(text), pairs, {}, 1, lambda _: tags).failed

    assert failed("humaneval+[language=js] < -1pt")
    assert not failed("humaneval+[language=rs] < -1pt")
    assert failed("humaneval+[language=js,x=z] < -1pt")
    assert not failed("humaneval+[language=js,x=y] < -1pt"), "a problem must have all tags"
    assert not failed("humaneval+.base < -1pt")
    with pytest.raises(UsageProblem, match="no problem has these tags"):
        failed("humaneval+[language=go] < -1pt")
    with pytest.raises(UsageProblem, match="no check 'strict'"):
        failed("humaneval+.strict < -1pt")
    for suite in ("mbpp", "humaneval"):
        with pytest.raises(NotComparableError, match=suite):
            failed(f"{suite} < -1pt")


def test_every_rule_in_the_docs_is_one() -> None:
    docs = Path(__file__).parents[3] / "docs"
    told = re.findall(r"^\| `([^`]+)` \|", (docs / "gate.md").read_text(), re.MULTILINE)
    used = [
        rule
        for page in ("gate.md", "github-workflow.yml")
        for rule in re.findall(r'--fail-if "([^"]+)"', (docs / page).read_text())
    ]
    assert len(told) >= 8
    assert len(used) >= 5
    for rule in (*told, *used):
        assert parse_rule(rule).text == rule
