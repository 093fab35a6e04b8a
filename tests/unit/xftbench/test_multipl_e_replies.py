"""Where in a chat reply the function and its helpers are, for MultiPL-E's languages."""

import textwrap
import tomllib
from pathlib import Path

import pytest

from xftbench.benchmarks.multipl_e_blocks import with_helpers, without_prose
from xftbench.benchmarks.multipl_e_code import assemble, entry_point
from xftbench.benchmarks.multipl_e_definitions import Definition, definition
from xftbench.prompts.extract import extract
from xftbench.records import NativeProblem, Sample

PROMPTS = tomllib.loads(Path(__file__).with_name("multipl_e_answers.toml").read_text(encoding="utf-8"))

# Language -> the function, a helper, the function with the helper, an example of use.
SHAPES = {
    "cpp": (
        "long add(long x, long y) {\n    return x + y;\n}\n",
        "template <typename T>\nT plus(T a, T b)\n{\n    return a + b;\n}\n",
        "long add(long x, long y) {\n    return plus(x, y);\n}\n",
        'int main() {\n    // long add(long x) {}\n    std::cout << "long add() {}" << add(1, 2);\n}\n',
    ),
    "cs": (
        "public static long Add(long x, long y) {\n    return x + y;\n}\n",
        "private static long Plus(long a, long b) => a + b;\n",
        (
            "class Problem {\n    public static long Add(long x, long y) {\n"
            "        return Plus(x, y);\n    }\n}\n"
        ),
        'Console.WriteLine("long Add() {}" + Problem.Add(1, 2));\n',
    ),
    "d": (
        "long add(long x, long y) {\n    return x + y;\n}\n",
        "T plus(T)(T a, T b) {\n    return a + b;\n}\n",
        "long add(long x, long y) {\n    return plus(x, y);\n}\n",
        'void main() {\n    writeln("long add() {}", add(1, 2));\n}\n',
    ),
    "go": (
        "func add(x int, y int) int {\n\treturn x + y\n}\n",
        "type pair struct {\n\ta, b int\n}\n\nfunc (p pair) plus() int {\n\treturn p.a + p.b\n}\n",
        "package main\n\nfunc add(x int, y int) int {\n\treturn pair{x, y}.plus()\n}\n",
        'func main() {\n\t// func add() {}\n\tfmt.Println("func add() {}", add(1, 2))\n}\n',
    ),
    "java": (
        "public static long add(long x, long y) {\n    return x + y;\n}\n",
        "    private static long plus(long a, long b) {\n        return a + b;\n    }\n",
        (
            "class Problem {\n    public static long add(long x, long y) {\n"
            "        return plus(x, y);\n    }\n}\n"
        ),
        "class Main {\n    public static void main(String[] a) {\n        Problem.add(1, 2);\n    }\n}\n",
    ),
    "js": (
        "function add(x, y) {\n  return x + y;\n}\n",
        "const plus = (a, b) => a + b;\n",
        "const add = (x, y) => plus(x, y);\n",
        "// add = plus\nconst total = add(1, 2);\nconsole.log(`add = ${total}`);\n",
    ),
    "lua": (
        "local function add(x, y)\n    return x + y\nend\n",
        "local function plus(a, b)\n    return a + b\nend\n",
        "local function add(x, y)\n    return plus(x, y)\nend\n",
        '-- add = plus\nlocal total = add(1, 2)\nprint("add = " .. total)\n',
    ),
    "php": (
        "<?php\nfunction add($x, $y) {\n    return $x + $y;\n}\n",
        "<?php\nfunction plus($a, $b) {\n    return $a + $b;\n}\n",
        "<?php\nfunction add($x, $y) {\n    return plus($x, $y);\n}\n",
        '<?php\n// function add($x)\necho "function add($x)", add(1, 2);\n',
    ),
    "pl": (
        "sub add {\n    return $_[0] + $_[1];\n}\n",
        "sub plus {\n    return $_[0] + $_[1];\n}\n",
        "sub add {\n    return plus(@_);\n}\n",
        '# sub add {}\nmy $total = add(1, 2);\nprint "sub add = $total";\n',
    ),
    "r": (
        "add <- function(x, y) x + y\n",
        "plus <- function(a, b) {\n  a + b\n}\n",
        "add <- function(x, y) {\n  plus(x, y)\n}\n",
        '# add <- function\ntotal <- add(1, 2)\nprint("add <- function")\n',
    ),
    "rb": (
        "def add(x, y)\n  x + y\nend\n",
        "def plus(a, b)\n  a + b\nend\n",
        "def add(x, y)\n  plus(x, y)\nend\n",
        '# def add\ntotal = add(1, 2)\nputs "def add #{total}"\n',
    ),
    "rkt": (
        "(define (add x y)\n  (+ x y))\n",
        "(define (plus a b)\n  (+ a b))\n",
        "#lang racket\n(define (add x y)\n  (plus x y))\n",
        '; (define (add x y))\n(define total (add 1 2))\n(displayln "(define (add x y))")\n',
    ),
    "rs": (
        "fn add(x: isize, y: isize) -> isize {\n    x + y\n}\n",
        (
            "#[derive(Clone)]\nstruct Pair(isize, isize);\n\nimpl Pair {\n    fn plus(&self) -> isize {\n"
            "        self.0 + self.1\n    }\n}\n"
        ),
        "fn add(x: isize, y: isize) -> isize {\n    Pair(x, y).plus()\n}\n",
        'fn main() {\n    println!("fn add() {{}}", add(1, 2));\n}\n',
    ),
    "scala": (
        "def add(x: Long, y: Long): Long = x + y\n",
        "case class Pair(a: Long, b: Long)\n",
        (
            "object Problem {\n  def add(x: Long, y: Long): Long = {\n    val p = Pair(x, y)\n"
            "    p.a + p.b\n  }\n}\n"
        ),
        'println("def add() = {}" + add(1, 2))\n',
    ),
    "sh": (
        "add() {\n  echo $(($1 + $2))\n}\n",
        "plus() {\n  echo $(($1 + $2))\n}\n",
        'add() {\n  plus "$1" "$2"\n}\n',
        '# add() {\necho "add() {" $(add 1 2)\n',
    ),
    "ts": (
        "function add(x: number, y: number): number {\n  return x + y;\n}\n",
        "type Num = number;\ninterface Pair {\n  a: Num;\n  b: Num;\n}\n",
        "function add(x: Num, y: Num): number {\n  const p: Pair = { a: x, b: y };\n  return p.a + p.b;\n}\n",
        "// add = plus\nconst total: number = add(1, 2);\nconsole.log(`add = ${total}`);\n",
    ),
}
FULL, HELPER, MAIN, USE = range(4)
TAGS = {"cs": "csharp", "js": "javascript", "pl": "perl", "rb": "ruby", "rs": "rust", "sh": "bash"}
WHOLE_TEXT = set(SHAPES) - {"cs", "java", "scala"}  # whose assembly leaves out prose by itself


