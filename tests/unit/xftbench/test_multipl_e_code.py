"""Whole programs in replies, put before MultiPL-E's tests. The expected programs are written out by hand."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xftbench.benchmarks.multipl_e_code import assemble, entry_point, truncate
from xftbench.benchmarks.multipl_e_definitions import defines
from xftbench.prompts.extract import extract
from xftbench.records import NativeProblem, Sample


def cases(name: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


CASES = cases("multipl_e_answers.toml")
ODD_CASES = cases("multipl_e_odd_answers.toml")


def problem(language: str, stop: tuple[str, ...] = ()) -> NativeProblem:
    prompt = CASES[language]["prompt"]
    name = entry_point(language, prompt)
    return NativeProblem(
        task_id="T/0", prompt=prompt, entry_point=name, language=language, test="", stop=stop
    )


@pytest.mark.parametrize("language", CASES)
def test_the_function_is_named_by_the_prompts_last_head(language: str) -> None:
    assert entry_point(language, CASES[language]["prompt"]) == ("Add" if language == "cs" else "add")


def test_a_completion_ends_at_its_first_stop() -> None:
    assert truncate("  return x;\n}\n\n}", ("\n}", "return y")) == "  return x;"
    assert truncate("  return x;", ("\n}",)) == "  return x;"
    assert truncate("", ("\n}",)) == ""


@pytest.mark.parametrize("language", CASES)
def test_a_whole_program_is_made_ready_for_the_tests(language: str) -> None:
    case = CASES[language]
    assert assemble(problem(language), case["answer"]) == case["expected"]


@pytest.mark.parametrize("title", ODD_CASES)
def test_what_a_program_has_beside_its_function(title: str) -> None:
    case = ODD_CASES[title]
    code = assemble(problem(case["language"]), case["answer"])
    assert code is not None
    assert code.strip("\n") == case["expected"].strip("\n")


@pytest.mark.parametrize("language", CASES)
def test_text_that_does_not_define_the_function_is_no_whole_program(language: str) -> None:
    name = problem(language).entry_point
    for text in ("", "    return x + y;\n", f"Call {name}(1, 2) to add.\n", f"    return {name}(x, y);\n"):
        assert assemble(problem(language), text) is None


def test_an_expression_after_return_is_no_definition() -> None:
    assert not defines("cpp", "int f() {\n  return add(1, 2);\n}\n", "add")
    assert not defines("cpp", "long add(long x, long y);\n", "add")
    assert defines("cpp", "std::vector<long> add(long x) {\n}\n", "add")
    assert defines("d", "Tuple!(long, long) add(long[] x) {\n}\n", "add")
    assert not defines("js", "const add = require('./add');\n", "add")
    assert not defines("d", "void f() {\n  if (x) add(x);\n  {}\n}\n", "add")


def test_a_second_class_and_a_class_with_an_example_of_use() -> None:
    answer = (
        "class Pair { int a; }\n\n"
        "class Problem {\n    public static long add(long x, long y) { return x; }\n}\n\n"
        "class Main {\n    public static void main(String[] args) { }\n}\n"
    )
    assert assemble(problem("java"), answer) == (
        "import java.util.*;\nclass Pair { int a; }\nclass Problem {\n"
        "    public static long add(long x, long y) { return x; "
    )


def test_what_calls_the_function_from_behind_it_gets_a_declaration() -> None:
    answer = "long add(long x, long y) {\n    return x + y;\n}\n\nvoid test() {\n    add(1, 2);\n}\n"
    assert assemble(problem("cpp"), answer) == (
        "#include<assert.h>\n#include<bits/stdc++.h>\nlong add(long x, long y);\n"
        "void test() {\n    add(1, 2);\n}\nlong add(long x, long y) {\n    return x + y;"
    )


def test_a_php_file_that_only_uses_the_function_is_not_the_answer() -> None:
    text = (
        "```php\nfunction add($x, $y) {\n    return $x + $y;\n}\n```\n```php\n<?php\necho add(1, 2);\n```\n"
    )
    code, rule = reply("php", text)
    assert (code, rule) == ("<?php\nfunction add($x, $y) {\n    return $x + $y;\n}\n", "fence")


def test_a_type_that_the_prompt_defines_is_brought_once() -> None:
    union = "#include<bits/stdc++.h>\nunion Either{\n    long f0;\n};\n// Add.\nEither add(long x) {\n"
    asked = NativeProblem(task_id="T/0", prompt=union, entry_point="add", language="cpp", test="")
    body = "Either add(long x) {\n    return Either();\n}\n"
    without = assemble(asked, body)
    repeated = assemble(asked, f"union Either{{\n    long f0;\n}};\n{body}")
    assert without is not None
    assert repeated is not None
    assert without.count("union Either{") == repeated.count("union Either{") == 1


def reply(language: str, text: str, stop: tuple[str, ...] = ("\n}",)) -> tuple[str, str]:
    sample = Sample(task_id="T/0", sample_index=0, completion=text)
    solution = extract(problem(language, stop), sample, "chat", "lenient")
    return solution.code, solution.rule


def test_a_reply_with_a_function_in_a_fence() -> None:
    block = "```cpp\nlong add(long x, long y) {\n    return x + y;\n}\n```"
    text = f"Sure:\n{block}\nUse it:\n```cpp\nadd(1, 2);\n```\n"
    code, rule = reply("cpp", text)
    assert rule == "fence"
    assert (
        code == "#include<assert.h>\n#include<bits/stdc++.h>\nlong add(long x, long y) {\n    return x + y;"
    )


def test_a_reply_whose_fence_goes_on_from_the_prompt() -> None:
    code, rule = reply("cpp", "```cpp\n    return x + y;\n}\n```\n")
    assert (code, rule) == (CASES["cpp"]["prompt"] + "    return x + y;", "fence_body")


def test_a_reply_that_is_code_alone() -> None:
    code, rule = reply("rs", "fn add(x: isize, y: isize) -> isize {\n    x + y\n}\n")
    assert rule == "whole_text"
    assert code.endswith("fn add(x: isize, y: isize) -> isize {\n    x + y")


def test_a_corrected_answer_counts_and_one_that_is_cut_off_does_not() -> None:
    head = "```rust\nfn add(x: isize, y: isize) -> isize {\n    x"
    wrong, right, cut = f"{head} - y\n}}\n```\n", f"{head} + y\n}}\n```\n", f"{head} *"
    code, rule = reply("rs", f"{wrong}No:\n{right}Or:\n{cut}")
    assert (code.rpartition("\n")[2], rule) == ("    x + y", "fence")


def test_ds_own_tests_do_not_run_beside_the_benchmarks() -> None:
    function = "long add(long x, long y) {\n    return x + y;\n}\n"
    tests = "unittest {\n    assert(add(1, 2) == 4);\n}\n@safe unittest\n{\n    if (true) {}\n}\n"
    alone = assemble(problem("d"), function)
    assert alone is not None
    both = assemble(problem("d"), function + tests)
    assert both is not None
    assert both.strip() == alone.strip()
    assert "x; // unittest {" in (assemble(problem("d"), function.replace("y;", "x; // unittest {")) or "")


def test_gos_imports_without_a_name_are_used() -> None:
    function = "func add(x int, y int) int {\n\treturn x + int(Floor(0.5))\n}\n"
    imports = 'import (\n\t. "math"\n\t_ "embed"\n\t"os"\n)\n'
    code = assemble(problem("go"), f"package main\n{imports}{function}")
    assert code is not None
    assert 'import . "math"\nimport _ "embed"\nfunc add' in code


def test_a_script_goes_on_where_a_helper_ends_it() -> None:
    function = "add() {\n  echo $(($1 + $2))\n}\n"
    usage = 'usage() { echo "usage"; exit 1; }\n'
    alone = assemble(problem("sh"), usage + function)
    assert alone is not None
    assert usage in alone
    for check in (
        "[[ $# -lt 2 ]] && usage\n",
        "usage\n",
        "(($# > 1)) || usage 1\n",
        "if [ $# -lt 2 ]; then\n  usage\nfi\n",
    ):
        assert assemble(problem("sh"), usage + check + function) == alone
    for line in ("usage=1\n", "x=$(f usage) || y=1\n", "f --usage\n"):
        assert line in (assemble(problem("sh"), usage + line + function) or "")


CPP_HEAD = "#include<assert.h>\n#include<bits/stdc++.h>\n"


def test_cpps_lambda_is_a_function() -> None:
    for kind in ("auto", "const std::function<long(long, long)>"):
        answer = f"{kind} add = [](long x, long y) -> long {{\n    return x + y;\n}};\n"
        assert defines("cpp", answer, "add")
        code = assemble(problem("cpp"), answer)
        assert code == f"{CPP_HEAD};\nauto add(long x, long y) -> long {{\n    return x + y;"
    assert not defines("cpp", "int main() {\n    auto add = [](long x) { return x; };\n}\n", "add")


def test_a_function_in_a_namespace_of_cpp_is_called_by_its_bare_name() -> None:
    body = "long one() { return 1; }\nlong add(long x, long y) {\n    return x + y;\n}\n"
    call = "long add(long x, long y) {\n    return %s::add(x, y);"
    for head, tail, name in (
        ("namespace a {\n", "}\nusing a::add;\n", "a"),
        ("namespace a {\nnamespace b::c {\n", "}\n}\nusing namespace a::b::c;\n", "a::b::c"),
    ):
        code = assemble(problem("cpp"), head + body + tail)
        kept = f"{head}{body}{tail.partition('using')[0]}"
        assert code == CPP_HEAD + kept + call % name
    inner = assemble(problem("cpp"), f"namespace {{\n{body}}}\n")
    assert inner is not None
    assert "::" not in inner


def test_csharps_extension_methods_keep_their_class_static() -> None:
    plus = "    static long Plus(this long a, long b) { return a + b; }\n"
    add = "    public static long Add(long x, long y) {\n        return x.Plus(y);\n    }\n"
    for kind, head in (("public static class", "\nstatic class Problem {"), ("class", "\nclass Problem {")):
        assert head in (assemble(problem("cs"), f"{kind} Own {{\n{plus}{add}}}\n") or "")
    assert "\nclass Problem {" in (assemble(problem("cs"), f"static class Own {{\n{add}}}\n") or "")


RUST = "fn add(x: isize, y: isize) -> isize {\n    x + y\n}\n"
RUST_IMPORT = "use std::collections::HashMap;\n"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("#![allow(dead_code)]\n\n", f"#![allow(dead_code)]\n{RUST_IMPORT}"),
        ("// A.\n//! B.\n#![x(a[0])]\n// C.\n", f"// A.\n//! B.\n#![x(a[0])]\n{RUST_IMPORT}// C.\n"),
        (f"#![allow(unused)]\npub(crate) {RUST_IMPORT}", f"#![allow(unused)]\npub(crate) {RUST_IMPORT}"),
        ("use std::{fmt, collections::{BTreeMap, HashMap}};\n",) * 2,
        ("use std::collections::*;\n", f"{RUST_IMPORT}use std::collections::*;\n"),
        ("use std::collections::HashMap as Map;\n", f"{RUST_IMPORT}use std::collections::HashMap as Map;\n"),
        (f"mod a {{\n    {RUST_IMPORT}}}\n", f"{RUST_IMPORT}mod a {{\n    {RUST_IMPORT}}}\n"),
        (f"/* {RUST_IMPORT} */\n", f"{RUST_IMPORT}/* {RUST_IMPORT} */\n"),
    ],
)  # fmt: skip
def test_rusts_import_is_brought_once_and_behind_what_is_said_of_the_file(before: str, expected: str) -> None:
    code = assemble(problem("rs"), before + RUST)
    assert code == expected + RUST.removesuffix("\n}\n")


def test_a_function_in_a_module_or_a_type_of_rust_is_called_by_its_bare_name() -> None:
    call = "fn add(x: isize, y: isize) -> isize {\n    return %sadd(x, y);"
    for head, link in (
        ("mod a {\n", "a::"),
        ("pub mod a {\npub mod b {\n", "a::b::"),
        ("struct S;\nimpl S {\n", "S::"),
        ("enum S {}\nimpl Add for S {\n", "S::"),
    ):
        body = f"{head}fn one() {{}}\npub {RUST}" + "}\n" * head.count("{")
        code = assemble(problem("rs"), f"{body}pub use {link}add;\n")
        assert code is not None
        assert code.endswith(body + call % link)
    assert (assemble(problem("rs"), f"impl S {{\n{RUST}}}\n") or "").startswith(
        "struct S;\n", len(RUST_IMPORT)
    )
    method = RUST.replace("(", "(&self, ")
    assert (assemble(problem("rs"), f"impl S {{\n{method}}}\n") or "").endswith(call % "S.")


def test_a_type_that_cpp_redefines_is_the_tests_own_again() -> None:
    answer = "#define int long long\nint add(int x, int y) {\n    return x + y;\n}\nint32_t main() {}\n"
    code = assemble(problem("cpp"), answer)
    assert code == f"{CPP_HEAD}{answer.partition('}')[0].rstrip()}\n#undef int"


FRAGMENTS = [
    *"{}();=\n\"'# ",
    "//",
    "/*",
    "class P {",
    "main",
    "import a;",
    "package b",
    "use c;",
    "<?php",
    "?>",
    "#lang x",
    "static long NAME(long x)",
    "fn NAME()",
    "def NAME()",
    "func NAME()",
    "NAME()",
    "int main()",
    "fn main() {",
    "def main(",
    "void Main(",
]


@pytest.mark.parametrize("language", CASES)
@given(pieces=st.lists(st.sampled_from(FRAGMENTS), max_size=25))
def test_the_most_broken_text_is_still_some_program(language: str, pieces: list[str]) -> None:
    name = problem(language).entry_point
    text = " ".join(pieces).replace("NAME", name)
    assert isinstance(assemble(problem(language), text), str | None)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("language", ["cs", "rs", "sh", "php", "hs"])
def test_a_long_text_takes_seconds_at_most(language: str) -> None:
    name = problem(language).entry_point
    noise = [f"Then {name}(x", "{ ' \" /* `", f"  {name}(1);", " " * 60, "R\"x( r#\" ''' ?> <?"]
    text = "\n".join(noise[number % len(noise)] for number in range(20_000))
    assemble(problem(language), text)
    reply(language, f"```\n{text}\n```\n")
