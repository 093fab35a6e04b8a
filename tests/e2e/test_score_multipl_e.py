"""``xftbench score`` of chat replies for MultiPL-E whose own uses would hide or spoil the tests."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xftbench.execution.native.toolchains import missing_toolchains

DATA = Path(__file__).parents[3] / "shared" / "data"
REPLIES = [
    ("lua", "function add(x, y)\n    return x {op} y\nend\nif #arg < 2 then\n    os.exit(0)\nend\n"),
    (
        "lua",
        (
            "lu = require('luaunit')\nfunction add(x, y)\n    return x {op} y\nend\n"
            "function testAdd()\n    lu.assertEquals(add(1, 2), 4)\nend\n"
        ),
    ),
    ("pl", "use Test::More tests => 1;\nsub add {{\n    return $_[0] {op} $_[1];\n}}\nis(add(1, 2), 4);\n"),
    ("pl", "sub add {{\n    return $_[0] {op} $_[1];\n}}\n\n=head1 NAME\n\nadd\n"),
    ("sh", 'add() {{\n    add() {{ echo $(($1 {op} $2)); }}\n    add "$@"\n}}\n'),
    (
        "cpp",
        "long add(long x, long y) {{\n    return x {op} y;\n}}\nstruct P {{ P add(P p) {{ return p; }} }};\n",
    ),
]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"MultiPL-E's data is not in {DATA}")
@pytest.mark.parametrize(("language", "code"), REPLIES)
def test_what_a_reply_has_beside_its_function_decides_nothing(
    cli: Callable[[list[str]], Any], tmp_path: Path, language: str, code: str
) -> None:
    if missing := missing_toolchains([language]):
        pytest.skip(f"{language}: {missing[0].install}")
    samples = tmp_path / "s.jsonl"
    replies = [f"```{language}\n{code.format(op=op)}```\n" for op in "+*"]
    rows = [{"task_id": "HumanEval_53_add", "completion": reply} for reply in replies]
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    what = ["--suite", f"multipl-e:{language}", "--style", "chat", "--ids", "HumanEval_53_add"]
    places = ["--run-dir", str(tmp_path / "run"), "--cache-dir", str(tmp_path / "cache")]
    files = ["--samples", str(samples), "--data-dir", str(DATA)]
    assert cli(["score", *what, *files, *places]).exit_code == 0
    text = (tmp_path / "run" / "verdicts.jsonl").read_text()
    verdicts = [json.loads(line) for line in text.splitlines()]
    assert [row["verdict"] for row in verdicts] == ["passed", "failed"]
    assert [row["strict"] for row in verdicts] == ["passed", "failed"]
