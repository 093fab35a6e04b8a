"""Which of several functions of one name is the one that was asked for; how a member gets its bare name."""

import tomllib
from pathlib import Path

import pytest

from xftbench.benchmarks.multipl_e_code import assemble, entry_point
from xftbench.records import NativeProblem

PROMPTS = tomllib.loads(Path(__file__).with_name("multipl_e_answers.toml").read_text(encoding="utf-8"))


def assembled(language: str, code: str) -> str:
    prompt = PROMPTS[language]["prompt"]
    name = entry_point(language, prompt)
    problem = NativeProblem(task_id="T/0", prompt=prompt, entry_point=name, language=language, test="")
    solution = assemble(problem, code)
    assert solution is not None
    return solution


INNER = [
    (
        "cpp",
        "struct P { long v; P add(const P& o) const { return P{v + o.v}; } };",
        "long add(long x, long y) {\n    return x + y;\n}",
    ),
    (
        "rs",
        "impl Adder for isize { fn add(&self, y: isize) -> isize { *self + y } }",
        "fn add(x: isize, y: isize) -> isize {\n    Adder::add(&x, y)\n}",
    ),
    (
        "rs",
        "",
        (
            "fn add(x: isize, y: isize) -> isize {\n"
            "    fn add(a: isize) -> isize {\n        a\n    }\n    add(x) + y\n}"
        ),
    ),
    ("sh", "", 'add() {\n    add() { echo $(($1 + $2)); }\n    add "$@"\n}'),
]


@pytest.mark.parametrize(("language", "others", "function"), INNER)
def test_a_method_or_an_inner_function_is_not_the_one_that_was_asked_for(
    language: str, others: str, function: str
) -> None:
    code = assembled(language, f"{function}\n{others}\n")
    assert code.endswith(function.removesuffix("\n}"))
    assert others in code


IN_A_CLASS = [
    (
        "java",
        "    public static long add(long x, long y) {\n        return new Acc().add(x) + y;\n    }",
        "    static class Acc { long add(long x) { return x; } }",
    ),
    (
        "cs",
        "    public static long Add(long x, long y) {\n        return new Acc().Add(x) + y;\n    }",
        "    class Acc { public long Add(long x) { return x; } }",
    ),
    (
        "scala",
        (
            "    def add(x: Long, y: Long): Long = {\n"
            "        def add(z: Long): Long = { z }\n        add(x) + y\n    }"
        ),
        "",
    ),
]


@pytest.mark.parametrize(("language", "method", "others"), IN_A_CLASS)
def test_a_method_of_an_inner_class_is_not_the_one_that_was_asked_for(
    language: str, method: str, others: str
) -> None:
    kind = "object" if language == "scala" else "class"
    code = assembled(language, f"{kind} Problem {{\n{method}\n{others}\n}}\n")
    assert code.rstrip().endswith(method.removesuffix("}").rstrip())
    assert others in code


HELPERS = [
    ("java", "class", "public static long add(long x, long y) {", "public static int add(int x, int y) {"),
    ("cs", "class", "public static long Add(long x, long y) {", "public static int Add(int x, int y) {"),
    ("scala", "object", "def add(x : Long, y : Long) : Long = {", "def add(x: Int, y: Int): Int = {"),
]


@pytest.mark.parametrize(("language", "kind", "ours", "other"), HELPERS)
@pytest.mark.parametrize("is_first", [True, False])
def test_a_helper_class_may_have_a_method_of_that_name(
    language: str, kind: str, ours: str, other: str, is_first: bool
) -> None:
    asked = f"{kind} Problem {{\n    {ours} 1 }}\n}}\n"
    helper = f"{kind} Helper {{\n    {other} 2 }}\n}}\n"
    code = assembled(language, asked + helper if is_first else helper + asked)
    assert code.endswith(f"{kind} Problem {{\n    {ours} 1 ")
    assert helper.strip() in code
    assert code.count(f"{kind} Problem {{") == 1


def test_of_classes_of_other_names_the_first_counts_that_is_no_interface() -> None:
    code = assembled(
        "java",
        "interface Adder {\n    static long add(int x) { return 0; }\n}\n"
        "class Solution {\n    static long add(long x, long y) { return 1; }\n}\n"
        "class Helper {\n    static long add(int x) { return 2; }\n}\n",
    )
    assert code.endswith("class Problem {\n    static long add(long x, long y) { return 1; ")


