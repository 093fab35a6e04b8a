"""What a script of MultiPL-E does beside defining its function, and what of it the tests can stand behind."""

import pytest

from xftbench.benchmarks.multipl_e_scripts import as_script
from xftbench.benchmarks.multipl_e_uses import without_uses

FUNCTIONS = {
    "js": "function add(x, y) {\n  return x + y;\n}\n",
    "lua": "local function add(x, y)\n    return x + y\nend\n",
    "php": "<?php\nfunction add($x, $y) {\n    return $x + $y;\n}\n",
    "pl": "sub add {\n    return $_[0] + $_[1];\n}\n",
    "r": "add <- function(x, y) {\n  x + y\n}\n",
    "rb": "def add(x, y)\n  x + y\nend\n",
    "rkt": "(define (add x y)\n  (+ x y))\n",
}

ENDS = [
    ("js", "main();\n"),
    ("js", "await main(process.argv);\n"),
    ("js", "main()\n  .then(() => process.exit(0))\n  .catch(console.error);\n"),
    ("js", "if (process.argv.length < 4) {\n  process.exit(0);\n} else {\n  console.log(1);\n}\n"),
    ("js", "if (!process.argv[2])\n  process.exit(0);\n"),
    ("js", "(async () => {\n  process.exit(0);\n})();\n"),
    ("lua", 'if #arg < 2 then\n    print("usage")\n    os.exit(0)\nend\n'),
    ("lua", "if #arg < 2 then os.exit(0) end\n"),
    ("lua", "main()\n"),
    ("php", "main();\n"),
    ("php", "if ($argc < 3) {\n    echo 1;\n}\nelse {\n    exit(0);\n}\n"),
    ("pl", "main() unless caller;\n"),
    ("pl", "__PACKAGE__->run() unless caller;\n"),
    ("pl", "unless (@ARGV) {\n    print 1;\n    exit 0;\n}\n"),
    ("r", "main()\n"),
    ("r", 'if (!interactive()) {\n  print(1)\n  quit(save = "no")\n}\n'),
    ("rb", "if __FILE__ == $0\n  puts add(1, 2)\n  exit(0)\nend\n"),
    ("rb", "main if __FILE__ == $PROGRAM_NAME\n"),
    ("rb", "exit(0) if ARGV.empty?\n"),
    ("rb", "abort 'usage'\n"),
    ("js", "try {\n  f(1);\n  process.exit(0);\n} catch (e) {\n  console.log(e);\n}\n"),
    ("js", "for (const x of [1]) {\n  if (add(x, 1) !== 3) {\n    process.exit(1);\n  }\n}\n"),
    ("js", "[[1, 2]].forEach(([x, y]) => {\n  if (add(x, y) !== 4) throw new Error('x');\n});\n"),
    ("lua", "for _, x in ipairs({1}) do\n    if add(x, 1) ~= 3 then\n        error('x')\n    end\nend\n"),
    ("lua", "if not pcall(debug.getlocal, 4, 1) then\n    print(add(io.read(), 1))\nend\n"),
    ("php", "try {\n    f(1);\n} catch (Exception $e) {\n    exit(0);\n}\n"),
    ("php", "foreach ([1] as $x)\n{\n    if (add($x, 1) !== 3) {\n        exit(1);\n    }\n}\n"),
    ("php", "echo add(1, 2) === 3\n    ? 'ok'\n    : die('bad');\n"),
    ("pl", "for my $x (1) {\n    exit 1 if add($x, 1) != 3;\n}\n"),
    ("js", "process.argv.length < 3 && process.exit(0);\n"),
    ("php", "$argc > 1 or exit(0);\n"),
    ("pl", "@ARGV or exit 0;\n"),
    ("pl", "add(1, 2) == 4 or die 'bad'; # 4\n"),
    ("pl", "print(add(1, <STDIN>)) unless caller;\n"),
    ("js", "add(1, 2) === 4\n  ? process.exit(0)\n  : process.exit(1);\n"),
    ("rb", "puts add(gets.to_i, 1) if __FILE__ == $0\n"),
    ("rb", "puts 'x',\n  exit\n"),
    ("rb", "puts add(gets.to_i, 1)\n"),
    ("r", "if (sys.nframe() == 0) {\n  cat(add(1, as.numeric(commandArgs()[1])))\n}\n"),
    ("rb", "begin\n  puts add(2, 2)\n  exit 0\nrescue => e\n  exit 1\nend\n"),
    ("rb", "[[1, 2]].each do |x, y|\n  exit unless add(x, y) == 4\nend\n"),
    ("rb", "tests.each { |x, y| raise 'x' unless add(x, y) == 4 }\n"),
    ("rb", "raise 'x' unless add(1, 2) == 4\n"),
    ("rb", "if __FILE__ == $PROGRAM_NAME\n  puts add(gets.to_i, 1)\nend\n"),
    ("rkt", "(main)\n"),
    ("rkt", "(when (vector-empty? (current-command-line-arguments))\n  (exit 0))\n"),
]


