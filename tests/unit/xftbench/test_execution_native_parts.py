"""The parts of running other languages, each alone: proof, judge, what is found, what is kept warm."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from native import CASES, native, with_result

from xftbench.execution.inside import native as supervisor
from xftbench.execution.native import builders, control, prepared, proof, toolchains, view
from xftbench.execution.native.judge import Ended, Ending, judge
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.runner import NativeRunner
from xftbench.execution.native.toolchains import Missing, Toolchain, find_toolchain
from xftbench.execution.native.warm import Compilers
from xftbench.execution.pool import Pool
from xftbench.execution.probe import describe
from xftbench.execution.worker import WorkerLostError
from xftbench.records import Limits, NativeProgram

LIMITS = Limits(cpu_s=15, wall_s=60.0)
SWIFTC = """#!/bin/sh
# Stands for swiftc: builds a program that fails if the source says so, and prints what its proof prints.
grep -q BROKEN program.swift && { echo "program.swift:1:1: error: expected expression" >&2; exit 1; }
echo '#!/bin/sh' > program
grep -q WRONG program.swift && echo 'echo "Assertion failed: file program.swift" >&2; kill -ILL $$' >> program
sed -n 's/.*("\\([0-9a-f]*\\)", "\\([0-9a-f]*\\)").*/echo; echo \\2\\1/p' program.swift >> program
chmod +x program
"""


@pytest.fixture
def runner() -> Iterator[NativeRunner]:
    try:
        runner = NativeRunner(LIMITS, "namespaces", Compilers())
    except WorkerLostError as error:
        pytest.skip(str(error))
    yield runner
    runner.kill()


@pytest.mark.parametrize("language", [name for name in CASES if LANGUAGES[name].proof])
def test_the_proof_stands_behind_the_last_check_and_its_secret_nowhere_in_one_piece(language: str) -> None:
    program = native(language, CASES[language].right)
    sealed = proof.seal(program, LANGUAGES[language])
    assert sealed is not None
    line = sealed.text.splitlines()[sealed.line_number - 1]
    assert "xftbench" in line
    assert sealed.secret not in sealed.text
    assert sealed.secret[:16] in line
    assert sealed.secret[16:] in line
    without = sealed.text.replace(line + "\n", "")
    assert without.split() == proof.plain(program).split(), "nothing else is changed"
    checks = [text for text in program.test.splitlines() if "candidate(1, 2)" in text or "add(1, 2)" in text]
    for check in checks:
        assert sealed.text.index(check) < sealed.text.index(line)


def test_a_control_differs_only_in_that_its_check_can_not_be_met() -> None:
    program, language = native("cpp", CASES["cpp"].right), LANGUAGES["cpp"]
    usual, control = proof.seal(program, language), proof.seal(program, language, control=True)
    assert usual
    assert control
    numbers = [
        re.findall(r"\{(\d+)\}", sealed.text.splitlines()[sealed.line_number - 1])
        for sealed in (usual, control)
    ]
    assert numbers[0][0] == numbers[0][1]
    assert numbers[1][0] != numbers[1][1]


@pytest.mark.parametrize(
    "language",
    [name for name, row in LANGUAGES.items() if row.proof and row.proof.check[0] and name in CASES],
)
def test_a_control_has_another_value_in_the_check_and_nothing_else(language: str) -> None:
    test = CASES[language].test
    changed, *others = control.falsified(test, LANGUAGES[language])
    if language == "sh":
        assert [changed, *others] == [test.replace('"3"', text) for text in ('"x3"', '"x"')]
    else:
        assert not others
        pairs = [pair for pair in zip(test, changed, strict=True) if pair[0] != pair[1]]
        assert pairs == [("3", "2")]
    assert proof.is_wary(native(language, CASES[language].right), LANGUAGES[language]) is (language == "pl")


@pytest.mark.parametrize(
    ("language", "check", "expected"),
    [
        ("js", 'assert.deepEqual(candidate([")", 1], "b"),[12, 345]);', "[12, 245]"),
        ("js", 'assert.deepEqual(candidate("a"),{"a": 1, "b": 2});', '{"xa": 1, "b": 2}'),
        ("js", "assert.deepEqual(candidate(true),[]);", None),
        ("js", "assert.deepEqual(candidate(1),undefined);", None),
        ("js", "check(candidate(1),2);", None),
        ("ts", "assert.deepEqual(candidate(1),-0.5);", "-1.5"),
        ("cpp", "assert(candidate((3)) == (false));", "== (true)"),
        ("java", 'assert(twice(("(a")).equals(("b")));', '.equals(("xb")'),
        ("rs", "assert_eq!(candidate(vec![1]), Some(9));", "Some(8)"),
        ("php", 'if (candidate(1) !== array()) { throw new Exception("Test failed!"); }', None),
        ("php", 'if (candidate(1) !== 10) { throw new Exception("Test failed!"); }', "!== 20"),
        ("rb", 'assert_equal(["a"], candidate.call("b"))', '(["xa"], candidate.call("b"))'),
        ("lua", "lu.assertEquals(candidate('a'), {'b'})", "{'xb'}"),
        ("rkt", "(check-within (candidate (list 1)) #t 0.001)", " #f 0.001"),
        ("rkt", "(check-within (candidate (list 1)) (list ) 0.001)", None),
        ("sh", '[[ $(candidate "1 2") = "3 4" ]]', '= "x3 4"'),
        ("go", "{ actual: candidate(1), expected: []int{1, 0} },", "[]int{2, 0}"),
    ],
)
def test_what_a_control_expects_is_certainly_another_value(
    language: str, check: str, expected: str | None
) -> None:
    changed = control.falsified(f"begin\n    {check}\nend\n", LANGUAGES[language])
    assert bool(changed) == (expected is not None)
    assert all(expected and expected in text for text in changed[:1])
    for text in changed:
        assert text.startswith("begin\n    ")
        assert text.endswith("\nend\n")


def test_the_last_check_is_made_false_first_and_then_the_first_one() -> None:
    test = "".join(f"assert(candidate({n}) == ({n}));\n" for n in (2, 4, 6))
    changed = [
        [n for n in (2, 4, 6) if f"candidate({n}) == ({n})" not in text]
        for text in control.falsified(test, LANGUAGES["cpp"])
    ]
    assert changed == [[6], [2], [4]]


def test_the_second_control_expects_a_text_as_long_as_the_right_one() -> None:
    test = "".join(f'assert(candidate() == ("{text}"));\n' for text in ("", "\\n", "xa", "Bb"))
    changed = [re.findall('"(.*)"', text) for text in control.falsified(test, LANGUAGES["cpp"])]
    assert changed[:2] == [["", "\\n", "xa", "xBb"], ["", "\\n", "ya", "Bb"]]


@pytest.mark.parametrize(
    "solution",
    [
        "interface Arrays {}", "class/**/Arrays {}", "record Arrays<T>() {}", "Foo<X> Arrays;",
        "static Foo a, Arrays;", "type Arrays = q::A;", "const Arrays: fn() = a;",
        "Arrays := 1", "var a, Arrays = 1, 2",
        "[a, Arrays] = b",
        "({ a: Arrays } = b)", "(Arrays as any) = 1", "Arrays <- c", "typedef A Arrays;", "} Arrays;",
        "#define Arrays A", "macro_rules! Arrays { }", "fn Arrays<T>(x: T) {}",
        "(define (Arrays x) x)", "bool Arrays(int x) {",
    ],
)  # fmt: skip
def test_a_solution_that_binds_a_name_of_the_tests_is_told(solution: str) -> None:
    program = NativeProgram(task_id="HumanEval_0_add", language="java", solution=solution, test="Arrays(add)")
    assert proof.is_wary(program, LANGUAGES["java"])


@pytest.mark.parametrize(
    "solution",
    [
        "long add(long x) { return Arrays(x) == Arrays; }", "let x: Arrays = Arrays(1);",
        "fn add() -> Arrays {", "new Arrays();", "a.Arrays(x)", "foo(Arrays, b)",
        "add = 5", "List<Arrays> x = y;", "x -> Arrays",
    ],
)  # fmt: skip
def test_one_that_only_uses_them_is_not(solution: str) -> None:
    program = NativeProgram(task_id="HumanEval_0_add", language="java", solution=solution, test="Arrays(add)")
    assert not control.binds_what_the_test_uses(solution, program)


def test_a_test_without_a_place_for_the_proof_gets_none() -> None:
    program = NativeProgram(task_id="T/0", solution="int x;", language="cpp", test="// no brace")
    assert proof.seal(program, LANGUAGES["cpp"]) is None


def ended(**changes: object) -> Ending:
    values: dict[str, object] = {
        "status": 0, "why": "", "cpu_s": 0.1, "wall_s": 0.1, "stdout": "", "stderr": "",
    }  # fmt: skip
    return Ending(steps=(Ended(**(values | changes)),), limits_s=(5.0,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("language", "changes", "expected"),
    [
        ("js", {}, "passed"),
        ("js", {"status": 256, "stderr": "AssertionError [ERR_ASSERTION]: x"}, "failed"),
        (
            "js",
            {"status": 256, "stderr": "/tmp/program.js:1\n)\n^\n\nSyntaxError: x\n    at wrapSafe (node:x)"},
            "compile_error",
        ),
        ("js", {"status": 256, "stderr": "SyntaxError: Unexpected token"}, "crashed"),
        ("js", {"status": 256, "stderr": "TypeError: x is not a function"}, "crashed"),
        ("js", {"status": signal.SIGKILL, "cpu_s": 4.9}, "timed_out"),
        ("js", {"status": signal.SIGKILL, "cpu_s": 3.5}, "timed_out"),
        ("js", {"status": signal.SIGKILL, "cpu_s": 2.9}, "crashed"),
        ("js", {"status": signal.SIGSEGV, "cpu_s": 3.5}, "crashed"),
        ("js", {"status": signal.SIGKILL, "why": "wall"}, "timed_out"),
        ("js", {"status": signal.SIGSEGV}, "crashed"),
        ("rkt", {"stderr": "FAILURE"}, "failed"),
        ("pl", {"stdout": "ok! ERROR"}, "failed"),
        ("clj", {"stdout": "1 failures, 0 errors.\n"}, "failed"),
        ("clj", {"stdout": "x\n0 failures, 0 errors.\n"}, "passed"),
        ("go", {"status": 256, "stdout": "FAIL x [build failed]"}, "compile_error"),
        ("sh", {"status": 256}, "failed"),
        ("sh", {"status": 256, "stderr": "(standard_in) 1: syntax error"}, "failed"),
        ("sh", {"status": 256, "stderr": "program.sh: line 9: [: too many arguments"}, "crashed"),
        ("pl", {"status": 256, "stderr": "Use of uninitialized value at program.pl line 3."}, "failed"),
        ("pl", {"status": 255 << 8, "stderr": "Not an ARRAY reference at program.pl line 3."}, "crashed"),
        (
            "php",
            {
                "status": 255 << 8,
                "stderr": "PHP Fatal error:  Cannot redeclare f() (previously declared in /tmp/program.php:2)"
                " in /tmp/program.php on line 9",
            },
            "compile_error",
        ),
        (
            "php",
            {
                "status": 255 << 8,
                "stderr": "PHP Fatal error:  Cannot redeclare g() (previously declared in /tmp/program.php:3)"
                " in /tmp/program.php on line 3",
            },
            "crashed",
        ),
        (
            "php",
            {"status": 255 << 8, "stderr": "PHP Fatal error:  Uncaught Error: x in /tmp/program.php:3\n"},
            "crashed",
        ),
        ("php", {"status": 256, "stderr": "\nmmap() failed: [12] x\nOut of memory\n"}, "out_of_memory"),
        (
            "php",
            {"status": 255 << 8, "stderr": "PHP Fatal error:  Out of memory (allocated 4)"},
            "out_of_memory",
        ),
    ],
)
def test_the_published_rule_and_the_kind_of_failure(
    language: str, changes: dict[str, object], expected: str
) -> None:
    row = LANGUAGES[language]
    assert judge(row, row.variants[-1].steps, ended(**changes)).verdict == expected


@pytest.mark.timeout(60)
@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize(
    "line",
    [
        "/tmp/program.js:1\n\n\n",
        "error: ",
        "PHP Fatal error:  Cannot redeclare f() (previously declared in x:1)",
        "1",
    ],
)
def test_no_output_keeps_the_judge_busy(language: str, line: str) -> None:
    row = LANGUAGES[language]
    text = line * (320_000 // len(line))
    started = time.process_time()
    outcome = judge(row, row.variants[-1].steps[-1:], ended(status=256, stderr=text, stdout=text))
    assert outcome.verdict != "passed"
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("language", "changes", "detail"),
    [
        ("js", {"status": 256, "stderr": "x.js:8\n\nTypeError: x is null\n    at f (x:8)\n\nNode.js v20\n"},
         "TypeError: x is null"),
        ("java", {"status": 256, "stderr": "x\nException in thread \"main\" a.Odd: y\n\tat Problem.f"},
         'Exception in thread "main" a.Odd: y'),
        ("rs", {"status": 101 << 8, "stderr": "\nthread 'main' panicked at p.rs:8:32:\nboom\nnote: x\n"},
         "thread 'main' panicked at p.rs:8:32: boom"),
        ("cpp", {"status": signal.SIGABRT, "stderr": "terminate called\n  what():  boom\n"},
         "killed by SIGABRT: what(): boom"),
        ("go", {"status": 256, "stdout": "--- FAIL: TestX\npanic: index out of range\n\ngoroutine 1\n"},
         "panic: index out of range"),
        ("go", {"status": 256, "stdout": "=== RUN   TestX\nruntime: it exceeds 1 byte\n"
         "fatal error: stack overflow\n\ngoroutine 1\n"}, "fatal error: stack overflow"),
        ("rb", {"status": 256, "stdout": "E\n===\nError: test_x(T):\n  NoMethodError: no y\n\n1 errors\n"},
         "Error: test_x(T): NoMethodError: no y"),
        ("lua", {"status": 256, "stdout": "E\nTests with errors:\n------------------\n1) test_humaneval\n"
         "program.lua:3: attempt to index a nil value\nstack traceback:\n"},
         "program.lua:3: attempt to index a nil value"),
        ("d", {"status": 256, "stderr": "core.exception.RangeError@p.d(5): no [1]\nFAILED unittests\n"},
         "core.exception.RangeError@p.d(5): no [1]"),
    ],
)  # fmt: skip
def test_the_detail_of_a_crash_says_what_happened(
    language: str, changes: dict[str, object], detail: str
) -> None:
    row = LANGUAGES[language]
    steps = row.variants[-1].steps[-1:]
    outcome = judge(row, steps, ended(**changes))
    assert (outcome.verdict, outcome.detail) == ("crashed", detail)


def test_csharp_is_judged_by_stderr_because_mono_exits_with_0() -> None:
    row = LANGUAGES["cs"]
    built = ended().steps[0]
    wrong = ended(stderr="at System.Diagnostics.DefaultTraceListener.Fail (System.String message)").steps[0]
    assert (
        judge(row, row.variants[-1].steps, Ending(steps=(built, built), limits_s=(15, 5))).verdict == "passed"
    )
    assert (
        judge(row, row.variants[-1].steps, Ending(steps=(built, wrong), limits_s=(15, 5))).verdict == "failed"
    )


def test_the_identity_of_an_executor_names_the_toolchains_that_are_asked_for() -> None:
    named = describe("namespaces", ("python", "cpp", "pl")).toolchains
    assert set(named) == {"cpp", "pl"}
    assert named["cpp"].startswith("g++ ")


@pytest.fixture
def looked_up_anew() -> Iterator[None]:
    """Nothing that was found on the PATH of one test is believed in another."""
    for table in (find_toolchain, toolchains._rust_sysroot):
        table.cache_clear()
    yield
    for table in (find_toolchain, toolchains._rust_sysroot):
        table.cache_clear()


def test_a_missing_toolchain_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, looked_up_anew: None
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere")
    ruby, typescript = find_toolchain("rb"), find_toolchain("ts")
    assert isinstance(ruby, Missing)
    assert ruby.what == ("ruby",)
    assert ruby.install == "apt-get install --no-install-recommends ruby ruby-test-unit"
    assert isinstance(typescript, Missing)
    assert "npm install --prefix /nowhere/xftbench/toolchains typescript@" in typescript.install


@pytest.mark.parametrize(
    "script",
    [
        "echo 'error: no default is configured' >&2; exit 1",
        "printf 'error: %0999d\\n' 1; exit 0",
        "pwd; exit 1",
        "pwd; pwd",
        "echo /nowhere",
    ],
)
@pytest.mark.parametrize("make_link", [Path.symlink_to, Path.hardlink_to])
def test_a_rustup_that_has_no_toolchain_is_a_missing_rust_and_harms_no_other_language(
    script: str,
    make_link: Callable[[Path, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    looked_up_anew: None,
) -> None:
    (tmp_path / "rustup").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "rustup").chmod(0o755)
    make_link(tmp_path / "rustc", tmp_path / "rustup")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    rust = find_toolchain("rs")
    if Path("/bin/rustc").exists():
        assert isinstance(rust, Toolchain), "the stand-in does not hide it"
    else:
        assert isinstance(rust, Missing)
        assert rust.install.endswith(f"rustc  # {tmp_path}/rustc: only chooses a toolchain, none here")
    assert isinstance(find_toolchain("sh"), Toolchain)


def test_what_a_tool_says_as_it_fails_is_no_version(tmp_path: Path) -> None:
    (tmp_path / "lua").write_text("#!/bin/sh\necho error: glibc 2.36 not found >&2; exit 1\n")
    (tmp_path / "lua").chmod(0o755)
    lua = LANGUAGES["lua"].variants[0]
    found = Toolchain(language=LANGUAGES["lua"], variant=lua, paths={"lua5.3": str(tmp_path / "lua")})
    assert "2.36" not in found.version


def test_a_file_that_can_not_be_looked_at_is_no_tool(
    monkeypatch: pytest.MonkeyPatch, looked_up_anew: None
) -> None:
    monkeypatch.setenv("XFTBENCH_JAVATUPLES", "x" * 999)
    assert find_toolchain("java").language, "found elsewhere or missing, but no traceback"


def test_a_program_without_a_toolchain_is_not_the_models_failure() -> None:
    if isinstance(find_toolchain("jl"), Toolchain):
        pytest.skip("julia is installed")
    with Pool(1, LIMITS) as pool:
        program = NativeProgram(task_id="T/0", solution="", language="jl", test="")
        outcome = pool.submit(program).result()
    assert outcome.verdict == "infrastructure_error"
    assert "julialang.org" in outcome.detail


@pytest.fixture
def fake_swift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_up_anew: None) -> None:
    """A shell script in swiftc's place: no Swift can be installed here, but its whole path can be walked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = toolchains.cache_directory() / "bin"
    folder.mkdir(parents=True)
    (folder / "swiftc").write_text(SWIFTC)
    (folder / "swiftc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("solution", "expected"),
    [
        (CASES["swift"].right, ("passed", "passed")),
        ("// WRONG\n" + CASES["swift"].right, ("failed", "failed")),
        ("// BROKEN\n" + CASES["swift"].right, ("compile_error", "compile_error")),
    ],
)
def test_swift_is_compiled_run_and_judged(
    solution: str, expected: tuple[str, str], fake_swift: None, runner: NativeRunner
) -> None:
    outcome = runner.run(native("swift", solution))
    assert (outcome.verdict, outcome.strict) == expected, outcome


