"""Where in a reply the Python program is found."""

import textwrap
from typing import Any

import pytest
from replies import BODY, PROBLEM, WRONG, chat, extracted, fenced

from xftbench.prompts.extract import extract
from xftbench.prompts.style import ExtractionName
from xftbench.records import Sample


def test_the_fence_that_defines_the_entry_point_wins_over_an_earlier_one() -> None:
    rule, code = chat(f"First:\n```python\nprint(add(1, 2))\n```\nNow:\n```python\n{BODY}```\nDone.")
    assert rule == "fence"
    assert code.endswith(BODY)
    assert "print" not in code


def test_a_whole_block_wins_over_an_earlier_broken_one() -> None:
    rule, code = chat(f"```python\ndef add(a, b):\n  ...(\n```\n```python\n{BODY}```")
    assert rule == "fence"
    assert code.endswith(BODY)


def test_the_prompts_imports_and_helpers_come_first() -> None:
    _, code = chat(f"```python\n{BODY}```")
    assert code.startswith("from typing import List")
    assert "def helper" in code


def test_decorators_helpers_and_try_import_are_kept() -> None:
    block = (
        "import functools\ntry:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n"
        "def twice(f):\n    @functools.wraps(f)\n    def g(*a):\n        return f(*a)\n    return g\n\n"
        "LIMIT, OTHER = 1, 2\n\n@twice\ndef add(a, b):\n    return a + b\n"
    )
    assert chat(f"Sure!\n```python\n{block}```")[1].endswith(block)


def test_an_import_of_the_function_is_no_opening_of_it() -> None:
    imported = "from solution import add\n"
    assert chat(fenced(imported) + fenced("    return a + b\n"))[1].endswith(imported)


def test_a_block_that_only_continues_the_prompt_is_appended_to_it() -> None:
    rule, code = chat("```python\n    return a + b\n```")
    assert (rule, code) == ("fence_body", PROBLEM.prompt + "    return a + b\n")


def test_a_block_cut_off_by_the_token_limit_is_used_as_far_as_it_goes() -> None:
    rule, code = chat("Here:\n```python\ndef add(a, b):\n    return a +")
    assert rule == "open_fence"
    assert code.endswith("return a +")


def test_blocks_in_other_languages_are_not_python() -> None:
    rule, code = chat(f"```bash\npip install add\n```\n```python\n{BODY}```")
    assert rule == "fence"
    assert "pip" not in code


def test_code_without_a_fence_is_taken_whole() -> None:
    assert chat(BODY)[0] == "whole_text"


def test_prose_around_unfenced_code_is_left_out() -> None:
    rule, code = chat(f"Here you go:\n\n{BODY}\nThis adds two numbers.\n")
    assert rule == "lines"
    assert "Here you go" not in code
    assert "This adds" not in code


@pytest.mark.parametrize("reply", ["", "I can't do that.", "```python\n```", "def other(): pass"])
def test_a_reply_without_the_function_is_not_made_up(reply: str) -> None:
    rule, code = chat(reply)
    assert rule in {"nothing", "fence"}
    assert "def add" not in code


MIXED = """\
Sure! Here is what I would do.

import functools
try:
    import numpy as np
except ImportError:
    np = None

LIMIT, STEP = 10, 1

@functools.lru_cache(
    maxsize=None,
)
def half(x):
    \"\"\"Return half.

Text at column 0 inside a string is no prose.
\"\"\"
    return x // 2

for _ in range(STEP):
    LIMIT += 1

@functools.wraps(half)
def add(a, b):
    return a + b

This adds two numbers. Hope it helps!
"""


def test_statements_between_prose_are_all_kept() -> None:
    rule, code = chat(MIXED)
    assert rule == "lines"
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert (scope["add"](1, 2), scope["half"](5), scope["LIMIT"], scope["STEP"]) == (3, 2, 11, 1)
    assert "np" in scope
    assert "Sure" not in code
    assert "Hope" not in code


def test_the_last_definition_wins_as_in_python() -> None:
    wrong = "def add(a, b):\n    return a - b\n"
    assert chat(f"```python\n{wrong}```\nThat is wrong, rather:\n```python\n{BODY}```")[1].endswith(BODY)
    scope: dict[str, Any] = {}
    exec(chat(f"First:\n\n{wrong}\nRather:\n\n{BODY}")[1], scope)
    assert scope["add"](1, 2) == 3


