"""What is left out of a program that would end before it is tested."""

import time

import pytest

from xftbench.prompts.python_strays import without_strays

BODY = "def f(a):\n    return a\n"


@pytest.mark.parametrize(
    "code",
    [
        f"{BODY}f\nprint\n",
        f"from m import *\npi\n{BODY}",
        f"{BODY}exec(TEXT)\nanything\n",
        f"{BODY}globals()['x'] = 1\nprint(x)\n",
        f"def g():\n    global x\n    x = 1\n{BODY}g()\n",
        f"try:\n    unicode\nexcept NameError:\n    unicode = str\n{BODY}",
        f"{BODY}try:\n    missing\nexcept NameError:\n    pass\n",
        f"{BODY}later = lambda: missing\n",
        f"{BODY}x = f(0) and missing\n",
        f"{BODY}if __name__ == '__main__':\n    main()\n",
        f"{BODY}x = [y for y in (1, 2)]\nprint(*x)\n",
        f"{BODY}match f(1):\n    case [x]:\n        print(x)\n",
        "table = fill(missing)\ndef f(a):\n    return table[a]\n",
        f"{BODY}assert f(1) == 2\n",
        "def f(a: Missing):\n    return a\n",
        "def f(a):\n    return (\n",
    ],
)
def test_what_may_run_or_is_needed_stays(code: str) -> None:
    assert without_strays(code, "f") == code


@pytest.mark.parametrize("marker", ["[BEGIN]", "python", "Answer: this", "a, b"])
def test_a_marker_is_left_out_wherever_it_stands(marker: str) -> None:
    assert without_strays(f"{marker}\n{BODY}{marker}\n", "f") == BODY


def test_names_that_stand_around_the_program_are_known() -> None:
    code = f"{BODY}x: List[int] = [1]\n"
    assert without_strays(code, "f", {"List"}) == code
    assert without_strays(code, "f") == BODY


def test_what_needs_a_statement_that_is_left_out_goes_with_it() -> None:
    assert without_strays(f"{BODY}x = missing\ny = x\nprint(y)\nz = 1\n", "f") == f"{BODY}z = 1\n"
    assert without_strays(f"{BODY}x = missing\nx = 1\nprint(x)\n", "f") == f"{BODY}x = 1\nprint(x)\n"


def test_a_statement_on_the_line_of_one_that_stays_stays() -> None:
    assert without_strays(f"{BODY}x = 1; missing\n", "f") == f"{BODY}x = 1; missing\n"


COPY = "def f(a):\n    return a"


@pytest.mark.parametrize("finish_reason", ["length", None])
def test_a_copy_that_was_cut_off_does_not_replace_the_whole_ones(finish_reason: str | None) -> None:
    whole = "def f(a):\n    return abs(a)\n"
    found = without_strays(f"{whole}{whole}def f(a):\n    return ab", "f", (), finish_reason)  # type: ignore[arg-type]
    assert found == whole * 2


def test_a_correction_at_the_end_is_one_unless_the_limit_cut_it_off() -> None:
    code = f"def f(a):\n    return 0\n{COPY}"
    assert without_strays(code, "f", (), "stop") == without_strays(code, "f", (), None) == code
    assert without_strays(code, "f", (), "length") == "def f(a):\n    return 0\n"


def test_the_only_definition_stays_even_if_it_was_cut_off() -> None:
    assert without_strays(f"x = 1\n{COPY}", "f", (), "length") == f"x = 1\n{COPY}"


def test_a_helper_at_the_end_stays() -> None:
    code = "def f(a):\n    return g(a)\ndef g(a):\n    return a"
    assert without_strays(code, "f", (), "length") == code


DIALOGUES = [
    "n = input()\nprint(f(n))\n",
    "print(f(1))\nexit()\n",
    "import sys\nsys.exit(f(0))\n",
    "from sys import exit\nexit(0)\n",
    "from sys import exit as leave\nleave(0)\n",
    "from unittest import main\nmain()\n",
    "raise SystemExit\n",
    "raise SystemExit(f(0))\n",
    "def main():\n    print(f(input()))\nmain()\n",
    "def ask():\n    return input()\ndef main():\n    print(f(ask()))\nmain()\n",
    "while True:\n    f(int(input()))\n",
    "import unittest\nclass T(unittest.TestCase):\n    pass\nunittest.main()\n",
]


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_a_dialogue_behind_the_function_is_left_out(dialogue: str) -> None:
    namespace: dict[str, object] = {"input": None, "exit": None}
    exec(without_strays(BODY + dialogue, "f"), namespace)
    assert callable(namespace["f"])


@pytest.mark.parametrize(
    "code",
    [
        f"def input():\n    return '1'\n{BODY}f(input())\n",
        f"n = input()\n{BODY}",
        f"{BODY}if __name__ == '__main__':\n    exit(f(0))\n",
        f"{BODY}def ask():\n    return input()\n",
        "def f(a):\n    return LIMIT\nLIMIT = int(input())\n",
        "def f(a):\n    exit(a)\n",
    ],
)
def test_what_is_needed_or_stands_elsewhere_is_no_dialogue(code: str) -> None:
    assert without_strays(code, "f") == code


def test_the_work_grows_with_the_length() -> None:
    chain = "".join(f"def f{n}():\n    return f{n + 1}()\n" for n in range(4_000))
    names = "x0 = missing\n" + "".join(f"x{n + 1} = x{n}\n" for n in range(4_000))
    started = time.process_time()
    without_strays(f"{BODY}{chain}def f4000(): exit()\nf0()\n", "f")
    assert without_strays(BODY + names, "f") == BODY
    assert time.process_time() - started < 10
