"""Programs in other languages with verdicts that others have recorded; see ../shared/data/README.md."""

import gzip
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from xftbench.benchmarks.multipl_e import MultiplE
from xftbench.benchmarks.multipl_e_parts import Part
from xftbench.prompts.extract import extract
from xftbench.records import NativeProblem, NativeProgram, Sample

DATA = Path(__file__).parents[3] / "shared" / "data"
RECORDED = ("cpp", "java", "js", "php", "ts", "cs", "sh")
PACK = ("cpp", "java", "js", "go", "rust", "python")
_MODEL = "known_results/qwen2.5-coder-1.5b-base/multipl-e-humaneval"
DIFFERENCES: dict[str, dict[str, str]] = tomllib.loads(
    (Path(__file__).parents[1] / "parity" / "multipl_e_differences.toml").read_text(encoding="utf-8")
)
"""Corpus -> program -> why its verdict here is another one."""


class Case(NamedTuple):
    """A program, and whether it passed where it was recorded."""

    name: str
    program: NativeProgram
    passed: bool


def _read(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes())


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, _read(path).splitlines())


def recorded(language: str) -> list[Case]:
    """Programs of Qwen2.5-Coder-1.5B with the verdicts of its authors' harness."""
    tests = {row["name"]: row["tests"] for row in _rows(DATA / f"multipl-e/humaneval-{language}.jsonl.gz")}
    cases = []
    for name, ((_, result),) in json.loads(_read(DATA / f"{_MODEL}-{language}-details.json.gz")).items():
        # In 44 of the C# programs the tests are an older version's.
        solution, found, _ = result["code"].partition("\n" + tests[name].rstrip())
        test = tests[name] if found else ""
        program = NativeProgram(task_id=name, language=language, solution=solution, test=test)
        cases.append(Case(name, program, result["passed"]))
    return cases


def gpt_answers(part: Part) -> list[Case]:
    """A chat model's answers; `passed` is the verdict of a simpler assembly than ours, where it was tried."""
    status = json.loads(_read(DATA / "multipl-e/gpt_solution_status.json.gz"))["status"].get(part.config, {})
    benchmark = MultiplE([part])
    problems = {problem.task_id: problem for problem in benchmark.load("3", DATA).problems}
    cases = []
    for row in _rows(DATA / f"multipl-e/{part.config}.jsonl.gz"):
        problem = problems[row["name"]]
        assert isinstance(problem, NativeProblem)
        sample = Sample(task_id=problem.task_id, sample_index=0, completion=row["gpt_solution"])
        solution = extract(problem, sample, "chat", "lenient").code
        program = benchmark.program(problem, solution)
        assert isinstance(program, NativeProgram)
        cases.append(Case(problem.task_id, program, bool(status.get(problem.task_id))))
    return cases


def pack(language: str) -> list[Case]:
    """HumanEvalPack's canonical solutions, whose tests are put into the form of MultiPL-E's runners."""
    rows = _rows(DATA / f"humanevalpack/humanevalpack-{language}.jsonl.gz")
    return [Case(row["task_id"], _PACK[language](row), passed=True) for row in rows]


def _program(row: dict[str, Any], language: str, solution: str, test: str) -> NativeProgram:
    return NativeProgram(task_id=row["task_id"], language=language, solution=solution, test=test)


def _cpp(row: dict[str, Any]) -> NativeProgram:
    return _program(row, "cpp", row["prompt"] + row["canonical_solution"], row["test"])


def _java(row: dict[str, Any]) -> NativeProgram:
    test = row["test"].replace("public class Main", "class Problem")
    return _program(row, "java", row["prompt"] + row["canonical_solution"], test)


def _js(row: dict[str, Any]) -> NativeProgram:
    # console.assert only prints.
    strict = "console.assert = (ok) => { if (!ok) throw new Error('assertion failed') };\n"
    return _program(row, "js", row["prompt"] + row["canonical_solution"], strict + row["test"])


def _go(row: dict[str, Any]) -> NativeProgram:
    # What the tests use of testify.
    shim = (
        "type asserter struct{ t *testing.T }\n"
        "func (a asserter) Equal(x, y interface{}, _ ...interface{}) {\n"
        '    if !reflect.DeepEqual(x, y) { a.t.Errorf("%v is not %v", x, y) }\n}\n'
    )
    test = shim + row["test"].replace("assert.New(t)", "asserter{t}")
    function = row["prompt"].removeprefix(row["import"]) + row["canonical_solution"]
    # Some rows do not say what their solution imports, one says too much.
    said = re.findall(r'"([^"]+)"', row["import"] + row["test_setup"].partition("import")[2])
    names = dict.fromkeys([*said, "reflect", "math", "sort", "strings"])
    used = [name for name in names if re.search(rf"\b{name.rpartition('/')[2]}\.\w", function + test)]
    imports = "\n".join(f'"{name}"' for name in used if "testify" not in name)
    return _program(row, "go", f"package main\n\nimport (\n{imports}\n)\n{function}", test)


def _rust(row: dict[str, Any]) -> NativeProgram:
    text = row["prompt"] + row["canonical_solution"]
    for absent in ("fn main(){}", "use rand::Rng;", "use regex::Regex;", "use md5;"):
        text = text.replace(absent, "")
    calls = " ".join(f"tests::{name}();" for name in re.findall(r"fn (test_\w+)\(", row["test"]))
    test = re.sub(r"#\[cfg\(test\)\]|#\[test\]", "", row["test"]).replace("fn test_", "pub fn test_")
    return _program(row, "rs", text, f"{test}\nfn main() {{\n{calls}\n}}\n")


def _python(row: dict[str, Any]) -> NativeProgram:
    return _program(row, "py", row["prompt"] + row["canonical_solution"], row["test"])


_PACK = {"cpp": _cpp, "java": _java, "js": _js, "go": _go, "rust": _rust, "python": _python}