def test_a_helper_in_a_block_of_its_own_is_kept_and_examples_are_not() -> None:
    reply = (
        "```python\nimport math\n\ndef up(x):\n    return math.ceil(x)\n```\n"
        "```python\nprint(add(1, 2))\nassert up(1) == 1\n```\n"
        "```python\ndef add(a, b):\n    return up(a) + b\n```\n"
    )
    rule, code = chat(reply)
    assert rule == "fences"
    assert "print" not in code
    scope: dict[str, Any] = {}
    exec(code, scope)
    assert scope["add"](0.5, 2) == 3


def test_an_unfenced_body_continues_the_prompt() -> None:
    assert chat("    return a + b\n") == ("append", PROBLEM.prompt + "    return a + b\n")


UP = "def up(x):\n    return x\n"
WITH_UP = "def add(a, b):\n    return up(a) + b\n"
WITH_T = "def add(a, b):\n    return T[a] + T[b]\n"
RIGHT = {
    "a test imports it": fenced(BODY) + fenced("from solution import add\n\nassert add(1, 2) == 4\n"),
    "a method has its name": fenced(BODY) + fenced("class A:\n    def add(self, a, b):\n        return 0\n"),
    "a result takes its name": fenced(BODY) + fenced("add = add(1, 2)\n"),
    "its signature follows": fenced(BODY) + fenced("def add(a, b):\n    'Add.'\n    ...\n"),
    "another one is cut off": fenced(BODY) + "Or:\n```python\ndef add(a, b):\n    a = 0\n",
    "only output is fenced": f"{BODY}\nIt prints\n" + fenced("True\n", ""),
    "only its use is fenced": f"Here:\n\n{BODY}\nUse:\n" + fenced("print(add(1))\n"),
    "a version in the tag": fenced(BODY, "python3.11") + "Output:\n" + fenced("3 (an int)\n", ""),
    "a tag of no language": fenced(BODY, "text") + "Output:\n" + fenced("3 (an int)\n", ""),
    "a fence in a sentence": "Code: " + fenced(BODY) + "Done.",
    "a session in the block": fenced(f"{BODY}\n>>> add(1, 2)\n3\n"),
    "a shell command in the block": fenced(f"!pip install numpy\n{BODY}"),
    "prose in the block": fenced(f"This is the function:\n\n{BODY}\nIt adds.\n"),
    "a call is cut off": f"```python\n{BODY}\nprint(add(1,",
    "another function is cut off": f"```python\n{BODY}\ndef main():\n    x = [",
    "the block is indented": fenced("    def add(a, b):\n        return a + b\n"),
    "a fence in its docstring": fenced(
        "def add(a, b):\n    '''Add.\n\n    ```\n    add(1, 2)\n    ```\n    '''\n    return a + b\n"
    ),
    "a fence in a string": fenced(f"{BODY}TEXT = '''\n```\nx\n```\n'''\n"),
    "a draft in thoughts": f"<think>\n{fenced(WRONG)}</think>\n{fenced(BODY)}",
    "thoughts are mentioned": f"<think>Hm.</think>\n{fenced(BODY)}No </think> follows.",
    "thoughts began in the prompt": f"{fenced(WRONG)}</think>\n\n{fenced(BODY)}",
    "an example has its parameters' names": fenced(BODY) + fenced("a = [1]\nb = 2\nresult = add(a, b)\n"),
    "an example asks for input": fenced(BODY) + fenced("a = int(input())\nprint(add(a, a))\n"),
    "a first version has an example": fenced(f"{WRONG}\na = int(input())\n") + fenced(BODY),
    "a template follows": fenced(BODY) + fenced("def add(a, b):\n    # Your code here\n    return None\n"),
    "an excerpt follows": fenced(BODY) + fenced("def add(a, b):\n    a.sort()\n"),
    "the block begins with a blank line": fenced("\n    def add(a, b):\n        return a + b\n"),
    "the body begins with a comment": fenced("# The body:\n    return a + b\n"),
    "a method's excerpt follows": fenced(BODY) + fenced("    def add(self, a, b):\n        return 0\n"),
    "prose has equations": f"Here:\n\n{BODY}\nTime = O(n)\nresult = add([1], 0)\nadd(x, y)\n",
    "helpers and a future import": fenced("def both(a, b):\n    return a + b\n")
    + fenced("from __future__ import annotations\ndef add(a, b):\n    return both(a, b)\n"),
    "the future is mentioned": fenced(f"# No `from __future__ import annotations` is needed.\n{BODY}"),
    "a constant stands behind it": "Here:\n\ndef add(a, b):\n    return a + b + ZERO\n\nZERO = 0\nDone.\n",
    "a future import": f"from __future__ import annotations\n{BODY}",
    "its fence is glued to it": f"Here:\n```python\n{BODY.rstrip()}```\nDone.",
    "its fence stands behind it": f"```python\n{BODY.rstrip()}  ```",
    "its fence is glued, and a use follows": f"```python\n{BODY.rstrip()}```\n" + fenced("add(1)\n"),
    "only the end is fenced": f"{BODY.rstrip()}```",
    "a list item begins with the fence": f"* ```python\n{textwrap.indent(BODY, '  ')}  ```\n",
    "inline code begins a line": f"```add``` is:\n\n{BODY}",
    "a quotation": textwrap.indent(fenced(BODY), "> ", lambda _: True),
    "an indented block": f"Here:\n\n{textwrap.indent(BODY, '    ')}\nDone.\n",
    "a marker before it": f"[BEGIN]\n{BODY}[DONE]\n",
    "markers in the block": fenced(f"[PYTHON]\n{BODY}[/PYTHON]\n"),
    "a terminal's colours": fenced("\x1b[34mdef\x1b[0m add(a, b):\n    \x1b[1;31mreturn\x1b[0m a + b\n"),
    "a colour that goes on behind the fence": f"\x1b[32m```python\n{BODY}\x1b[0m```\n",
    "thoughts are a comment": "def add(a, b):\n    # </think>\n    return a + b\n",
    "a turn's end behind it": f"{BODY.rstrip()}<|eot_id|>",
    "another token of a turn's end": f"{BODY.rstrip()}</s>\n",
    "HTML at the end of a line": fenced(f"PAGE = '''<p>\n<s>old</s>\n</p>'''\n{BODY}"),
    "a turn's end and another turn": f"{BODY.rstrip()}<|im_end|>\n<|im_start|>user\nThanks!",
    "a turn's end in a text": fenced(f"END = '<|im_end|>'\n{BODY}"),
    "a second draft is cut off": fenced(BODY)
    + "Simpler:\n```python\ndef add(a, b):\n    x = 0\n    return x",
    "a broken line follows, and a part came before": fenced("    return 0\n") + fenced(f"{BODY}x = (\n"),
    "it is cut off among prose": f"Sure.\n{BODY}    # Or\n    if a:\n        x = (1,\n",
    "thoughts end before its fence": f"{fenced(WRONG)}So done.</think>{fenced(BODY)}",
    "a helper's signature follows": fenced(UP) + fenced(WITH_UP) + fenced("def up(x): ...\n"),
    "a helper's table is filled in a loop": fenced("T = {}\nfor i in range(3):\n    T[i] = i\n")
    + fenced(WITH_T),
    "a helper's table grows": fenced("T = [0]\nT += [1]\nT.append(2)\nprint(T)\n") + fenced(WITH_T),
    "a helper's table is filled by a function": fenced("def two():\n    return 2\nT = {1: 1}\nT[2] = two()\n")
    + fenced(WITH_T),
    "a helper is chosen by a condition": fenced(
        f"import sys\nif sys.argv is None:\n    up = None\nelse:\n{textwrap.indent(UP, '    ')}"
    )
    + fenced(WITH_UP),
    "a helper's block imports everything": fenced("from math import *\n")
    + fenced("def add(a, b):\n    return floor(a + b)\n"),
    "a helper's block has a broken line": fenced(f"{UP}\nprint(up([1,2)\n") + fenced(WITH_UP),
    "both versions have a gap": fenced("def add(a, b):\n    # ...\n    return 0\n")
    + fenced("def add(a, b):\n    # ...\n    return a + b\n"),
    "thoughts follow it": f"{fenced(BODY)}<think>\n{fenced(WRONG)}</think>\nDone.",
    "a helper's name is taken in a script": fenced("T = {1: 1, 2: 2}\n")
    + fenced(WITH_T)
    + fenced("if __name__ == '__main__':\n    T = add(1, 2)\n"),
    "a helper's example uses the function": fenced("T = {1: 1, 2: 2}\nT[3] = add(1, 2)\n") + fenced(WITH_T),
    "its signature is in a block of its own": fenced("def add(x, y):\n") + fenced("    return x + y\n"),
    "the prompt is in a block of its own": fenced("def add(x, y):\n    '''Add.\n    '''\n")
    + fenced("    return x + y\n"),
    "the prompt follows the body": fenced("    return a + b\n") + fenced("def add(x, y):\n    ...\n"),
    "the tag without a fence": f"python\n{BODY}",
}