@pytest.mark.parametrize(("language", "statement"), ENDS)
def test_what_runs_or_ends_a_script_goes(language: str, statement: str) -> None:
    function = FUNCTIONS[language]
    assert without_uses(language, function + statement, "add") == function
    assert without_uses(language, f"{function}{statement}X = 1\n", "add") == f"{function}X = 1\n"
    assert as_script(language, function + statement, "add") == as_script(language, function, "add")


VALUES = [
    ("js", "const x = await main();\n"),
    ("js", "const ok = process.exit(0);\nconst text = `${ok ? 1 : 2}`;\nconsole.log(text);\n"),
    ("js", "const [a, b] = fs.readFileSync(0, 'utf8').split(' ');\nconsole.log(`${add(a, b)}`);\n"),
    ("js", "let x: string = prompt('x');\n"),
    ("lua", "local a, b = io.read('n', 'n')\nprint(add(a, b))\n"),
    ("php", "$ok = main();\necho $ok;\n"),
    ("php", "$x = trim(fgets(STDIN));\necho add($x, 1);\n"),
    ("pl", 'my $ok = main();\nprint "$ok";\n'),
    ("pl", "chomp(my $x = <STDIN>);\nprint add($x, 1);\n"),
    ("r", "ok <- main()\nprint(ok)\n"),
    ("r", "x <- as.numeric(readLines(con, n = 1))\nprint(add(x, 1))\n"),
    ("rb", 'a, b = gets.split.map(&:to_i)\nputs "#{add(a, b)}"\n'),
    ("rb", "x = $stdin.gets.to_i\nputs add(x, 1)\n"),
]


@pytest.mark.parametrize(("language", "tail"), VALUES)
def test_where_a_variable_comes_from_what_ends_the_script_the_rest_goes(language: str, tail: str) -> None:
    function = FUNCTIONS[language]
    own = function.removeprefix("<?php\n")
    assert without_uses(language, function + tail, "add") == function
    for more in (own, own.replace("add", "plus")):
        assert without_uses(language, f"{function}{tail}{more}", "add").endswith(more), "more is defined"


def test_what_only_a_module_may_await_is_not_awaited() -> None:
    use = "add(1, 2);\nconst y = add(1, 2);\nconst z = await import('fs');\n"
    awaited = use.replace("add(", "await add(")
    assert as_script("js", FUNCTIONS["js"] + awaited, "add") == FUNCTIONS["js"] + use


HELPERS = [
    ("js", "function runTests() {\n  process.exit(add(1, 2) === 4 ? 0 : 1);\n}\n", "runTests();\n"),
    ("js", "const run = async () => {\n  process.exit(0);\n};\n", "run().catch(console.error);\n"),
    ("js", "class T {\n  run() {\n    process.exit(0);\n  }\n}\nconst t = new T();\n", "t.run();\n"),
    ("js", "function end() {\n  process.exit();\n}\nfunction f() {\n  end();\n}\n", "if (x) {\n  f();\n}\n"),
    ("js", "function check(x) {\n  if (!x) {\n    throw 1;\n  }\n}\n", "check(add(1, 2) === 4);\n"),
    ("lua", "local function run_tests()\n    os.exit(add(1, 2))\nend\n", "run_tests()\n"),
    ("lua", "local T = {}\nfunction T.run()\n    os.exit(0)\nend\n", "T.run()\n"),
    ("php", "function runTests()\n{\n    exit(0);\n}\n", "runTests();\n"),
    ("php", "class Runner {\n    static function run() { exit(0); }\n}\n", "Runner::run();\n"),
    ("php", "class Runner {\n    function run() { exit(0); }\n}\n$r = new Runner();\n", "$r->run();\n"),
    ("pl", "sub run_tests {\n    exit(0);\n}\n", "run_tests();\n"),
    ("pl", "sub run {\n    exit(0);\n}\n", "run() unless caller;\n"),
    ("r", "run_tests <- function() {\n  quit(status = 0)\n}\n", "run_tests()\n"),
    ("rb", "def run_tests\n  exit(0)\nend\n", "run_tests\n"),
    ("rb", "def run_tests\n  exit(0)\nend\n", "run_tests if __FILE__ == $0\n"),
    ("rb", "class Runner\n  def self.run\n    exit\n  end\nend\n", "Runner.run\n"),
    ("rkt", "(define (run-tests)\n  (exit 0))\n", "(run-tests)\n"),
]


