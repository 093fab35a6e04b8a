"""Wrong and odd variants of a canonical solution, made the same way every time from the problem and a name.

    python tests/support/mutants.py DATA_FILE.jsonl[.gz] [--per-problem N] [--ids ...] > samples.jsonl

Writes evalplus' sample format, with the mutant's name beside it. Standard library only: it also runs in the
environment that evalplus is recorded in.
"""

import argparse
import ast
import copy
import gzip
import json
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# How the right answer is bent: an expression in `r` (the answer), `a` (the arguments) and `n` (calls so far).
ANSWERS = {
    "same": "r",
    "none": "None",
    "true": "True",
    "zero": "0",
    "empty": "[]",
    "as_list": "list(r)",
    "as_tuple": "tuple(r)",
    "as_set": "set(r)",
    "as_float": "float(r)",
    "as_int": "int(r)",
    "as_bool": "bool(r)",
    "as_str": "str(r)",
    "as_complex": "complex(r)",
    "wrapped": "[r]",
    "doubled": "r * 2",
    "negated": "-r",
    "reversed": "r[::-1]",
    "sorted": "sorted(r)",
    "unique": "list(dict.fromkeys(r))",
    "repeated": "list(r) + list(r)[:1]",
    "generator": "(x for x in r)",
    "iterator": "iter(r)",
    "floats": "[float(x) for x in r]",
    "bools": "[bool(x) for x in r]",
    "tuples": "[tuple(x) for x in r]",
    "lists": "[list(x) for x in r]",
    "little_more": "r + 1e-9",
    "bit_more": "r + 5e-7",
    "more": "r + 5e-5",
    "little_times": "r * (1 + 5e-8)",
    "bit_times": "r * (1 + 5e-7)",
    "floats_more": "[x + 5e-7 for x in r]",
    "floats_much_more": "[x + 5e-6 for x in r]",
    "rounded": "round(r, 4)",
    "one_more": "r + 1",
    "numpy_scalar": "__import__('numpy').float64(r)",
    "numpy_scalar_more": "__import__('numpy').float64(r) + 5e-7",
    "numpy_int": "__import__('numpy').int64(r)",
    "numpy_bool": "__import__('numpy').bool_(r)",
    "numpy_array": "__import__('numpy').array(r)",
    "numpy_items": "[__import__('numpy').asarray(x)[()] for x in r]",
    "numpy_one": "__import__('numpy').array([r])",
    "fraction": "__import__('fractions').Fraction(r)",
    "decimal": "__import__('decimal').Decimal(r)",
    "counter": "__import__('collections').Counter(r)",
    "ordered": "__import__('collections').OrderedDict(r)",
    "deque": "__import__('collections').deque(r)",
    "dict_backwards": "dict(reversed(r.items()))",
    "keys": "dict.fromkeys(r).keys()",
    "named": "__import__('collections').namedtuple('N', 'a')(r)",
    "subclass": "type('S', (type(r),), {})(r)",
    "nan": "float('nan')",
    "bytes": "str(r).encode()",
    "right_at_first": "r if n < 3 else None",
    "wrong_at_first": "None if n < 1 else r",
    "right_in_thirties": "r if n < 30 else None",
    "other_number": "0 if r != 0 else 1",
    "first_argument": "a[0]",
    "function": "lambda: r",
    "self_containing": "(lambda x: (x.append(x), x)[1])([r])",
}
# Statements that run in each call before the answer is given.
DEEDS = {
    "clears_arguments": "[x.clear() for x in a if hasattr(x, 'clear')]",
    "raises": "raise ValueError('no')",
    "raises_later": "if n == 5: raise KeyError(n)",
    "asserts": "assert n < 2",
    "exits": "raise SystemExit(0)",
    "interrupts": "raise KeyboardInterrupt",
    "stops": "raise StopIteration",
    "prints": "print('x' * 1000)",
    "reads": "input()",
    "reads_caught": "\n    try: input()\n    except EOFError: pass\n    except OSError: r = None",
    "opens": "open('f', 'w').write('x')",
    "where": "__import__('os').getcwd()",
    "quits": "quit()",
    "name": "assert __name__ != '__main__'",
    "keeps": "G.append(r); r = G[-1]",
    "kept_list": "G.append(r); r = G",
    "environ": "__import__('os').environ.update(A='b')",
    "recursive": "(lambda f: f(f, 900))(lambda f, k: k and f(f, k - 1))",
    "memory": "len([None]) and bytearray(6 << 30)",
}
LOADS = {
    "syntax": "def broken(:\n",
    "name_error": "undefined_name\n",
    "exit_at_load": "raise SystemExit(0)\n",
    "import_unknown": "import no_such_module\n",
    "main_guard": "if __name__ == '__main__':\n    raise ValueError\n",
    "print_at_load": "print('loaded')\n",
    "input_at_load": "input()\n",
    "future": "from __future__ import annotations\n",
}
WRAPPER = """

G = []
_right = {entry}
_calls = []
def {entry}(*a):
    n = len(_calls)
    _calls.append(1)
    r = _right(*a)
    {deed}
    return {answer}
"""
_FLIPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.FloorDiv, ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.And: ast.Or, ast.Or: ast.And, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def mutants(problem: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, solution) for every mutant of a problem."""
    source = problem["prompt"] + problem["canonical_solution"]
    entry = problem["entry_point"]
    for name, expression in ANSWERS.items():
        yield f"answer:{name}", source + WRAPPER.format(entry=entry, deed="pass", answer=expression)
    for name, deed in DEEDS.items():
        yield f"deed:{name}", source + WRAPPER.format(entry=entry, deed=deed, answer="r")
    for name, text in LOADS.items():
        yield f"load:{name}", text + source
    yield "load:nothing", ""
    yield "load:renamed", source.replace(f"def {entry}(", f"def {entry}_(")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some references have escapes such as "\\." in ordinary texts
        tree = ast.parse(source)
    for number in range(sum(1 for _ in _places(tree))):
        changed = copy.deepcopy(tree)
        node = next(place for index, place in enumerate(_places(changed)) if index == number)
        what = _change(node)
        yield f"ast:{number}:{what}", ast.unparse(changed)


def _places(tree: ast.AST) -> Iterator[ast.AST]:
    return filter(_can_change, ast.walk(tree))


def _can_change(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        return type(node.op) in _FLIPS
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in _FLIPS
    if isinstance(node, ast.Constant):
        return type(node.value) in (int, float, str, bool)
    return isinstance(node, ast.Return) and node.value is not None


def _change(node: ast.AST) -> str:
    if isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)):
        node.op = _FLIPS[type(node.op)]()
        return "operator"
    if isinstance(node, ast.Compare):
        node.ops[0] = _FLIPS[type(node.ops[0])]()
        return "comparison"
    if isinstance(node, ast.Constant):
        value = node.value
        node.value = (
            (not value) if isinstance(value, bool) else value + ("x" if isinstance(value, str) else 1)
        )
        return "constant"
    assert isinstance(node, ast.Return)
    node.value = None
    return "return"


def drawn(problem: dict[str, Any], how_many: int) -> list[tuple[str, str]]:
    """Return some of a problem's mutants, the same ones every time."""
    everything = list(mutants(problem))
    chosen = random.Random(problem["task_id"]).sample(everything, min(how_many, len(everything)))
    return sorted(chosen)


def read_problems(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return [json.loads(line) for line in text.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-problem", type=int, default=8)
    parser.add_argument("--ids", nargs="*", default=[])
    parser.add_argument("--without", nargs="*", default=[])
    arguments = parser.parse_args()
    for problem in read_problems(arguments.data):
        task_id = problem["task_id"]
        if (not arguments.ids or task_id in arguments.ids) and task_id not in arguments.without:
            for name, solution in drawn(problem, arguments.per_problem):
                row = {"task_id": task_id, "mutant": name, "solution": solution}
                sys.stdout.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