def test_of_overloads_side_by_side_the_last_counts() -> None:
    code = assembled(
        "java",
        "class Problem {\n    static long add(int x) { return 1; }\n"
        "    static long add(long x) { return 2; }\n}\n",
    )
    assert code.endswith("    static long add(long x) { return 2; ")


LOOSE = [
    ("java", "public static long add(long x, long y) {", 'System.out.println(add(1, 2) + ";"); // 3\n'),
    ("java", "public static long add(long x, long y) {", "for (int i = 0; i < 3; i++) {\n    f(i);\n}\n"),
    ("cs", "public static long Add(long x, long y) {", "Console.WriteLine(Add(1, 2));\n"),
    (
        "cs",
        "public static long Add(long x, long y) {",
        "var three = Add(1, 2);\nDebug.Assert(\n    three == 3\n);\n",
    ),
]


@pytest.mark.parametrize(("language", "head", "use"), LOOSE)
def test_an_example_of_use_beside_a_method_is_no_member(language: str, head: str, use: str) -> None:
    function = f"{head}\n    return f(x);\n}}\n"
    helper = "static int seven = f(7);\nstatic long f(long x) {\n    g(x);\n    return x;\n}\n"
    code = assembled(language, helper + function + use)
    assert code.replace(" // 3", "").split() == assembled(language, helper + function).split()


METHOD = "  add(x, y) {\n    return x + y;\n  }\n"


@pytest.mark.parametrize(
    ("language", "code", "added"),
    [
        ("lua", "local M = {}\nfunction M.add(x, y)\nend\n", "\nlocal add = M.add\n"),
        ("lua", "local M = {}\nM.add = function(x, y)\nend\n", "\nlocal add = M.add\n"),
        (
            "lua",
            "S = {}\nfunction S:add(x, y)\nend\n",
            "\nlocal function add(...)\n    return S:add(...)\nend\n",
        ),
        ("rb", "add = ->(x, y) { x }\n", "\nself.class.send(:define_method, :add, &add)\n"),
        ("rb", "def self.add(x, y)\nend\n", "\nself.class.send(:define_method, :add, &method(:add))\n"),
        (
            "rb",
            "module S\n  def self.add(x, y)\n  end\nend\n",
            "\ndef add(*arguments)\n  S.add(*arguments)\nend\n",
        ),
        (
            "rb",
            "class S\n  def add(x, y)\n  end\nend\n",
            "\ndef add(*arguments)\n  S.new.add(*arguments)\nend\n",
        ),
        ("rb", "def add(x, y)\nend\n", ""),
        ("js", f"class S {{\n{METHOD}}}\n", "\nconst add = (...list) => new S().add(...list);\n"),
        (
            "js",
            f"class T {{}}\nclass S extends T {{\n  static{METHOD}}}\n",
            "\nconst add = (...list) => S.add(...list);\n",
        ),
        ("js", f"const s = {{\n{METHOD}}};\n", "\nconst add = (...list) => s.add(...list);\n"),
        ("js", f"class S {{\n{METHOD}}}\nconst {{ add }} = new S();\n", ""),
        ("js", f"class S {{\n{METHOD}}}\nconst add = (x) => x;\n", ""),
        (
            "ts",
            f"class S {{\n{METHOD.replace(')', '): number')}}}\n",
            "\nconst add = (...list: any[]) => (new S() as any).add(...list);\n",
        ),
        (
            "php",
            "<?php\nclass S {\n    public function add($x) {\n    }\n}\n",
            "\nfunction add(...$list) {\n    return (new S())->add(...$list);\n}\n",
        ),
        (
            "php",
            "<?php\nclass S {\n    public static function add($x) {\n    }\n}\n",
            "\nfunction add(...$list) {\n    return S::add(...$list);\n}\n",
        ),
        ("php", "<?php\nclass S {\n    function add($x) {\n    }\n}\nfunction add($x) {}\n", ""),
    ],
)
def test_a_member_gets_the_name_that_the_tests_call(language: str, code: str, added: str) -> None:
    assert assembled(language, code) == code + added
