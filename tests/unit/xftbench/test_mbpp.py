"""MBPP: what a test takes from a solution, and that it can't be used to cheat."""

import pytest

from xftbench.benchmarks import parse_suite
from xftbench.benchmarks.mbpp import Mbpp
from xftbench.errors import SandboxError, UsageProblem
from xftbench.execution.pool import Pool
from xftbench.records import AssertProblem, Limits, Outcome

PAIR = "class Pair:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n"
TREE = "class Node:\n    def __init__(self, data):\n        self.data, self.left = data, None\n"


def problem(tests: tuple[str, ...], setup: str = "", entry_point: str = "f") -> AssertProblem:
    return AssertProblem(
        task_id="Mbpp/0", prompt="", entry_point=entry_point, canonical_solution="", setup=setup, tests=tests
    )


def run(solution: str, asked: AssertProblem) -> Outcome:
    try:
        with Pool(1, Limits(cpu_s=2, wall_s=10.0)) as pool:
            return pool.submit(Mbpp().program(asked, solution)).result()
    except SandboxError as error:
        pytest.skip(str(error))


def test_objects_of_the_solution_s_classes_go_to_it_and_back() -> None:
    asked = problem(("assert f([Pair(5, 24), Pair(b=15, a=1)]) == 45", "assert f([]) == 0"))
    right = PAIR + "def f(pairs):\n    return sum(p.a + p.b for p in pairs)\n"
    assert run(right, asked).verdict == "passed"
    assert run(right.replace("p.b", "1"), asked).verdict == "failed"
    assert "Pair" in run("def f(pairs):\n    return 45\n", asked).detail


def test_setup_builds_with_the_solution_s_classes() -> None:
    asked = problem(
        ("assert f(root) == 3", "assert f(root.left) == 2"), "root = Node(1)\nroot.left = Node(2)"
    )
    right = TREE + "def f(node):\n    return node.data + (f(node.left) if node.left else 0)\n"
    assert run(right, asked).verdict == "passed"
    assert run(right.replace("node.data", "0"), asked).verdict == "failed"


def test_a_module_that_the_test_uses_must_be_imported_but_is_not_the_solution_s() -> None:
    asked = problem(("assert f((1, 2)) == sys.getsizeof((1, 2))",))
    right = "import sys\ndef f(x):\n    return sys.getsizeof(x)\n"
    assert run(right, asked).verdict == "passed"
    assert "sys" in run("def f(x):\n    import sys as s\n    return s.getsizeof(x)\n", asked).detail
    forged = "class sys:\n    getsizeof = staticmethod(lambda x: 7)\ndef f(x):\n    return 7\n"
    assert run(forged, asked).verdict == "failed"


@pytest.mark.parametrize(
    "answer",
    [
        "Pair(1, 2)",
        "type('E', (), {'__eq__': lambda s, o: True})()",
        "type('E', (int,), {'__eq__': lambda s, o: True})()",
    ],
)
def test_an_object_of_the_solution_equals_nothing(answer: str) -> None:
    asked = problem(("assert f([Pair(5, 24)]) == 29",))
    assert run(f"{PAIR}def f(pairs):\n    return {answer}\n", asked).verdict == "failed"


def test_a_type_may_be_an_argument() -> None:
    asked = problem(("assert f([1, 'a'], int) == 1",))
    assert run("def f(x, kind):\n    return sum(type(i) is kind for i in x)\n", asked).verdict == "passed"


def test_parts_and_versions_are_named() -> None:
    assert parse_suite("mbpp:test,train")[0].name == "mbpp:test,train"
    assert parse_suite("mbpp")[1] == "full"
    assert parse_suite("humaneval+@v0.1.9")[1] == "0.1.9"
    assert [parse_suite(f"{name}+")[1] for name in ("humaneval", "mbpp")] == ["0.1.10", "0.2.0"]
    with pytest.raises(UsageProblem, match="no part 'tests'"):
        parse_suite("mbpp:tests")
    with pytest.raises(UsageProblem, match="no version"):
        parse_suite("mbpp+@0.1.9")
