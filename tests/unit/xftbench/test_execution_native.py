"""Programs in every installed language: right, wrong, not compiling, crashing, endless, chatty."""

from collections.abc import Iterator

import pytest
from native import CASES, native, with_result, with_statement

from xftbench.errors import SandboxError
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.toolchains import Missing, find_toolchain
from xftbench.execution.pool import Pool
from xftbench.records import Limits, Outcome, Program

SLOW = {"scala", "go", "ts", "clj", "hs", "elixir", "rkt"}
USUAL = Limits(cpu_s=15, wall_s=60.0)
SHORT = Limits(cpu_s=4, wall_s=20.0)
PAPER = ("java", "cpp", "rs", "js", "php")


def a_language(name: str) -> object:
    return pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else [])


EVERY = [a_language(name) for name in CASES]


@pytest.fixture(scope="module")
def usual() -> Iterator[Pool]:
    yield from opened(USUAL)


@pytest.fixture(scope="module")
def short() -> Iterator[Pool]:
    yield from opened(SHORT)


def opened(limits: Limits) -> Iterator[Pool]:
    try:
        pool = Pool(1, limits)
    except SandboxError as error:
        pytest.skip(str(error))
    with pool:
        yield pool


def run(pool: Pool, program: Program) -> Outcome:
    return pool.submit(program).result(timeout=250)


def need(language: str) -> None:
    found = find_toolchain(language)
    if isinstance(found, Missing):
        pytest.skip(f"{language}: {found.install}")


def test_every_language_but_two_without_a_toolchain_has_a_case() -> None:
    assert set(CASES) == set(LANGUAGES) - {"dart", "jl"}


@pytest.mark.parametrize("language", EVERY)
def test_a_right_solution_passes_and_its_checks_are_known_to_have_run(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, CASES[language].right))
    assert outcome.verdict == "passed", outcome
    if LANGUAGES[language].proof is None:
        assert outcome.strict is None
        assert outcome.evidence == "the exit status alone"
    else:
        assert outcome.strict == "passed", outcome
        assert "secret" in outcome.evidence


@pytest.mark.parametrize("language", EVERY)
def test_a_wrong_solution_fails_a_check(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_result(language, "42" if language != "hs" else "x * 42")))
    expected = {"hs": "crashed"}.get(language, "failed")
    assert outcome.verdict == expected, outcome
    assert outcome.strict in (expected, None)
    assert outcome.detail


@pytest.mark.parametrize("language", EVERY)
def test_a_solution_that_is_no_program_does_not_compile(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_result(language, ")](} +")))
    assert outcome.verdict == "compile_error", outcome
    assert outcome.detail
    assert outcome.stderr


@pytest.mark.parametrize("language", EVERY)
def test_a_solution_that_crashes_does_not_pass(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_result(language, CASES[language].crash)))
    assert outcome.verdict in ("crashed", "failed"), outcome
    assert outcome.strict in (outcome.verdict, None)


UNREADABLE = [
    ("js", "let x; let x;", "SyntaxError: Identifier 'x' has already been declared"),
    ("js", "import 'fs'; )", "SyntaxError: Unexpected token ')'"),
    ("js", "import { no } from 'fs';", "SyntaxError: The requested module 'fs'"),
    ("js", "/(/;", "SyntaxError: Invalid regular expression"),
    ("js", "`", "SyntaxError: "),
    ("php", "<?php if (", "Parse error"),
    ("rb", "def f(x) X = 1 end", "program.rb:1: dynamic constant assignment"),
    ("rb", "retry", "program.rb:1: Invalid retry"),
    ("rb", "if x = 2 then end; (", "syntax error"),
    ("lua", "goto nowhere", "no visible label 'nowhere'"),
    ("lua", "local x [[1\n2]]", "unexpected symbol"),
    ("lua", "x = '\\q'", "invalid escape sequence"),
    ("pl", "use strict; $z = 1;", 'Global symbol "$z" requires explicit package name'),
    ("pl", "use strict; my $x = bare;", 'Bareword "bare" not allowed'),
    ("pl", "use strict;" + "".join(f"${name} = 1;\n" for name in "cdefghijklmnop"), "Global symbol"),
    ("pl", "my $x = <<EOT;", "Can't find string terminator"),
    ("pl", "use Nope::Missing;", "Can't locate Nope/Missing.pm"),
    ("pl", "}", "Unmatched right curly bracket"),
    ("r", 'print("read"); message("and run"); x %%in y', "Error: unexpected 'in'"),
    ("r", "f <- function(x) {\nx 3", "Error: unexpected numeric constant in:"),
    ("r", "f <- function(x, x) x", "Error: repeated formal argument"),
    ("r", "x <- '\\q'", "unrecognized escape in character string"),
    ("r", "```", "zero-length variable name"),
    ("r", "{", "Error: unexpected end of input"),
    ("sh", "f() { a=(1 2", "syntax error near unexpected token `('"),
    ("sh", "for ((i=0; i<3)); do :; done", "syntax error: arithmetic expression required"),
    ("sh", "echo 'abc", "unexpected EOF while looking for matching"),
]  # fmt: skip
"""What no parser takes, put before the right solution."""

