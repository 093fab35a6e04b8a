"""Which solutions are plain: those get no control. Text work only, nothing is run."""

import re
import time

import pytest
from native import CASES, native

from xftbench.execution.native import cpp, proof, reading
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.readings import READINGS
from xftbench.records import NativeProgram

HEAD = "#include<assert.h>\n#include<bits/stdc++.h>\n"


def is_plain(language: str, solution: str) -> bool:
    test = CASES[language].test
    program = NativeProgram(task_id="HumanEval_53_add", language=language, solution=solution, test=test)
    return not proof.is_wary(program, LANGUAGES[language])


@pytest.mark.parametrize("language", sorted(READINGS.keys() & CASES.keys()))
def test_the_usual_answer_is_plain(language: str) -> None:
    assert is_plain(language, CASES[language].right)
    assert not proof.is_wary(native(language, CASES[language].right), LANGUAGES[language])


@pytest.mark.parametrize(
    ("language", "solution"),
    [
        (
            "cpp",
            f"{HEAD}// it's \"odd\n/* 'x */ char c = '\"'; long add(long x, long y) {{ return x; // done\n",
        ),
        ("java", "class Problem {\n    // Adds two; {all}\n    public static int add(int x, int y) {\n"),
        ("java", "class Problem {\n    public static int add(int x) { x(new ArrayList<>() {{ add(1); }});\n"),
        ("scala", "object Problem {\n    def add(x: Int): Int = { def f(size: Int) = size\n"),
        ("js", "const add = (x, y) => x.replace(/[\\s,]+/g, 'don').length / 2; // as it is\n"),
        ("js", "const add = (x, y) => `${x}-${y} `.trim();\n"),
        ("php", '<?php\nfunction add($x, $y) { return "{$x} and $y" . strrev($x); }\n'),
        ("rb", 'def add(x, y)\n  "#{x} and #{y}".chars.map(&:to_i).sum\nend\n'),
        ("sh", 'add() {\n    local x="$1"\n    echo "$(echo "$x" | tr -d \' \')"\n'),
        ("rs", "fn add<'a>(x: &'a str, y: char) -> bool { y == 'a' && x.chars().any(|c| c == '\"')\n"),
        ("rkt", '#lang racket\n(define (add x y) (if (char=? #\\" x) "a\nb" (string-append y ";")))\n'),
        ("d", '/* it"s */ long add(long x, long y) { return `a"b`.length; }\n'),
        ("lua", "local function add(x, y)\n    -- it's so\n    return #x + math.floor(y)\nend\n"),
    ],
)
def test_texts_comments_and_expressions_are_read(language: str, solution: str) -> None:
    assert is_plain(language, solution)


@pytest.mark.parametrize(
    ("language", "before"),
    [
        ("cpp", 'auto s = R"x(a"/*)x";'),
        ("cpp", "// more \\ \nint z;"),
        ("cpp", "int memcmp(const void*, const void*, size_t) noexcept { return 0; }"),
        ("cpp", "template<> bool std::equal<int*, int*>(int*, int*, int*) { return true; }"),
        ("cpp", "struct T : std::char_traits<char> {};"),
        ("cpp", "auto p = dlsym(0, 0);"),
        ("java", "// \\u000a int z;"),
        ("java", "int size() { return 2; }"),
        ("java", "// static\nSet<String>keySet(int x) throws Exception { return null; }"),
        ("cs", '// \n@"\\"; /*";'),
        ("scala", 'val z = """a"""" + "b"'),
        ("scala", "override val size = 2"),
        ("scala", "def iterator = Iterator()"),
        ("scala", "trait A"),
        ("rs", "use std::dbg as r#assert_eq;"),
        ("js", "const q = '/*'; x.\\u0061dd;"),
        ("js", "// \u2028 evil()"),
        ("js", "const f = function () { return this; };"),
        ("js", "if (1) /'/.x(escape(2)); '/';"),
        ("js", "/`/, `\n'`; escape(2); `';"),
        ("ts", "const z = globals['a'];"),
        ("php", "<?php show_source('x');"),
        ("php", "<?php $f = $$x;"),
        ("rb", "X = Class.new(Numeric) { }"),
        ("rb", "def <=>(o) = 0"),
        ("rb", '"#{x + "a" + b(evil) + "c"}"'),
        ("rb", '"#{\'"\'}\n" + evil + "#{\'"\'}"'),
        ("lua", "pairs, zz = 1, 2"),
        ("lua", "local t = string\n"),
        ("lua", "string.format = tostring"),
        ("r", "list2env(list())"),
        ("r", 'z <- r"(a\'b)"'),
        ("rkt", "(define (|list| . xs) 0)"),
        ("sh", "e\\val 'x'"),
        ("sh", "s''et -x"),
        ("sh", '"$c" x'),
        ("sh", 'x="$(echo " $(evil) ")"'),
        ("go", "var a, fmt T"),
        ("d", "auto p = dlsym(null);"),
    ],
)
def test_what_could_read_otherwise_or_reach_further_is_not_plain(language: str, before: str) -> None:
    right = CASES[language].right
    assert not is_plain(language, f"{before}\n{right}")
    assert not is_plain(language, f"{right}\n{before}")


def test_every_perl_solution_gets_its_control() -> None:
    assert not is_plain("pl", CASES["pl"].right), "there are too many ways to return two values"


@pytest.mark.parametrize(
    "unit", ["PartialEq ", " ", "a, ", "\"'", "/*", "\\\n ", "((", "[a", "$(", "-> ", "x\n", "``", "return ("]
)
def test_reading_takes_time_in_proportion_to_the_text(unit: str) -> None:
    def cost_s(n: int) -> float:
        text = "#include <assert.h>\n" + unit * n + ")]"
        started = time.perf_counter()
        cpp._INCLUDES.match(text)
        for name, row in LANGUAGES.items():
            if row.proof:
                re.search(row.proof.wary, text)
            if name in READINGS:
                reading.code_of(text, READINGS[name])
                reading.unknown_words(text, READINGS[name], "add")
        return time.perf_counter() - started

    few = max(cost_s(1000), 0.02)
    assert cost_s(8000) < 40 * few