@pytest.mark.parametrize(("language", "helper", "use"), HELPERS)
def test_what_calls_a_helper_that_ends_the_script_goes(language: str, helper: str, use: str) -> None:
    script = FUNCTIONS[language] + helper
    assert without_uses(language, script + use, "add") == script
    assert without_uses(language, f"{script}{use}X = 1\n", "add") == f"{script}X = 1\n"


CHECKS = [
    ("js", "assert\n  .strictEqual(add(1, 2), 4);\nprocess.exitCode = 1;\n"),
    (
        "js",
        (
            "const { describe: d, it } = require('mocha');\nconst expect = require('chai').expect;\n"
            "describe('a', () => {\n  expect(add(1, 2));\n});\nexpect(add(1, 2))\n  .to.equal(4);\n"
        ),
    ),
    ("r", "library(testthat)\nexpect_equal(add(1, 2), 4)\n"),
    ("rb", "require 'rspec/autorun'\nRSpec.describe 'a' do\n  it { expect(add(1, 2)).to eq(4) }\nend\n"),
    ("lua", "TestAdd = {\n    testOne = function()\n    end,\n}\n"),
    ("lua", "function TestAdd:test1()\n    lu.assertEquals(add(1, 2), 4)\nend\n"),
    ("lua", "function testAdd()\n    lu.assertEquals(add(1, 2), 4)\nend\n"),
    ("lua", "TestAdd.testOne = function()\n    lu.assertEquals(add(1, 2), 4)\nend\n"),
    ("lua", "os.exit(lu.LuaUnit.run())\n"),
    ("lua", "assert(add(1, 2) == 4)\n"),
    ("php", "assert(add(1, 2) === 4);\n"),
    ("r", "stopifnot(add(1, 2) == 4)\n"),
    ("r", "test_that('it adds', {\n  expect_equal(add(1, 2), 4)\n})\n"),
    (
        "rb",
        "class TestAdd < Test::Unit::TestCase\n  def test_add\n    assert_equal(4, add(1, 2))\n  end\nend\n",
    ),
    ("rb", "class TestAdd < Minitest::Test\n  def test_add\n    assert_equal 4, add(1, 2)\n  end\nend\n"),
    ("rb", "describe 'add' do\n  it 'adds' do\n  end\nend\n"),
    ("rkt", "(check-equal? (add 1 2)\n              4)\n"),
    ("rkt", '(test-case "adds"\n  (check-equal? (add 1 2) 4))\n'),
]


@pytest.mark.parametrize(("language", "check"), CHECKS)
def test_checks_of_the_replys_own_go(language: str, check: str) -> None:
    function = FUNCTIONS[language]
    assert as_script(language, function + check, "add") == as_script(language, function, "add")


def test_a_library_for_checks_that_the_function_uses_is_loaded() -> None:
    code = f"const expect = require('chai').expect;\n{FUNCTIONS['js']}const f = () => expect(1);\n"
    assert as_script("js", code, "add") == code


