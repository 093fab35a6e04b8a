"""What makes compiled languages quick changes nothing: each short cut against the published command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from native import CASES, native, with_result

from xftbench.execution.native import cpp
from xftbench.execution.native.languages import LANGUAGES
from xftbench.execution.native.runner import NativeRunner
from xftbench.execution.native.toolchains import Missing, Toolchain, find_toolchain
from xftbench.execution.native.warm import Compilers
from xftbench.execution.worker import WorkerLostError
from xftbench.records import Limits, NativeProgram

HEAD = "#include<assert.h>\n#include<bits/stdc++.h>\n"
SUM = "int plus2(int x, int y) {\n    return x + y;\n"
ALLOCATOR = """use std::alloc::{GlobalAlloc, Layout, System};
struct Own;
unsafe impl GlobalAlloc for Own {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 { System.alloc(layout) }
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) { System.dealloc(place, layout) }
}
#[global_allocator]
static OWN: Own = Own;
"""
SAME = "using namespace std;\ndouble beta(double x, double y) { return x + y; }\n"
SMALL = {
    "nothing but the headers": HEAD + SUM,
    "a name of what is left out in a comment": f"{HEAD}// in the future\n{SUM}",
    "a name of what is left out in a string": f'{HEAD}const char *word = "\\"future";\n{SUM}',
    "a class that the small header has": f'{HEAD}std::ofstream file("/tmp/x");\n{SUM}',
}
FULL = {
    "a header of its own": f"{HEAD}#include <regex>\n{SUM}",
    "a class": f"{HEAD}std::promise<int> promise;\n{SUM}",
    "a name made out of pieces": f"{HEAD}#define JOIN(a, b) a##b\nstd::JOIN(promi, se)<int> word;\n{SUM}",
    "a name made by digraphs": f"{HEAD}#define JOIN(a, b) a%:%:b\nstd::JOIN(promi, se)<int> w;\n{SUM}",
    "a name over two lines": f"{HEAD}std::prom\\\nise<int> word;\n{SUM}",
    "an operator without a name": f"{HEAD}using namespace std::literals;\nauto wait = 5min;\n{SUM}",
    "a name that means something else there": HEAD + SAME + SUM,
    "a quote between digits": f"{HEAD}int big = 1'0, a = 2; std::promise<int> b; int c = 1'0;\n{SUM}",
}
HIDDEN = f"{HEAD}{SAME}int plus2(int x, int y) {{\n    return beta(x, y);\n"
"""Gives std::beta(1, 2), which is no sum; without the special functions it would be right."""


@pytest.fixture
def runner() -> Iterator[NativeRunner]:
    try:
        runner = NativeRunner(Limits(cpu_s=15, wall_s=60.0), "namespaces", Compilers())
    except WorkerLostError as error:
        pytest.skip(str(error))
    yield runner
    runner.kill()


def found(language: str) -> Toolchain:
    toolchain = find_toolchain(language)
    if isinstance(toolchain, Missing):
        pytest.skip(toolchain.install)
    return toolchain


def program_of(language: str, solution: str) -> NativeProgram:
    """Return the problem with a name of its own: <filesystem> has an `add`, and would get the full header."""
    program = native(language, solution)
    return (
        msgspec.structs.replace(program, test=program.test.replace("candidate = add;", "candidate = plus2;"))
        if language == "cpp"
        else program
    )


def published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xftbench.execution.native.builders.hastened", lambda toolchain, text, steps: steps)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(text, "small/prefix.h") for text in SMALL.values()]
    + [(text, "full/prefix.h") for text in FULL.values()],
)
def test_a_program_that_could_use_what_is_left_out_gets_the_full_header(text: str, expected: str) -> None:
    command = cpp.quick(found("cpp"), text, ["g++", "program.cpp"])
    assert command[0] == "g++"
    assert command[2].endswith(expected), command


@pytest.mark.parametrize(
    "text", [f"#define vector list\n{HEAD}{SUM}", f"#include <vector>\n{SUM}", f"int x;\n{HEAD}{SUM}"]
)
def test_a_program_that_does_not_begin_with_the_headers_is_compiled_as_published(text: str) -> None:
    argv = ["g++", "program.cpp"]
    assert cpp.quick(found("cpp"), text, argv) == []
    assert cpp.ordinary(found("cpp"), text, argv) == argv


@pytest.mark.parametrize(
    ("language", "solution"),
    [
        *[("cpp", text) for text in (*SMALL.values(), *FULL.values())],
        ("cpp", HIDDEN),
        ("cpp", HEAD + "int plus2(int x, int y) {\n    return missing(x, y);\n"),
        ("cpp", HEAD + "int missing(int, int);\nint plus2(int x, int y) {\n    return missing(x, y);\n"),
        ("cpp", "#include <regex>\n" + HEAD + SUM),
        ("rs", CASES["rs"].right),
        ("rs", ALLOCATOR + CASES["rs"].right),
        ("rs", with_result("rs", "x + y + i64::MAX - i64::MAX")),
        ("rs", with_result("rs", "missing(x, y)")),
        pytest.param("go", CASES["go"].right, marks=pytest.mark.slow),
        pytest.param("go", with_result("go", "4"), marks=pytest.mark.slow),
        pytest.param("go", with_result("go", "missing(x, y)"), marks=pytest.mark.slow),
        pytest.param("scala", CASES["scala"].right, marks=pytest.mark.slow),
        pytest.param("scala", with_result("scala", "missing(x, y)"), marks=pytest.mark.slow),
        # What vet finds is a failure.
        pytest.param(
            "go", with_result("go", 'x + y + 0*len(fmt.Sprintf("%d", "a"))'), marks=pytest.mark.slow
        ),
    ],
)
def test_a_short_cut_gives_the_verdict_of_the_published_command(
    language: str, solution: str, runner: NativeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(language)
    program = program_of(language, solution)
    short = runner.run(program)
    published(monkeypatch)
    long = runner.run(program)
    assert (short.verdict, short.strict) == (long.verdict, long.strict), (short, long)


def test_a_name_that_the_program_shares_with_what_is_left_out_keeps_its_meaning(runner: NativeRunner) -> None:
    found("cpp")
    assert runner.run(program_of("cpp", HIDDEN)).verdict == "failed"


@pytest.mark.parametrize(
    ("quick", "verdict"), [("/usr/bin/false", "passed"), ("/nowhere", "passed"), ("/usr/bin/true", "crashed")]
)
def test_the_ordinary_command_is_asked_where_the_quick_one_refuses_and_only_there(
    quick: str, verdict: str, runner: NativeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    found("cpp")

    def hastened(toolchain: Toolchain, text: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [steps[0] | {"quick": [quick]}, *steps[1:]]

    monkeypatch.setattr("xftbench.execution.native.builders.hastened", hastened)
    assert runner.run(native("cpp", CASES["cpp"].right)).verdict == verdict


def test_headers_that_cannot_be_built_are_tried_once_and_missed_by_nothing(
    runner: NativeRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found("cpp")
    tries = []

    def build(*_: object) -> None:
        tries.append(1)
        raise OSError("no room")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("xftbench.execution.native.prepared._build", build)
    outcomes = [runner.run(native("cpp", CASES["cpp"].right)) for _ in range(2)]
    assert [outcome.strict for outcome in outcomes] == ["passed", "passed"]
    assert len(tries) == 1


@pytest.mark.slow
def test_programs_cannot_write_to_gos_cache(runner: NativeRunner) -> None:
    found("go")
    solution = (
        CASES["go"]
        .right.replace('"fmt"', '"fmt"\n    "os"')
        .replace("/*S*/", 'if os.WriteFile(os.Getenv("GOCACHE") + "/x", nil, 0o644) == nil { return 0 }\n')
    )
    assert runner.run(native("go", solution)).verdict == "passed"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_step_wants_more_time_than_the_one_before(language: str) -> None:
    """A supervisor takes each step's limits upon itself, and can't widen them again."""
    for variant in LANGUAGES[language].variants:
        times = [step.cpu_s for step in variant.steps]
        assert times == sorted(times, reverse=True)
        compiling = [step.compiles for step in variant.steps]
        assert compiling == sorted(compiling, reverse=True), "only the last are limited in address space"
