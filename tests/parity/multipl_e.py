"""All recorded programs in other languages through our runner; prints every difference that has no name.

    python tests/parity/multipl_e.py [recorded-js gpt-humaneval-php pack-go ...]      by default everything

Takes the better part of an hour on two cores. `test_multipl_e_recorded.py` runs a sample of it in CI.
"""

import sys
import time
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from multipl_e_corpora import DIFFERENCES, PACK, RECORDED, Case, gpt_answers, pack, recorded

from xftbench.benchmarks.multipl_e import MultiplE
from xftbench.benchmarks.multipl_e_parts import GROUPS, Part
from xftbench.execution.native.toolchains import missing_toolchains
from xftbench.execution.pool import Pool


def corpora() -> list[str]:
    here = [language for language in GROUPS["all"] if not missing_toolchains([language])]
    answers = [f"gpt-{source}-{language}" for source in ("humaneval", "mbpp") for language in here]
    return [*(f"recorded-{name}" for name in RECORDED), *(f"pack-{name}" for name in PACK), *answers]


def cases_of(corpus: str) -> list[Case]:
    kind, _, rest = corpus.partition("-")
    if kind == "gpt":
        return gpt_answers(Part(*rest.split("-")))
    return recorded(rest) if kind == "recorded" else pack(rest)


def main() -> None:
    for corpus in sys.argv[1:] or corpora():
        cases = cases_of(corpus)
        started = time.monotonic()
        with Pool(2, MultiplE.limits) as pool:
            outcomes = [future.result() for future in [pool.submit(case.program) for case in cases]]
        pairs = list(zip(cases, outcomes, strict=True))
        passed = sum(outcome.verdict == "passed" for outcome in outcomes)
        others = [pair for pair in pairs if (pair[1].verdict == "passed") != pair[0].passed]
        if corpus.startswith("gpt"):
            others = [
                pair for pair in others if pair[0].passed
            ]  # the rest was not tried, or is assembled better
        named = DIFFERENCES.get(corpus, {})
        strict = [case.name for case, outcome in pairs if outcome.strict not in (None, outcome.verdict)]
        click.echo(
            f"{corpus}: {passed} of {len(cases)} pass, {sum(case.passed for case in cases)} did there, "
            f"{len(others)} differ, {sum(case.name in named for case, _ in others)} of them named, "
            f"strict differs in {len(strict)}; {time.monotonic() - started:.0f} s",
        )
        for case, outcome in others:
            if case.name not in named:
                click.echo(f"  {case.name}: recorded {case.passed}, here {outcome.verdict}: {outcome.detail}")
                click.echo("    " + outcome.stderr[-300:].replace("\n", "\n    "))
        click.echo(f"  strict: {', '.join(strict[:5])}")


if __name__ == "__main__":
    main()
