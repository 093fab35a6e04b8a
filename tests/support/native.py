"""One small problem, ``add``, in every language, solved well and badly, with MultiPL-E's shape of a test."""

# ruff: noqa: E501

from typing import NamedTuple

from xftbench.records import NativeProgram


class Case(NamedTuple):
    right: str
    """A whole solution; the others replace `add`, the expression in it, or stand in its place."""
    add: str
    test: str
    crash: str
    """An expression that ends the program badly."""
    spin: str
    """A statement that never ends, put before the result."""
    print: str
    """A statement that prints one line of 100 characters, 2,000 times."""


LINE = "x" * 99

CASES = {
    "java": Case(
        "import java.util.*;\nclass Problem {\n    public static int add(int x, int y) {\n        /*S*/return x + y;\n",
        "x + y",
        "    }\n    public static void main(String[] args) {\n    assert(add(1, 2) == 3);\n    }\n\n}\n",
        "(new int[0])[x]",
        "while (x > 0) { y++; }",
        f'for (int i = 0; i < 2000; i++) System.out.println("{LINE}");',
    ),
    "cpp": Case(
        "#include<assert.h>\n#include<bits/stdc++.h>\nint add(int x, int y) {\n    /*S*/return x + y;\n",
        "x + y",
        "}\nint main() {\n    auto candidate = add;\n    assert(candidate(1, 2) == 3);\n}\n",
        "*(volatile int*)0",
        "volatile int z = 1; while (z) {}",
        f'for (int i = 0; i < 2000; i++) puts("{LINE}");',
    ),
    "swift": Case(
        "func add(_ x: Int, _ y: Int) -> Int {\n    /*S*/return x + y\n",
        "x + y",
        "}\nassert(add(1, 2) == 3)\n",
        "[Int]()[x]",
        "while true {}",
        f'for _ in 0..<2000 {{ print("{LINE}") }};',
    ),
    "rs": Case(
        "fn add(x: i64, y: i64) -> i64 {\n    /*S*/x + y\n",
        "x + y",
        "}\n\nfn main() {\n    let candidate = add;\n    assert_eq!(candidate(1, 2), 3);\n}\n",
        "{ let v: Vec<i64> = vec![]; v[x as usize] }",
        "let mut z = 1u64; while z != 0 { z |= 1; }",
        f'for _ in 0..2000 {{ println!("{LINE}"); }}',
    ),
    "go": Case(
        'package add_test\n\nimport (\n    "testing"\n    "fmt"\n)\n\nfunc add(x int, y int) int {\n    /*S*/return x + y\n}\n',
        "x + y",
        "func TestAdd(t *testing.T) {\n  candidate := add\n\ttype test struct {\n\t\tactual interface{}\n\t\texpected interface{}\n"
        "\t}\n   tests := []test{\n     { actual: candidate(1, 2), expected: 3 },\n   }\n\tfor i, tc := range tests {\n"
        '\t\tt.Run(fmt.Sprintf("test num % d", i), func(t *testing.T) {\n'
        '\t\t\tif fmt.Sprintf("%v", tc.actual) != fmt.Sprintf("%v", tc.expected) {\n'
        "\t\t\t\tt.Errorf(\"expected '%s', got '%s'\", tc.expected, tc.actual)\n\t\t\t}\n\t\t})\n\t}\n}\n",
        "[]int{}[x]",
        "for x > 0 { y++ };",
        f'for i := 0; i < 2000; i++ {{ fmt.Println("{LINE}") }};',
    ),
    "cs": Case(
        "using System;\nusing System.Diagnostics;\nusing System.Collections.Generic;\nclass Problem {\n"
        "    public static int Add(int x, int y) {\n        /*S*/return x + y;\n",
        "x + y",
        "    }\n    public static void Main(string[] args) {\n    Debug.Assert(Add(1, 2) == 3);\n    }\n\n}\n",
        "(new int[0])[x]",
        "while (x > 0) { y++; }",
        f'for (int i = 0; i < 2000; i++) Console.WriteLine("{LINE}");',
    ),
    "d": Case(
        "import std.math;\nimport std.stdio;\nint add(int x, int y)\n{\n    /*S*/return x + y;\n}\n",
        "x + y",
        "unittest\n{\n    alias candidate = add;\n\n    assert(candidate(1, 2) == 3);\n}\nvoid main(){}\n",
        "(new int[0])[x]",
        "while (x > 0) { y++; }",
        f'for (int i = 0; i < 2000; i++) writeln("{LINE}");',
    ),
    "scala": Case(
        "import scala.math._\nobject Problem {\n    def add(x : Int, y : Int) : Int = {\n        /*S*/x + y\n",
        "x + y",
        "    }\n    def main(args: Array[String]) = {\n    assert(add(1, 2) == (3));\n    }\n\n}\n",
        "List[Int]()(x)",
        "while (x > 0) {};",
        f'for (i <- 1 to 2000) println("{LINE}");',
    ),
    "hs": Case(
        "add :: Int -> Int -> Int\nadd x y = {-S-}x + y\n",
        "x + y",
        'main :: IO ()\nmain = if add 1 2 == 3 then putStrLn "ok" else error "a check failed"\n',
        "([] :: [Int]) !! x",
        "length [1..] + ",
        "",
    ),
    "js": Case(
        "function add(x, y){\n  /*S*/return x + y;\n}\n",
        "x + y",
        "const assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = add;\n"
        "  assert.deepEqual(candidate(1, 2),3);\n}\n\ntest();",
        "null.x",
        "while (x) {}",
        f'for (let i = 0; i < 2000; i++) console.log("{LINE}");',
    ),
    "ts": Case(
        "function add(x: number, y: number): number {\n  /*S*/return x + y;\n}\n",
        "x + y",
        "declare var require: any;\nconst assert = require('node:assert');\n\n\nfunction test() {\n  let candidate = add;\n"
        "  assert.deepEqual(candidate(1, 2),3);\n}\n\ntest();",
        "(null as any).x",
        "while (x) {}",
        f'for (let i = 0; i < 2000; i++) console.log("{LINE}");',
    ),
    "php": Case(
        "<?php\nfunction add($x, $y) {\n    /*S*/return $x + $y;\n}\n",
        "$x + $y",
        "function candidate(...$args) {\n    return add(...$args);\n}\n\nfunction test(): void {\n"
        '    if (candidate(1, 2) !== 3) { throw new Exception("Test failed!"); }\n}\n\ntest();',
        "intdiv($x, 0)",
        "while (true) {}",
        f'for ($i = 0; $i < 2000; $i++) echo "{LINE}\\n";',
    ),
    "rb": Case(
        "def add(x, y)\n  #S\n  x + y\nend\n",
        "x + y",
        "require 'test/unit'\nclass TestHumanEval < Test::Unit::TestCase\n  def test_add\n    candidate = method(:add)\n"
        "    assert_equal(3, candidate.call(1, 2))\n  end\nend\n",
        "nil.upcase",
        "loop {}",
        f'2000.times {{ puts "{LINE}" }}',
    ),
    "lua": Case(
        "local function add(x, y)\n  --S\n  return x + y\nend\n",
        "x + y",
        "lu = require('luaunit')\n\nfunction test_humaneval()\nlocal candidate = add\n"
        "    lu.assertEquals(candidate(1, 2), 3)\nend\n\nos.exit(lu.LuaUnit.run())",
        "x.y.z",
        "while true do end",
        f'for i = 1, 2000 do print("{LINE}") end',
    ),
    "pl": Case(
        "sub add {\n    my($x, $y) = @_;\n    #S\n    return $x + $y;\n}\n",
        "$x + $y",
        "use Test::Deep;\n\n\nsub testhumaneval {\n    my $candidate = \\&add;\n"
        '        if(eq_deeply($candidate->(1, 2),3)) {\n        print "ok!" }else{\n        exit 1;\n        }\n}\n\n'
        "testhumaneval();",
        'die "gone"',
        "while (1) {}",
        f'for (my $i = 0; $i < 2000; $i++) {{ print "{LINE}\\n"; }}',
    ),
    "r": Case(
        "add <- function(x, y) {\n  #S\n  x + y\n}\n",
        "x + y",
        "test_humaneval <- function() {\n    candidate <- add\n    stopifnot(isTRUE(all.equal(candidate(1, 2), 3)))\n}\n"
        "test_humaneval()",
        'stop("gone")',
        "while (TRUE) {}",
        f'for (i in 1:2000) cat("{LINE}\\n")',
    ),
    "rkt": Case(
        "#lang racket\n\n(define (add x y)\n  ;S\n  (+ x y))\n",
        "(+ x y)",
        "(require rackunit)\n\n(define (test-humaneval) \n\n  (let (( candidate add))\n"
        "    (check-within (candidate 1 2) 3 0.001)\n))\n\n(test-humaneval)",
        "(car '())",
        "(let loop () (loop))",
        f'(for ([i 2000]) (displayln "{LINE}"))',
    ),
    "sh": Case(
        "#!/bin/bash\nadd() {\n    #S\n    echo $(($1 + $2))\n",
        "$(($1 + $2))",
        '}\n\ncandidate() {\n    add "$@"\n}\n\nset -e\nrun_test() {\n    [[ $(candidate "1" "2") = "3" ]]\n}\n\nrun_test',
        "$(($1 / 0))",
        "while :; do :; done",
        f'for i in {{1..2000}}; do echo "{LINE}" >&2; done',
    ),
    "ml": Case(
        "let add x y = (*S*) x + y\n",
        "x + y",
        "let assertions =\n    let candidate = add in\n    assert (candidate 1 2 = 3);\n    ()\n",
        "List.hd []",
        "let () = while true do () done in",
        f'let () = for _ = 1 to 2000 do print_endline "{LINE}" done in',
    ),
    "elixir": Case(
        "defmodule HumanEval do\n  def candidate(x, y) do\n    #S\n    x + y\n  end\nend\n",
        "x + y",
        "ExUnit.start()\ndefmodule HumanEvalTest do\n  use ExUnit.Case, async: true\n  test 'add' do\n"
        "    assert HumanEval.candidate(1, 2) == 3\n  end\nend\n",
        'raise "gone"',
        "Stream.repeatedly(fn -> 1 end) |> Stream.run()",
        f'for _ <- 1..2000, do: IO.puts("{LINE}")',
    ),
    "clj": Case(
        "(defn add [x y]\n  ;S\n  (+ x y))\n",
        "(+ x y)",
        "(require '[clojure.test :refer [deftest is run-test]])\n(deftest test-humaneval\n\n(let [candidate add]\n"
        "    (is (= (candidate 1 2) 3))\n))\n\n(run-test test-humaneval)",
        "(nth [] x)",
        "(loop [] (recur))",
        f'(dotimes [_ 2000] (println "{LINE}"))',
    ),
    "py": Case(
        "def add(x, y):\n    #S\n    return x + y\n",
        "x + y",
        "def check(candidate):\n    assert candidate(1, 2) == 3\n\ncheck(add)\n",
        "[][x]",
        "while True: pass",
        f'for _ in range(2000): print("{LINE}")',
    ),
}

MARKS = ("/*S*/", "{-S-}", "(*S*)", "#S", "--S", ";S")


def native(language: str, solution: str) -> NativeProgram:
    test = CASES[language].test
    return NativeProgram(task_id="HumanEval_53_add", solution=solution, language=language, test=test)


def with_statement(language: str, statement: str) -> str:
    """Return the right solution with a statement before its result."""
    case = CASES[language]
    for mark in MARKS:
        if mark in case.right:
            return case.right.replace(mark, statement)
    raise AssertionError(language)


def with_result(language: str, expression: str) -> str:
    """Return the right solution with another result."""
    case = CASES[language]
    head, _, tail = case.right.rpartition(case.add)
    return head + expression + tail