def problem(language: str) -> NativeProblem:
    prompt = PROMPTS[language if language != "ts" else "js"]["prompt"]
    name = entry_point(language, prompt)
    return NativeProblem(
        task_id="T/0", prompt=prompt, entry_point=name, language=language, test="", stop=("\n}",)
    )


def reply(language: str, text: str) -> tuple[str, str]:
    solution = extract(
        problem(language), Sample(task_id="T/0", sample_index=0, completion=text), "chat", "lenient"
    )
    return solution.code, solution.rule


def fenced(language: str, code: str) -> str:
    return f"Here it is:\n```{TAGS.get(language, language)}\n{code}```\n"


def assembled(language: str, code: str) -> str:
    solution = assemble(problem(language), code)
    assert solution is not None
    return solution


@pytest.mark.parametrize("language", SHAPES)
def test_comments_quotes_and_calls_define_nothing(language: str) -> None:
    name = problem(language).entry_point
    assert definition(language, SHAPES[language][USE], name) is Definition.NONE
    assert definition(language, SHAPES[language][FULL], name) is Definition.OUTRIGHT


@pytest.mark.parametrize("language", SHAPES)
def test_an_example_of_use_behind_the_function_is_left_out(language: str) -> None:
    full, use = SHAPES[language][FULL], SHAPES[language][USE]
    code, rule = reply(language, fenced(language, full) + fenced(language, use))
    assert (code, rule) == (assembled(language, full), "fence")


