"""Other names for what a script of MultiPL-E can't declare under its own."""

import pytest

from xftbench.benchmarks.multipl_e_scripts import as_script
from xftbench.benchmarks.multipl_e_taken import without_taken_names

ADD = "function add(x: number, y: number): number {\n  return x + y;\n}\n"

RENAMED = [
    ("const name = 'a';\nf(name, o.name);\n", "const own_name = 'a';\nf(own_name, o.name);\n"),
    ("const status: string = 'a';\n", "const own_status: string = 'a';\n"),
    (
        "let top = 1;\nconst o = { top: top, x: 1 };\n",
        "let own_top = 1;\nconst o = { top: own_top, x: 1 };\n",
    ),
    ("let top = 1;\nconst o = { x: 1, top };\n", "let own_top = 1;\nconst o = { x: 1, top: own_top };\n"),
    ("let top = 1;\nf(`${top + 1} top`);\n", "let own_top = 1;\nf(`${own_top + 1} top`);\n"),
    (
        "const name = 1;\nfunction f(x: string, name: string) {\n  return y ? name : x;\n}\n",
        "const own_name = 1;\nfunction f(x: string, own_name: string) {\n  return y ? own_name : x;\n}\n",
    ),
    (
        "class Node {\n  constructor(public v: number) {}\n}\nlet x: Node | null;\n",
        "class own_Node {\n  constructor(public v: number) {}\n}\nlet x: own_Node | null;\n",
    ),
    ("type Range = [number, number];\n", "type own_Range = [number, number];\n"),
    (
        "interface Event {\n  name?: string;\n  event: Event;\n}\n",
        "interface own_Event {\n  name?: string;\n  event: own_Event;\n}\n",
    ),
    (
        "const name = 'a';\nconst f = (...parent: string[]) => [...name, ...o.name];\nlet parent = f;\n",
        (
            "const own_name = 'a';\nconst f = (...own_parent: string[]) => [...own_name, ...o.name];\n"
            "let own_parent = f;\n"
        ),
    ),
    ("const { crypto } = require('m');\n", "const { crypto: own_crypto } = require('m');\n"),
]


@pytest.mark.parametrize(("code", "expected"), RENAMED)
def test_what_typescript_has_gets_another_name(code: str, expected: str) -> None:
    assert as_script("ts", code + ADD, "add") == expected + ADD


@pytest.mark.parametrize(
    "code",
    [
        "const f = (name: string) => name;\n",
        "function f() {\n  const length = 1;\n  class Node {}\n}\n",
        "const o = { status: 1 };\n",
        "// const name = 1;\nf(name);\n",
    ],
)
def test_what_is_not_declared_at_the_top_keeps_its_name(code: str) -> None:
    assert without_taken_names("ts", code, "add") == code


def test_javascript_has_no_such_names_and_the_asked_one_stays() -> None:
    assert without_taken_names("js", "const name = 1;\n", "add") == "const name = 1;\n"
    assert without_taken_names("ts", "function find() {}\nfunction top() {}\n", "top").count("own_") == 0
