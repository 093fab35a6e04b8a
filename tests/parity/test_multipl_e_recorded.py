"""A sample of recorded programs in other languages; `multipl_e.py` beside this file runs all of them."""

from collections.abc import Iterator

import pytest
from multipl_e_corpora import DATA, DIFFERENCES, PACK, RECORDED, Case, gpt_answers, pack, recorded

from xftbench.benchmarks.multipl_e import MultiplE, probes
from xftbench.benchmarks.multipl_e_parts import Part
from xftbench.errors import SandboxError
from xftbench.execution.native.toolchains import missing_toolchains
from xftbench.execution.pool import Pool

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded verdicts in {DATA}")
SAMPLE = 10
KNOWN_GOOD = ("js", "php", "rs", "cpp", "java")


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    try:
        opened = Pool(2, MultiplE.limits)
    except SandboxError as error:
        pytest.skip(str(error))
    with opened:
        yield opened


def need(language: str) -> None:
    if missing := missing_toolchains([language]):
        pytest.skip(f"{language}: {missing[0].install}")


def sample(cases: list[Case]) -> list[Case]:
    return cases[:: max(1, len(cases) // SAMPLE)]


def differing(pool: Pool, corpus: str, cases: list[Case]) -> list[str]:
    """The programs whose verdict is not the recorded one, and for which no reason is known."""
    outcomes = [(case, pool.submit(case.program)) for case in cases]
    return [
        f"{case.name}: recorded {case.passed}, here {outcome.verdict}: {outcome.detail}\n{outcome.stderr}"
        for case, future in outcomes
        if ((outcome := future.result(timeout=250)).verdict == "passed") != case.passed
        and case.name not in DIFFERENCES.get(corpus, {})
    ]


@pytest.mark.slow
@pytest.mark.parametrize("language", probes())
def test_the_probe_of_a_language_passes_and_its_twin_fails(language: str, pool: Pool) -> None:
    need(language)
    right, wrong = (
        pool.submit(probes()[language].program(language, is_right=is_right)) for is_right in (True, False)
    )
    outcome = right.result(timeout=250)
    assert outcome.verdict == "passed", outcome
    assert wrong.result(timeout=250).verdict in ("failed", "crashed")


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("language", RECORDED)
def test_verdicts_of_a_public_model_are_the_recorded_ones(language: str, pool: Pool) -> None:
    need(language)
    assert not differing(pool, f"recorded-{language}", sample(recorded(language)))


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("language", PACK)
def test_canonical_solutions_of_humanevalpack_pass(language: str, pool: Pool) -> None:
    need({"rust": "rs", "python": "py"}.get(language, language))
    assert not differing(pool, f"pack-{language}", sample(pack(language)))


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("language", KNOWN_GOOD)
def test_known_good_answers_in_prose_pass(language: str, pool: Pool) -> None:
    need(language)
    good = [case for case in gpt_answers(Part("humaneval", language)) if case.passed]
    assert len(good) > 100
    assert not differing(pool, f"gpt-humaneval-{language}", sample(good))


@needs_data
def test_every_named_difference_is_of_a_recorded_program() -> None:
    readers = {"recorded": recorded, "pack": pack}
    for corpus, named in DIFFERENCES.items():
        kind, _, rest = corpus.partition("-")
        cases = gpt_answers(Part(*rest.split("-"))) if kind == "gpt" else readers[kind](rest)
        assert set(named) <= {case.name for case in cases}
