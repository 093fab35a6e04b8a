"""How samples are read that say nothing of their prompts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xftbench.benchmarks import parse_suite
from xftbench.reading import reading_of
from xftbench.records import Sample


@pytest.mark.parametrize(
    ("name", "extraction"),
    [("humaneval", "given"), ("mbpp+", "given"), ("mbpp", "alone"), ("ds1000", "insert")],
)
def test_a_completion_continues_its_prompt_only_where_that_is_code(name: str, extraction: str) -> None:
    suite: Any = SimpleNamespace(benchmark=parse_suite(name)[0])
    reading = reading_of(
        suite, [Sample(task_id="T/0", sample_index=0, completion="x = 1\n")], None, None, Path("s.jsonl")
    )
    assert (reading.style, reading.extraction, reading.policy) == ("given", extraction, "strict")