RUN = [
    ("js", "JSON.parse('{' + x)", "SyntaxError: Expected property name"),
    ("js", "JSON.parse('a\\n\\nb')", "SyntaxError: Unexpected token"),
    ("js", "eval('x x')", "SyntaxError: Unexpected identifier"),
    ("js", "new RegExp('(')", "SyntaxError: Invalid regular expression"),
    ("js", "(() => { throw new SyntaxError('mine') })()", "mine"),
    pytest.param("ts", "JSON.parse('{' + x)", "SyntaxError: Expected property", marks=pytest.mark.slow),
    ("php", 'eval("1 +")', "eval()'d code"),
    ("rb", 'eval("1 +")', "SyntaxError: (eval):1: syntax error"),
    ("rb", 'raise("syntax error")', "RuntimeError: syntax error"),
    ("lua", 'error("bad")', "program.lua:3: bad"),
    ("lua", 'error("\'x\' expected near y")', "'x' expected near y"),
    ("lua", 'assert(load("x ="))()', '[string "x ="]:1: unexpected symbol near <eof>'),
    ("lua", 'require("nosuch")', "module 'nosuch' not found"),
    ("lua", "add(x, y) + 1", "stack overflow"),
    ("pl", "Foo->bar", 'Can\'t locate object method "bar"'),
    ("pl", "require Nope::Missing", "Can't locate Nope/Missing.pm"),
    ("pl", "eval('use strict; $z = 1') || die $@", "Global symbol"),
    ("pl", 'die "a syntax error in x"', "a syntax error in x"),
    ("r", 'stop("Unexpected input")', "Unexpected input"),
    ("r", 'eval(parse(text = "x 3"))', "unexpected numeric constant"),
    ("sh", '$(( ${1}1 2 ))', "syntax error in expression"),
    ("sh", '$([[ "6\n1." -gt 1 ]])', "syntax error in expression"),
    ("sh", '$(bash -c "echo )")', "syntax error near unexpected token"),
    ("sh", '$(eval "echo )")', "syntax error near unexpected token"),
]  # fmt: skip
"""What a right program runs into that sounds like what a parser says, in place of the result."""


@pytest.mark.parametrize(("language", "text", "said"), UNREADABLE)
def test_what_the_parser_does_not_take_is_a_compile_error(
    language: str, text: str, said: str, usual: Pool
) -> None:
    need(language)
    outcome = run(usual, native(language, f"{text}\n{CASES[language].right}"))
    assert (outcome.verdict, said in outcome.detail) == ("compile_error", True), outcome


@pytest.mark.parametrize(("language", "expression", "said"), RUN)
def test_what_a_program_runs_into_is_a_crash_whatever_it_sounds_like(
    language: str, expression: str, said: str, usual: Pool
) -> None:
    need(language)
    outcome = run(usual, native(language, with_result(language, expression)))
    assert (outcome.verdict, said in outcome.detail) == ("crashed", True), outcome


@pytest.mark.parametrize(
    ("language", "top"),
    [
        ("js", "JSON.parse('{');"),
        ("rb", 'eval "1 +"'),
        ("lua", "print(1 .. nil)"),
        ("lua", "require('nosuch')"),
        ("lua", "error({})"),
        ("pl", "Foo->bar;"),
        ("r", 'stop("unexpected input")'),
        ("r", 'eval(parse(text = "x 3"))'),
    ],
)
def test_so_is_what_it_runs_into_before_the_tests(language: str, top: str, usual: Pool) -> None:
    need(language)
    assert run(usual, native(language, f"{CASES[language].right}{top}\n")).verdict == "crashed"


PARSERS_WORDS = {
    "js": 'console.error("/tmp/program.js:1\\n)\\n^\\n\\nSyntaxError: x\\n");',
    "php": 'fwrite(STDERR, "PHP Parse error:  x in program.php on line 1\\n");',
    "rb": '$stderr.puts "program.rb:1: syntax error"',
    "lua": 'io.stderr:write("lua5.3: program.lua:1: x near y\\n")',
    "pl": 'print STDERR "syntax error\\nExecution of program.pl aborted\\n";',
    "r": 'message("Error: unexpected end of input")',
    "sh": "echo 'program.sh: line 1: syntax error' >&2",
}


@pytest.mark.parametrize("language", PARSERS_WORDS)
def test_who_prints_a_parsers_words_changes_nothing_about_right_and_wrong(language: str, usual: Pool) -> None:
    need(language)
    chatty = with_statement(language, PARSERS_WORDS[language])
    outcome = run(usual, native(language, chatty))
    assert (outcome.verdict, outcome.strict) == ("passed", "passed"), outcome
    head, _, tail = chatty.rpartition(CASES[language].add)
    wrong = run(usual, native(language, f"{head}42{tail}"))
    assert "passed" not in (wrong.verdict, wrong.strict), wrong


@pytest.mark.slow
@pytest.mark.parametrize("language", CASES)
def test_an_endless_solution_is_stopped_by_its_cpu_time(language: str, short: Pool) -> None:
    need(language)
    outcome = run(short, native(language, with_statement(language, CASES[language].spin)))
    assert outcome.verdict == "timed_out", outcome


@pytest.mark.parametrize("language", [a_language(name) for name in CASES if name != "hs"])
def test_200_kilobytes_of_output_are_no_harm(language: str, usual: Pool) -> None:
    need(language)
    outcome = run(usual, native(language, with_statement(language, CASES[language].print)))
    assert outcome.verdict == "passed", outcome
    if LANGUAGES[language].proof:
        assert outcome.strict == "passed", outcome


@pytest.mark.slow
def test_verdicts_do_not_depend_on_the_number_of_workers() -> None:
    programs = []
    for language in PAPER:
        case = CASES[language]
        need(language)
        programs += [native(language, case.right), native(language, with_result(language, "42"))]
    seen = []
    for workers in (1, 16):
        with Pool(workers, USUAL) as pool:
            outcomes = [future.result() for future in [pool.submit(one) for one in programs * 2]]
            seen.append([(outcome.verdict, outcome.strict) for outcome in outcomes])
    assert seen[0] == seen[1]
    assert seen[0] == [("passed", "passed"), ("failed", "failed")] * len(PAPER) * 2
