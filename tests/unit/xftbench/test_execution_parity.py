"""Where solution and test share a namespace some programs pass, or fail, for odd reasons; so they do here."""

from collections.abc import Iterator

import pytest

from xftbench.benchmarks.mbpp import Mbpp
from xftbench.execution.pool import Pool
from xftbench.records import AssertProblem, FunctionProgram, Limits, Outcome, VerdictName


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(1, Limits()) as pool:
        yield pool


def judged(pool: Pool, solution: str, *tests: str, names: tuple[str, ...] = ()) -> Outcome:
    body = "".join(f"    {test}\n" for test in tests)
    program = FunctionProgram(
        task_id="T/0",
        solution=solution,
        test=f"def check(candidate):\n{body}",
        context="",
        entry_point="f",
        names=names,
    )
    return pool.submit(program).result()


SUM = "\ndef f(pairs): return sum({} for p in pairs)"
PAIRS = {
    "namedtuple": "from collections import namedtuple\nPair = namedtuple('Pair', 'a b')" + SUM.format("p.b"),
    "tuple": "class Pair(tuple):\n def __new__(c, a, b): return tuple.__new__(c, (a, b))\n @property\n"
    " def b(self): return self[1]" + SUM.format("p.b"),
    "list": "class Pair(list):\n def __init__(self, a, b): self.b = b" + SUM.format("p.b"),
    "plain": "def Pair(a, b): return (a, b)" + SUM.format("p[1]"),
    "array": "import numpy as np\ndef Pair(a, b): return np.array([a, b])" + SUM.format("p[1]"),
    "iterator": "def Pair(a, b): return iter([b])" + SUM.format("next(p)"),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_what_a_solutions_own_class_makes_comes_back_as_it_was(kind: str, pool: Pool) -> None:
    test = "assert f([Pair(1, 2), Pair(3, 4)]) == 6"
    assert judged(pool, PAIRS[kind], test, names=("Pair",)).verdict == "passed"


def test_an_answer_that_can_not_be_passed_on_is_the_programs_failure(pool: Pool) -> None:
    outcome = judged(pool, "def f(x): return object()", "f(f(1))")
    assert outcome.verdict == "failed"
    assert "passed on" in outcome.detail


IDENTITY = {
    "name": "def f(month): return month is 'June' or month is not 'May'",
    "words": "def f(month): return month is 'the month of June'",
    "nested": "MONTHS = ('May', 'June')\ndef f(months): return any(m is MONTHS[1] for m in months)",
}


@pytest.mark.parametrize(
    ("name", "argument"),
    [("name", "'June'"), ("words", "'the month of June'"), ("nested", "['May', 'June']")],
)
def test_equal_texts_of_solution_and_test_are_one(name: str, argument: str, pool: Pool) -> None:
    assert judged(pool, IDENTITY[name], f"assert candidate({argument})").verdict == "passed"


ANSWERS: list[tuple[str, str, VerdictName]] = [
    ("import numpy as np\ndef f(): return np.bool_(True)", "assert candidate() == True", "passed"),
    ("import numpy as np\ndef f(): return np.bool_(True)", "assert candidate()", "passed"),
    ("import numpy as np\ndef f(): return np.bool_(False)", "assert not candidate()", "passed"),
    ("import numpy as np\ndef f(): return np.bool_(True)", "assert candidate() is True", "failed"),
    ("from collections import OrderedDict as D\ndef f(): return D(a=1).keys()",
     "assert set(candidate()) == {'a'}", "passed"),
    ("from collections import OrderedDict as D\ndef f(): return D(a=1).values()",
     "assert tuple(candidate()) == (1,)", "passed"),
    ("from array import array\ndef f(): return array('i', [1, 2])",
     "assert tuple(candidate()) == (1, 2)", "passed"),
    ("from array import array\ndef f(): return array('i', [1, 2])", "assert candidate() == [1, 2]", "failed"),
]  # fmt: skip


@pytest.mark.parametrize(("solution", "test", "verdict"), ANSWERS)
def test_an_answer_is_in_the_tests_hands_what_it_was(
    solution: str, test: str, verdict: str, pool: Pool
) -> None:
    assert judged(pool, solution, test).verdict == verdict


def test_what_the_tests_import_is_there_for_the_solution(pool: Pool) -> None:
    def verdict(setup: str) -> str:
        problem = AssertProblem(
            task_id="Mbpp/0",
            prompt="",
            entry_point="f",
            canonical_solution="",
            setup=setup,
            tests=("assert f() > 3",),
        )
        return pool.submit(Mbpp().program(problem, "def f(): return math.pi")).result().verdict

    assert verdict("import math") == "passed"
    assert verdict("") == "failed"
    assert verdict("import math\nx = math.pi") == "failed", "what is more than imports is the test's alone"