STEPS = """\
def add(a, b):
    if not a:
        return b
    for n in (b,):
        if not n:
            return a
        a += n
    return a
"""
EXCERPTS = [
    "def add(a: int, b: int):\n    'Add.'\n    if not a:\n        return b\n",
    "def add(a, b):\n    if not a:\n        return b\n    ...\n",
    STEPS.partition("        a += n")[0],
]


@pytest.mark.parametrize("excerpts", [*([each] for each in EXCERPTS), EXCERPTS])
def test_the_beginning_of_the_function_that_an_explanation_quotes_is_not_taken(excerpts: list[str]) -> None:
    reply = fenced(STEPS) + "".join(f"Then:\n{fenced(each)}" for each in excerpts)
    assert chat(reply)[1].endswith(STEPS)


def test_a_beginning_that_grows_and_a_correction_are_taken() -> None:
    assert chat("".join(map(fenced, [*EXCERPTS, STEPS])))[1].endswith(STEPS)
    changed = STEPS.replace("not a:", "a == 0:")
    assert chat(fenced(STEPS) + fenced(changed))[1].endswith(changed)
    assert chat(fenced(STEPS) + fenced(f"{STEPS}# Again\n"))[1].endswith("# Again\n")


@pytest.mark.parametrize("reply", RIGHT.values(), ids=RIGHT)
@pytest.mark.parametrize("extraction", ["chat", "append_stripped", "alone"])
def test_a_right_function_is_found_wherever_it_stands(reply: str, extraction: ExtractionName) -> None:
    sample = Sample(task_id="T/0", sample_index=0, completion=reply)
    code = extract(PROBLEM, sample, extraction, "lenient").code
    namespace: dict[str, Any] = {}
    exec(compile(code, "solution", "exec"), namespace)
    assert namespace["add"](1, 2) == 3