def test_perls_own_checks_go_and_their_plan() -> None:
    code = f"use Test::More tests => 2;\n{FUNCTIONS['pl']}is(add(1, 2), 4);\nis add(1, 2), 'x';\n"
    assert as_script("pl", code, "add") == f"use Test::More;\n{FUNCTIONS['pl']}"
    other = f"sub is {{\n    return 1;\n}}\n{FUNCTIONS['pl']}is(1);\n"
    assert as_script("pl", other, "add") == other


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("js", "if (!Array.prototype.x) {\n  Array.prototype.x = 1;\n}\n"),
        ("js", "const main = (x) => x;\nmain_loop();\n"),
        ("js", "function f() {\n  if (true) process.exit(0);\n}\n"),
        (
            "lua",
            "function f()\n    os.exit(0)\nend\nif x then\n    g = f\n    function h() end\nend\nk = h\n",
        ),
        ("lua", "function test_prime(n)\n    return n\nend\n"),
        ("php", "if (!function_exists('f')) {\n    function f() {\n        exit(1);\n    }\n}\n$g = f(1);\n"),
        ("pl", "my %h = (exit => 1);\nif (1) {\n    $h{x} = $main::y;\n}\n"),
        ("r", "if (!exists('g')) {\n  g <- 1\n}\nq <- 2\n"),
        ("rb", "class TestLike\n  def f\n    exit\n  end\nend\nmain = 3\n"),
        ("rkt", "(define (f)\n  (exit 0))\n(begin\n  (define g 1))\n"),
        ("js", "function fill() {\n  if (!t) throw 1;\n}\nconst t = f(() => add(1, 2));\nfill();\n"),
        ("php", "function end() {\n    exit(1);\n}\n$table = f('end');\nset_handler(1);\n"),
        ("rb", "def f\n  exit\nend\nCACHE = Hash.new do |h, k|\n  raise if k < 0\n  add(k, 1)\nend\n"),
        ("js", "function f() {\n  process.exit();\n}\ng(1);\n  const x = f;\n"),
        ("rb", "module M\n  def self.f\n    exit\n  end\nend\ninclude M\n"),
        ("rb", "define_method(:sub) do |x, y|\n  raise unless y\n  add(x, -y)\nend\n"),
    ],
)
def test_what_only_defines_something_stays(language: str, code: str) -> None:
    assert without_uses(language, code + FUNCTIONS[language], "add") == code + FUNCTIONS[language]


def test_a_condition_that_defines_the_function_stays() -> None:
    code = (
        "if (typeof add === 'undefined') {\n  var add = (x, y) => x + y;\n  if (!add) process.exit(1);\n}\n"
    )
    assert without_uses("js", code, "add") == code


def test_perls_documentation_ends_before_the_tests() -> None:
    function = FUNCTIONS["pl"]
    pod = "\n=head1 NAME\n\nadd - Adds\n\n=head1 AUTHOR\n\nMe\n"
    assert as_script("pl", function + pod, "add") == f"{function}{pod}\n\n=cut\n"
    closed = f"{pod}\n=cut\n\n{function}"
    assert as_script("pl", closed, "add") == closed
    quoted = f"my $x = <<END;\n=head1\nEND\n{function}"
    assert as_script("pl", quoted, "add") == quoted


@pytest.mark.timeout(30)
@pytest.mark.parametrize("language", FUNCTIONS)
def test_a_long_script_takes_seconds_at_most(language: str) -> None:
    for lines in ("if (main\n( {\nclass A < Test::Unit\n(when (exit {\n", "f(\ntry {\ndef f\nf\nexit\nend\n"):
        without_uses(language, lines * 5_000, "add")


def test_a_statement_without_an_end_is_not_cut_in_its_middle() -> None:
    code = f"if (x) {{\n  process.exit(0);\n{'  f();' * 4_000}\nvar y;\n"
    assert without_uses("js", code, "add") == code


def test_a_tag_ends_a_statement_of_php() -> None:
    function = FUNCTIONS["php"]
    code = as_script("php", f"{function}?>\n<p><?= add(1, 2) ?></p>\n", "add")
    assert code == f"{function}?>\n<p><?= add(1, 2)\n;\n"
    assert as_script("php", f"{function}?>\n", "add") == function


def test_a_method_of_rubys_class_itself_needs_no_object() -> None:
    own = "class A\n  class << self\n    def add(x, y)\n    end\n  end\nend\n"
    assert as_script("rb", own, "add").endswith("\n  A.add(*arguments)\nend\n")
    other = "class A\n  class << self\n    def f\n    end\n  end\n  def add(x, y)\n  end\nend\n"
    assert as_script("rb", other, "add").endswith("\n  A.new.add(*arguments)\nend\n")