@pytest.mark.parametrize("language", SHAPES)
@pytest.mark.parametrize("rest", ["", "}\n", "    // Your code here.\n}\n"])
def test_a_quotation_of_the_prompt_is_no_solution_beside_one_that_was_cut_off(
    language: str, rest: str
) -> None:
    comment = rest if language in ("cpp", "cs", "d", "go", "java", "js", "php", "rs", "scala", "ts") else ""
    quotation = fenced(language, problem(language).prompt + comment)
    full = SHAPES[language][FULL]
    expected = assembled(language, full)
    for solution in (fenced(language, full).removesuffix("```\n"), fenced(language, full)):
        assert reply(language, quotation + solution)[0] == expected


@pytest.mark.parametrize("language", SHAPES)
@pytest.mark.parametrize("order", [(HELPER, MAIN, USE), (MAIN, USE, HELPER)])
def test_a_helper_in_a_block_of_its_own_comes_along(language: str, order: tuple[int, ...]) -> None:
    text = "".join(fenced(language, SHAPES[language][shape]) for shape in order)
    code, rule = reply(language, text)
    assert rule == "fences"
    program = " ".join(code.split())
    helper = " ".join(SHAPES[language][HELPER].removeprefix("<?php\n").split())
    assert helper in program
    assert program.replace(helper, "").split() == assembled(language, SHAPES[language][MAIN]).split()


@pytest.mark.parametrize("language", SHAPES)
def test_lines_that_end_as_on_windows_are_lines(language: str) -> None:
    text = fenced(language, SHAPES[language][FULL])
    assert reply(language, text.replace("\n", "\r\n")) == reply(language, text)


def test_members_beside_the_class_of_a_helper_stand_in_the_class() -> None:
    code, _ = reply("java", fenced("java", SHAPES["java"][HELPER]) + fenced("java", SHAPES["java"][MAIN]))
    assert code.index("class Problem {") < code.index("plus(long a") < code.index("add(long x")


def test_helpers_are_what_is_needed_and_does_not_use_the_function() -> None:
    code = "def add(x, y)\n  plus(x, y, ZERO)\nend\n"
    others = ["ZERO = 0\ntotal = 1\ndef minus(a)\nend\n", "def plus(a, b, c)\n  add(a, b)\nend\n"]
    assert with_helpers("rb", code, "add", others) == f"ZERO = 0\n{code}"


def test_what_the_block_has_itself_does_not_come_a_second_time() -> None:
    whole = (
        "class Problem {\n    static long plus(long a) { return a; }\n"
        "    public static long add(long x, long y) { return plus(x); }\n}\n"
    )
    assert with_helpers("java", whole, "add", [SHAPES["java"][HELPER]]) == whole
    code = "const Heap = class {};\nfunction add(x) {\n  return new Heap(x);\n}\n"
    assert with_helpers("js", code, "add", ["class Heap {\n}\n"]) == code


def test_a_parameter_in_capital_letters_is_no_constant_of_an_example() -> None:
    code = "sub add {\n    my ($x, $N) = @_;\n    return $x + $N;\n}\n"
    assert with_helpers("pl", code, "add", ["my $N = 3;\nprint add(1, $N);\n"]) == code


def test_helpers_stand_behind_what_a_file_begins_with() -> None:
    code = "#include <vector>\nusing namespace std;\n\nint add(int x) { return plus(x); }\n"
    helper = "#include <map>\nint plus(int x) {\n    return x;\n}"
    assert with_helpers("cpp", code, "add", [helper]) == (
        "#include <vector>\nusing namespace std;\n#include <map>\nint plus(int x) {\n    return x;\n}\n"
        "\nint add(int x) { return plus(x); }\n"
    )


def test_a_block_of_imports_comes_along() -> None:
    function = "fn add(x: isize) -> isize {\n    HashSet::from([x]).len() as isize\n}\n"
    code, rule = reply("rs", fenced("rs", "use std::collections::HashSet;\n") + fenced("rs", function))
    assert rule == "fences"
    assert "use std::collections::HashSet;\nfn add(" in code