NOTES = {
    "a complexity": "Complexity: O(n)\n",
    "a heading and a complexity": "Time\nO(n) * O(m)\n",
    "a note": "Note: this\n",
    "input and output": "Input: nums\nOutput: result\n",
    "a list": "- sums\n- terms\n",
    "a file's name": "solution.py\n",
    "a fraction": "n/a\n",
    "hyphens": "step-by-step\n",
    "words": "simple and clean\n",
    "a condition in words": "works if sorted else fails\n",
    "an example": "print(add(my_a, my_b))\n",
    "an example in steps": "result = add(my_a, 1)\nprint(result)\n",
    "an example in a loop": "for a, b in cases:\n    print(add(a, b))\n",
    "a test that needs a library": "@pytest.fixture\ndef one():\n    return 1\n",
    "a deletion": "del everything\n",
    "a class without its base": "class Tests(unittest.TestCase):\n    pass\n",
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
@pytest.mark.parametrize("place", ["in the block", "in the text", "in an opened block", "behind the body"])
def test_prose_and_examples_that_happen_to_parse_are_left_out(note: str, place: str) -> None:
    wordings: dict[str, tuple[ExtractionName, str]] = {
        "in the block": ("chat", fenced(f"{BODY}\n{note}")),
        "in the text": ("chat", f"{BODY}\n{note}"),
        "in an opened block": ("alone", f"{BODY}\n{note}```"),
        "behind the body": ("append_stripped", f"    return a + b\n\n{note}"),
    }
    extraction, reply = wordings[place]
    namespace: dict[str, Any] = {}
    exec(compile(extracted(reply, extraction, "lenient").code, "solution", "exec"), namespace)
    assert namespace["add"](1, 2) == 3


LISTED = "def add(a, b):\n    c = a\n\n    return c + b\n"


@pytest.mark.parametrize("form", ["{} {}", "{:3}  {}", "{}\t{}", "{}: {}", "{:2} | {}", "{}. {}"])
def test_a_block_may_have_its_lines_numbered(form: str) -> None:
    lines = LISTED.splitlines()
    block = "".join(f"{form.format(number, line)}\n" for number, line in enumerate(lines, 8))
    assert chat(fenced(block))[1].endswith(LISTED)
    assert chat(fenced(block) + fenced(BODY))[1].endswith(BODY)


def test_a_block_may_be_a_session() -> None:
    code = "".join(f"{'... ' if line[:1] in ' ' else '>>> '}{line}\n" for line in LISTED.splitlines())
    session = f">>> import math\n{code}...\n>>> add(1, 2)\n3\n>>> print(add(\n... 2, 3))\n5\n"
    rule, found = chat(fenced(session))
    assert rule == "fence"
    assert found.endswith(f"import math\n{LISTED}\nadd(1, 2)\nprint(add(\n2, 3))\n")
    assert chat(fenced(session) + fenced(BODY))[1].endswith(BODY)


@pytest.mark.parametrize("block", ["1 def add(a, b):\n3     return a\n", ">>> add(1, 2)\n3\n", "1\n2\nx\n"])
def test_what_is_no_listing_is_left_as_it_is(block: str) -> None:
    assert chat(fenced(block))[1].endswith(block)


ENDING_EARLY = {
    "doctests": "import doctest\ndoctest.testmod()",
    "one doctest": "from doctest import testmod as test\ntest(verbose=True)",
    "help": "help(add)",
    "help in a function": "def main():\n    help(add)\n\nmain()",
    "standard input": "import sys\nprint(add(*sys.stdin.readline().split()))",
    "another program": "import os\nos.system('clear')",
    "a file": "with open('input.txt') as file: print(add(*file))",
    "a file in a function": "def main():\n    print(open('a'))\n\nmain()",
}


@pytest.mark.parametrize("lines", ENDING_EARLY.values(), ids=ENDING_EARLY)
def test_what_evalplus_takes_away_is_not_called_behind_the_function(lines: str) -> None:
    last = lines.splitlines()[-1]
    code = chat(fenced(f"{BODY}\n{lines}\n"))[1]
    assert (BODY in code, f"\n{last}\n" in code) == (True, False)
    assert last in chat(fenced(f"if __name__ == '__main__':\n{textwrap.indent(lines, '    ')}\n{BODY}"))[1]


@pytest.mark.parametrize(
    "line", ["os.environ['OMP_NUM_THREADS'] = '1'", "os.environ.setdefault('A', '1')", "os.putenv('A', '')"]
)
def test_settings_of_the_environment_are_left_out_if_nothing_reads_them(line: str) -> None:
    assert line not in chat(fenced(f"import os\n{line}\n{BODY}"))[1]
    reads = f"import os\n{line}\nA = os.environ.get('A')\n{BODY}"
    assert chat(fenced(reads))[1].endswith(reads)


def test_a_draft_that_was_never_closed_ends_where_the_next_block_opens() -> None:
    draft = BODY.replace("+", "-")
    rule, code = chat(f"```python\n{draft}\nWait, that's wrong.\n```python\n{BODY}```\nDone.")
    assert (rule, code.endswith(BODY), " - " in code) == ("fence", True, False)


def test_a_quotation_of_markdown_in_a_block_that_was_cut_off_opens_none() -> None:
    code = f'{BODY}\n\ndef more():\n    """Like:\n\n    ```python\n    add(1, 2)\n    """\n    return ('
    assert BODY in chat(f"```python\n{code}")[1]


@pytest.mark.parametrize("gap", ["...", "# ...", "# \u2026", "# ... as before ..."])
def test_a_quotation_with_a_gap_replaces_no_whole_function(gap: str) -> None:
    rule, code = chat(
        f"```python\n{BODY}```\nIn short:\n```python\ndef add(a, b):\n    {gap}\n    return c\n```\n"
    )
    assert (rule, code.endswith(BODY)) == ("fence", True)


def test_dots_that_stand_for_nothing_are_no_gap() -> None:
    final = "def add(a, b):\n    if a:\n        ...\n    # and so on...\n    return a + b\n"
    for block in (final, f"def add(a, b):\n    # ...\n    return a\n{final}"):
        assert chat(f"```python\n{BODY}```\nBetter:\n```python\n{block}```\n")[1].endswith(final)