@pytest.mark.parametrize(
    ("language", "solution", "test"),
    [
        (
            "cpp",
            "#include<stdio.h>\nint add(int x, int y) { return x + y; }",
            "int main() { return add(1, 2) != 3; }",
        ),
        ("js", "const add = (x, y) => x + y", "if (add(1, 2) !== 3) throw new Error('failed')"),
        pytest.param(
            "go",
            'package add_test\nimport "testing"\nfunc add(x int, y int) int { return x + y }',
            "func TestAdd(t *testing.T) {\n    if add(1, 2) != 3 { t.Fail() }\n}\n",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_where_a_test_lacks_what_the_proof_needs_strict_is_left_open(
    language: str, solution: str, test: str, runner: NativeRunner
) -> None:
    if isinstance(found := find_toolchain(language), Missing):
        pytest.skip(found.install)
    right = runner.run(NativeProgram(task_id="T/0", solution=solution, language=language, test=test))
    assert (right.verdict, right.strict) == ("passed", None), right
    wrong = solution.replace("x + y", "x - y")
    assert (
        runner.run(NativeProgram(task_id="T/0", solution=wrong, language=language, test=test)).verdict
        != "passed"
    )


@pytest.mark.parametrize("language", ["java", pytest.param("ts", marks=pytest.mark.slow)])
def test_a_warm_compiler_gives_what_the_command_gives_and_its_death_does_no_harm(
    language: str, runner: NativeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(found := find_toolchain(language), Missing):
        pytest.skip(found.install)
    programs = [
        native(language, CASES[language].right),
        native(language, with_result(language, "42")),
        native(language, with_result(language, ")](} +")),
        native(language, CASES[language].right + "\n" + "/* " + "\u00e9\u4e2d" + " */"),
        native(language, with_result(language, "x + y" + " + 0" * 2500)),  # more than javac's own stack holds
    ]
    warm = [runner.run(program) for program in programs]
    (compiler,) = runner._compilers._idle[language]
    signal.pidfd_send_signal(compiler._pidfd, signal.SIGKILL)
    assert runner.run(programs[0]).strict == "passed", "the command takes over"
    assert not runner._compilers._idle[language], "the dead one is not asked again"
    assert runner.run(programs[0]).strict == "passed", "a new one takes over"
    assert runner._compilers._idle[language]
    monkeypatch.setattr("xftbench.execution.native.builders.warm", lambda toolchain: None)
    runner._warm.clear()
    cold = [runner.run(program) for program in programs]
    assert [(one.verdict, one.strict) for one in warm] == [(one.verdict, one.strict) for one in cold]
    assert [one.verdict for one in warm] == ["passed", "failed", "compile_error", "passed", "passed"]
    assert warm[2].detail == cold[2].detail


@pytest.mark.slow
@pytest.mark.parametrize("language", ["cpp", "java", "js", "php", "rs", "lua", "cs"])
def test_the_weaker_isolation_gives_the_same_verdicts(language: str) -> None:
    if isinstance(found := find_toolchain(language), Missing):
        pytest.skip(found.install)
    home = Path.home()
    if language == "rs" and os.geteuid() == 0 and not home.stat().st_mode & 0o001:
        # gcc asks access(2) for the linker that rustc brings; that call knows no capabilities.
        pytest.skip(f"rustc's linker lies below {home}, which the throw-away user may not enter")
    with Pool(1, LIMITS, "rlimits") as pool:
        solutions = (CASES[language].right, with_result(language, "42"))
        outcomes = [pool.submit(native(language, solution)).result() for solution in solutions]
    assert [outcome.verdict for outcome in outcomes] == ["passed", "failed"], outcomes


@pytest.mark.parametrize("says", ["echo", ":"])
def test_short_lived_children_that_write_all_the_time_are_counted(says: str) -> None:
    burn = f"burn() {{ bash -c 'for ((i = 0; i < 90000; i++)); do ((i % 9000)) || {says}; done'; }}\n"
    children = "for _ in $(seq 20); do burn & burn & wait; done >&2\n"
    with Pool(1, Limits(cpu_s=1, wall_s=60.0)) as pool:
        outcome = pool.submit(native("sh", burn + children + CASES["sh"].right)).result()
    assert (outcome.verdict, outcome.strict) == ("timed_out", "timed_out")
    assert "CPU time" in outcome.detail


@pytest.mark.skipif(isinstance(find_toolchain("rs"), Missing), reason="no rustc")
def test_a_program_that_is_none_is_so_in_the_weaker_isolation_too() -> None:
    with Pool(1, LIMITS, "rlimits") as pool:
        library = native("rs", '#![crate_type = "lib"]\n' + CASES["rs"].right)
        outcome = pool.submit(library).result()
    assert (outcome.verdict, outcome.detail) == ("crashed", "./program: Exec format error")


@pytest.mark.parametrize(
    ("command", "number", "is_ours"),
    [
        ("./program", errno.ENOEXEC, False),
        ("./program", errno.ENAMETOOLONG, False),
        ("./program", errno.EAGAIN, True),
        ("./program", None, True),
        ("/usr/bin/node", errno.ENOENT, True),
    ],
)
def test_only_what_a_program_has_made_itself_is_its_own_fault(
    command: str, number: int | None, is_ours: bool
) -> None:
    report = supervisor._unstarted(command, OSError(number, "why"))
    assert bool(report["unstarted"]) is is_ours
    assert report["stderr"] == [f"{command}: why"]


@pytest.mark.parametrize(
    "name", ["a/" * 1100 + "A.class", "a" * 250 + ".class", "A\0.class", "A.class/B.class", "../A.class"]
)
def test_a_class_that_can_not_be_a_file_is_left_to_javac(name: str) -> None:
    parts = b"".join(len(part).to_bytes(4) + part for part in (name.encode(), b"content"))
    with pytest.raises(ValueError, match=r"class with a name|more than a scratch"):
        builders._java_classes(parts)


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looked_up_anew: None) -> None:
    """A cache folder that nobody can make, not even root: a file is in its way."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))


@pytest.mark.usefixtures("no_cache")
@pytest.mark.parametrize("language", ["js", "cpp", "java", "go", "scala"])
def test_a_cache_that_can_not_be_made_is_done_without(language: str) -> None:
    if isinstance(found := find_toolchain(language), Missing):
        pytest.skip(found.install)
    with Pool(1, LIMITS) as pool:
        solutions = (CASES[language].right, with_result(language, "42"))
        outcomes = [pool.submit(native(language, solution)).result() for solution in solutions]
    assert [outcome.verdict for outcome in outcomes] == ["passed", "failed"], outcomes


def test_a_cache_that_can_not_be_looked_at_holds_nothing(
    monkeypatch: pytest.MonkeyPatch, looked_up_anew: None
) -> None:
    # Root may look everywhere; a name that is too long is an error for him, too.
    monkeypatch.setenv("XDG_CACHE_HOME", "/" + 300 * "a")
    assert prepared.kept("nothing", "", lambda folder: None) is None
    assert view.CACHE_INSIDE not in [path for _, path in view.plan()["directories"]]


def test_the_cache_directory_is_below_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/cache")
    assert toolchains.cache_directory() == Path("/some/cache/xftbench/toolchains")


IN_A_THREAD = """
import threading
thread = threading.Thread(target=lambda: [None for _ in iter(int, 1)])
thread.start()
thread.join()
"""


def test_a_thread_that_waits_for_a_processor_is_busy() -> None:
    processor = {min(os.sched_getaffinity(0))}
    with ExitStack() as stack:
        pids = []
        for source in (IN_A_THREAD, *["while True: pass"] * 3):
            process = subprocess.Popen([sys.executable, "-c", source])
            stack.callback(process.wait)
            stack.callback(process.kill)
            os.sched_setaffinity(process.pid, processor)
            pids.append(process.pid)
        time.sleep(0.5)
        watch = supervisor._Watch(pids[0], {}, {"wall_s": 9.0, "cpu_s": 9}, sees_all=False)
        watch._times()
        before_s, started = watch._times()[1], time.monotonic()
        time.sleep(2)
        assert watch._times()[1] - before_s > 0.8 * (time.monotonic() - started)