@pytest.mark.parametrize(
    ("language", "value"),
    [
        ("js", 'const math = require("./math");\nconst add = math.add;\n'),
        ("js", 'const add = require("./math").add;\n'),
        ("js", "add = 3\n"),
        ("ts", "const add = math.add;\n"),
        ("ts", "interface Math {\n  add: (x: number) => number;\n}\n"),
        ("lua", 'local m = require("m")\nlocal add = m.add\n'),
        ("lua", 'local add = require("m").add\n'),
        ("r", "add <- math$add\n"),
        ("rb", "add = ->(x, y) { x + y }\n"),
    ],
)
def test_a_shorter_name_for_what_is_defined_elsewhere_gives_way(language: str, value: str) -> None:
    full = SHAPES[language][FULL]
    code, _ = reply(language, fenced(language, full) + fenced(language, value))
    assert code == assembled(language, full)


def test_a_value_is_taken_where_nothing_else_defines_the_function() -> None:
    text = "const plus = a => b => a + b;\nconst add = uncurry(plus);\n"
    assert reply("js", fenced("js", text)) == (text, "fence")


@pytest.mark.parametrize(
    ("language", "tag"),
    [("js", "typescript"), ("ts", "javascript"), ("php", "html"), ("lua", "add.lua"), ("rb", "text")],
)
def test_a_block_with_another_tag_counts_if_no_other_has_the_function(language: str, tag: str) -> None:
    full = SHAPES[language][FULL]
    text = f"Here it is:\n```{tag}\n{full}```\n"
    assert reply(language, text) == (assembled(language, full), "fence")
    other = full.replace("x", "z")
    assert reply(language, fenced(language, other) + text) == (assembled(language, other), "fence")


def test_a_block_of_markdown_is_unfolded() -> None:
    full = SHAPES["js"][FULL]
    assert reply("js", f"````markdown\n{fenced('js', full)}````\n") == (full, "fence")


@pytest.mark.parametrize("language", sorted(WHOLE_TEXT))
def test_a_reply_without_fences_loses_its_prose(language: str) -> None:
    full = SHAPES[language][FULL]
    text = f"Here is the function:\n\n{full}\n**Note:** it adds.\n\nIt takes two numbers, and returns one.\n"
    code, rule = reply(language, text)
    assert rule == "whole_text"
    assert code.split() == assembled(language, full).split()


@pytest.mark.parametrize("language", SHAPES)
@pytest.mark.parametrize("rest", ["It adds.\n", "It adds:\n\n```text\nadd = 3\n```\n"])
def test_what_stands_before_a_fence_that_nothing_opened_is_the_code(language: str, rest: str) -> None:
    full = SHAPES[language][FULL]
    code, rule = reply(language, f"{full}```\n{rest}")
    assert (code, rule) == (assembled(language, full), "whole_text")


@pytest.mark.parametrize("language", SHAPES)
@pytest.mark.parametrize(
    "shape",
    ["```{tag}\n{code}```\nIt adds.\n", "The code is: ```{tag}\n{code}\n```\n", "{code}```",
     "[BEGIN]\n{code}\n[DONE]\n", "{tag}\n{code}\n"],
)  # fmt: skip
def test_marks_that_stand_elsewhere_than_they_should_are_seen(language: str, shape: str) -> None:
    full = SHAPES[language][FULL]
    code, _ = reply(language, shape.format(tag=language, code=full.rstrip()))
    assert code.split() == assembled(language, full).split()


@pytest.mark.parametrize("language", SHAPES)
@pytest.mark.parametrize(("first", "others"), [("* ", "  "), ("> ", "> ")])
def test_a_block_may_stand_in_a_list_or_a_quotation(language: str, first: str, others: str) -> None:
    full = SHAPES[language][FULL]
    text = textwrap.indent(f"```{language}\n{full}```\n", others, lambda _: True)
    code, _ = reply(language, first + text.removeprefix(others))
    assert code.split() == assembled(language, full).split()


def test_a_fence_in_a_comment_ends_no_block() -> None:
    comment = "/// Adds.\n/// ```\n/// add(1, 2);\n/// ```\n"
    text = f"```rust\n{comment}fn add(x: isize, y: isize) -> isize {{\n    x + y\n}}\n"
    code, rule = reply("rs", text)
    assert rule == "open_fence"
    assert "/// add(1, 2);" in code


