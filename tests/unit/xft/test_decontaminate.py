"""Contamination is found however it is dressed, and what only resembles it stays."""

import json
import textwrap
from pathlib import Path

import pytest
from xft_pico import fails, run

from xft.data import Row
from xft.decontaminate import BenchmarkProblem, decontaminate, read_problems

PROBLEM = '''from typing import List


def has_close_elements(numbers: List[float], threshold: float) -> bool:
    """ Check if in given list of numbers, are any two numbers closer to each other than
    given threshold.
    >>> has_close_elements([1.0, 2.0, 3.0], 0.5)
    False
    """
'''
SOLUTION = """    for idx, elem in enumerate(numbers):
        for idx2, elem2 in enumerate(numbers):
            if idx != idx2:
                distance = abs(elem - elem2)
                if distance < threshold:
                    return True

    return False
"""
RENAMED = """def near(values, eps):
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            if i != j:
                gap = abs(a - b)
                if gap < eps:
                    return True
    return False
"""


@pytest.fixture(scope="module")
def humaneval() -> list[BenchmarkProblem]:
    return read_problems(["humaneval"])


def fence(code: str) -> str:
    return f"Here you are:\n\n```python\n{code}\n```\nHave fun."


LOOSELY = (
    "Check if, in a given list of numbers, are any two numbers closer to each other than given threshold!"
)
IN_A_CLASS = "class A:\n" + textwrap.indent(RENAMED.replace("near(", "near(self, "), "    ")
LONGER = (
    'def f(x: list, y: float) -> bool:\n    """Other words."""\n    print(x)\n' + RENAMED.split("\n", 1)[1]
)
COPIES = {
    "verbatim": ("Write it.", fence(PROBLEM + SOLUTION)),
    "prompt": (PROBLEM, "pass"),
    "description": (LOOSELY, "..."),
    "renamed": ("Write it.", fence(RENAMED)),
    "no fence": ("Write it.", RENAMED),
    "in a class": ("Write it.", fence(IN_A_CLASS)),
    "tabs": ("Write it.", fence(RENAMED.replace("    ", "\t"))),
    "annotated, longer": ("Write it.", fence(LONGER)),
    "other newlines": ("Write it.", fence(RENAMED).replace("\n", "\r\n")),
    "spaces about the tag": ("Write it.", fence(RENAMED).replace("```python", "``` python ")),
    "tildes": ("Write it.", fence(RENAMED).replace("```", "~~~")),
    "in a list": ("Write it.", "1. So:\n\n" + textwrap.indent(fence(RENAMED), "   ")),
    "a session after it": ("Write it.", fence(f"{RENAMED}\n>>> near([1], 2)\nFalse")),
    "a session": ("Write it.", fence(">>> " + RENAMED.replace("\n", "\n... "))),
    "Python 2 after it": ("Write it.", fence(f"{RENAMED}print near([1], 2)")),
    "amid prose": ("Write it.", f"Sure!\n\n{RENAMED}\nIt looks at each pair."),
    "head of many lines": ("Write it.", "Sure!\n" + RENAMED.replace("values, eps", "\n  values,\n  eps\n")),
    "a comment at the left": ("Write it.", "Sure!\n" + RENAMED.replace("\n", "\n# all pairs\n", 1)),
    "in the question": (f"Explain this code: {fence(RENAMED)}", "It looks at each pair."),
}


@pytest.mark.parametrize(("instruction", "response"), COPIES.values(), ids=COPIES.keys())
def test_a_copy_is_found(humaneval: list[BenchmarkProblem], instruction: str, response: str) -> None:
    kept, report = decontaminate([Row(instruction, response, 7)], humaneval)
    assert not kept
    assert {overlap.task_id for overlap in report.overlaps} == {"HumanEval/0"}
    assert report.overlaps[0].line == 7
    assert report.overlaps[0].how


SORTED = "def near(xs, e):\n    xs = sorted(xs)\n    return any(b - a < e for a, b in zip(xs, xs[1:]))"
COUNTED = RENAMED.replace("return True", "count += 1").replace("return False", "return count")
OTHERS = {
    "another way": ("Write a function that tells whether two numbers are near each other.", fence(SORTED)),
    "another task": ("Count the pairs that are closer than a threshold.", fence(COUNTED)),
    "too short to be evidence": ("Return the length of a string.", fence("def f(s):\n    return len(s)")),
    "no code": ("Is this Python?", "No: it is not ( Python"),
}


@pytest.mark.parametrize(("instruction", "response"), OTHERS.values(), ids=OTHERS.keys())
def test_what_only_resembles_it_stays(
    humaneval: list[BenchmarkProblem], instruction: str, response: str
) -> None:
    kept, report = decontaminate([Row(instruction, response, 1)], humaneval)
    assert len(kept) == 1, report.overlaps


def test_every_problem_of_the_suite_is_recognised(humaneval: list[BenchmarkProblem]) -> None:
    rows = [Row("Write it.", fence(problem.solution), n) for n, problem in enumerate(humaneval)]
    kept, report = decontaminate(rows, humaneval)
    # Whole functions, docstring and all: none may slip through.
    assert not kept
    assert report.n_dropped == 164


def test_the_command_writes_the_clean_rows_and_a_report(tmp_path: Path) -> None:
    rows = [{"instruction": "x", "response": RENAMED}, {"instruction": "y", "response": "z"}]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {name: tmp_path / name for name in ("d.jsonl", "clean.jsonl", "report.json")}
    out = run("data", "check", files["d.jsonl"], "-o", files["clean.jsonl"], "--report", files["report.json"])
    assert "1 of 2 rows overlap with 1 of 164 problems" in out
    assert "HumanEval/0" in out
    assert [json.loads(line) for line in files["clean.jsonl"].read_text().splitlines()] == rows[1:]
    report = json.loads(files["report.json"].read_text())
    assert report["overlaps"][0]["how"] == "the same statements, names aside"
    assert fails("data", "check", files["d.jsonl"], "-a", "nowhere").exit_code == 7
    (tmp_path / "bad.jsonl").write_text('{"task_id": 1}\n')
    assert "after row 1" in fails("data", "check", files["d.jsonl"], "-a", tmp_path / "bad.jsonl").message


MBPP = Path(__file__).parents[4] / "shared" / "data" / "mbpp" / "mbpp.jsonl.gz"


@pytest.mark.skipif(not MBPP.is_file(), reason=f"no {MBPP}")
def test_mbpp_is_read_too() -> None:
    problems = read_problems([str(MBPP)])
    assert len(problems) == 974
    row = Row(problems[5].description, problems[5].solution, 1)
    assert not decontaminate([row], problems)[0]
