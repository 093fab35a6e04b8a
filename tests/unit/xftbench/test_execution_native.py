"""Programs in every installed language: right, wrong, not compiling, crashing, endless, chatty."""

from collections.abc import Iterator

import pytest
from native import CASES, native, with_result, with_statement

from xftbench.errors import SandboxError
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.toolchains import Missing, find_toolchain
from xftbench.execution.pool import Pool
from xftbench.records import Limits, Outcome, Program

SLOW = {"scala", "go", "ts", "clj", "hs", "elixir", "rkt"}
USUAL = Limits(cpu_s=15, wall_s=60.0)
SHORT = Limits(cpu_s=4, wall_s=20.0)
PAPER = ("java", "cpp", "rs", "js", "php")


def a_language(name: str) -> object:
    return pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


EVERY = [a_language(name) for name in CASES]


@pytest.fixture(scope="module")
def usual() -> Iterator[Pool]:
    yield from opened(USUAL)


@pytest.fixture(scope="module")
def short() -> Iterator[Pool]:
    yield from opened(SHORT)


def opened(limits: Limits) -> Iterator[Pool]:
    try:
        pool = Pool(1, limits)
    except SandboxError as error:
        pytest.skip(str(error))
    with pool:
        yield pool


def run(pool: Pool, program: Program) -> Outcome:
    return pool.submit(program).result(timeout=250)


def need(language: str) -> None:
    found = find_toolchain(language)
    if isinstance(found, Missing):
        pytest.skip(f"{language}: {found.install}")


def test_every_language_but_two_without_a_toolchain_has_a_case() -> None:
    assert set(CASES) == set(LANGUAGES) - {"dart", "jl"}


@pytest.mark.parametrize("language", EVERY)
def test_a_right_solution_passes_and_its_checks_are_known_to_have_run(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, CASES[language].right))
    assert outcome.verdict == "passed", outcome
    if LANGUAGES[language].proof is None:
        assert outcome.strict is None
        assert outcome.evidence == "the exit status alone"
    else:
        assert outcome.strict == "passed", outcome
        assert "secret" in outcome.evidence


@pytest.mark.parametrize("language", EVERY)
def test_a_wrong_solution_fails_a_check(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_result(language, "42" if language != "hs" else "x * 42")))
    expected = {"hs": "crashed"}.get(language, "failed")
    assert outcome.verdict == expected, outcome
    assert outcome.strict in (expected, None)
    assert outcome.detail


@pytest.mark.parametrize("language", EVERY)
def test_a_solution_that_is_no_program_does_not_compile(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_result(language, ")](} +")))
    assert outcome.verdict == "compile_error", outcome
    assert outcome.detail
    assert outcome.stderr


@pytest.mark.parametrize("language", EVERY)
def test_a_solution_that_crashes_does_not_pass(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_result(language, CASES[language].crash)))
    assert outcome.verdict in ("crashed", "failed"), outcome
    assert outcome.strict in (outcome.verdict, None)


@pytest.mark.slow
@pytest.mark.parametrize("language", CASES)
def test_an_endless_solution_is_stopped_by_its_cpu_time(language: str, short: Pool) -> None:
    need(language)
    outcome = run(short, native(language, with_statement(language, CASES[language].spin)))
    assert outcome.verdict == "timed_out", outcome


@pytest.mark.parametrize("language", [a_language(name) for name in CASES if name != "hs"])
def test_200_kilobytes_of_output_are_no_harm(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_statement(language, CASES[language].print)))
    assert outcome.verdict == "passed", outcome
    if LANGUAGES[language].proof:
        assert outcome.strict == "passed", outcome


@pytest.mark.slow
def test_verdicts_do_not_depend_on_the_number_of_workers() -> None:
    programs = []
    for language in PAPER:
        case = CASES[language]
        need(language)
        programs += [native(language, case.right), native(language, with_result(language, "42"))]
    seen = []
    for workers in (1, 16):
        with Pool(workers, USUAL) as pool:
            outcomes = [future.result() for future in [pool.submit(one) for one in programs * 2]]
            seen.append([(outcome.verdict, outcome.strict) for outcome in outcomes])
    assert seen[0] == seen[1]
    assert seen[0] == [("passed", "passed"), ("failed", "failed")] * len(PAPER) * 2