def test_code_is_no_prose() -> None:
    for code in (
        "Either add(long x, long y)\n{\n",
        "List<Long> f(Long x)\n",
        "Foo bar = 1;\n",
        "module A where\n",
    ):
        assert without_prose(code) == code
    assert without_prose("1. **Step**: do it\n- `x` is a number\n### Example\nWe use this.\n").strip() == ""


@pytest.mark.parametrize(
    ("exported", "expected"),
    [
        ("exports.add = function (x, y) {};\n", "const add = function (x, y) {};\n"),
        ("module.exports.add = (x, y) => x + y;\n", "const add = (x, y) => x + y;\n"),
        ("module.exports = function (x, y) {};\n", "const add = function (x, y) {};\n"),
        ("module.exports = (x, y) => x + y;\n", "const add = (x, y) => x + y;\n"),
        ("module.exports = { add(x, y) { return x; } };\n", "const { add } = { add(x, y) { return x; } };\n"),
        ("export default (x, y) => x + y;\n", "const add = (x, y) => x + y;\n"),
        ("const add = x => x;\nexports.add = add;\n", "const add = x => x;\n"),
        ("function add(x) {}\nexports.add = (x) => add(x);\n", "function add(x) {}\n"),
    ],
)
def test_what_is_only_exported_gets_its_name(exported: str, expected: str) -> None:
    assert reply("js", fenced("js", exported)) == (expected, "fence")


@pytest.mark.parametrize(
    ("imported", "required"),
    [
        ("import os from 'os';\n", "const os = require('os');\n"),
        ('import * as os from "node:os";\n', 'const os = require("node:os");\n'),
        ("import fs, { a as os, b } from 'm';\n", "const { a: os} = require('m');\n"),
        ("import os = require('os');\n", "const os = require('os');\n"),
        ("import os from './os';\n", ""),
        ("import _ from 'lodash';\n", ""),
        ("import 'os';\n", ""),
    ],
)
def test_imports_that_are_used_become_requires(imported: str, required: str) -> None:
    function = "function add(x, y) {\n  return os.f(x, y);\n}\n"
    assert assembled("js", imported + function) == required + function
    in_a_text = function.replace("os.f(x, y)", "`${os.f(x, y)}`")
    assert assembled("js", imported + in_a_text) == required + in_a_text


def test_a_required_name_that_typescript_has_gets_another() -> None:
    code = (
        "const crypto = require('crypto');\nfunction add(x: number) {\n  return crypto.f(x, o.crypto);\n}\n"
    )
    expected = code.replace("const crypto", "const own_crypto").replace("return crypto", "return own_crypto")
    assert assembled("ts", code) == expected


def test_a_header_of_the_replys_own_is_not_there() -> None:
    full = SHAPES["cpp"][FULL]
    assert assembled("cpp", f'#include "add.h"\n#include <map>\n{full}') == assembled(
        "cpp", f"#include <map>\n{full}"
    )


def test_ds_module_has_the_prompts_name() -> None:
    full = SHAPES["d"][FULL]
    assert assembled("d", f"module sol;\n{full}") == assembled("d", full)


def test_ds_short_functions_get_a_body() -> None:
    assert "long add(long x, long y) pure { return x + y; }" in assembled(
        "d", "long add(long x, long y) pure => x + y;\n"
    )


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("rs", "fn add<I: IntoIterator<Item = isize>>(x: I) -> isize {\n    x.sum()\n}\n"),
        ("rs", "fn add<T, I: Iterator<Item=T>>(x: I) -> T\nwhere\n    T: Copy,\n{\n    x.sum()\n}\n"),
        ("rkt", "(define/contract (add x y)\n  (-> number? number?)\n  (+ x y))\n"),
        ("pl", "*add = sub {\n  return 1;\n};\n"),
        ("go", "var add = func(x int, y int) int {\n\treturn x + y\n}\n"),
        ("jl", "add = (x, y) -> x + y\n"),
        ("ts", "const add: (x: number) => number = (x) => x;\n"),
    ],
)
def test_rarer_forms_define_the_function_outright(language: str, code: str) -> None:
    assert definition(language, code, "add") is Definition.OUTRIGHT
