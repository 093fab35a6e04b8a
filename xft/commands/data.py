"""``xft data``."""

import json
from pathlib import Path
from typing import Any

import click

from xft.commands.options import DIRECTORY, STYLES
from xft.data import encode, read_rows, rows_of, write_rows
from xft.decontaminate import decontaminate, read_problems
from xft.output import write_text_atomically
from xft.stdlib_pairs import pairs

_NAMED = 20


@click.group("data")
def command() -> None:
    """Look at training data, and check it against benchmarks.

    REF is a JSON Lines file, stdlib (functions of this Python's own standard library), or a hub data set
    (org/name[:split][@revision]).
    """


@command.command("check")
@click.argument("ref")
@click.option(
    "--against", "-a", multiple=True, default=("humaneval",), show_default=True,
    help="humaneval, or a JSON Lines file of problems (such as MBPP's); may be given several times.",
)  # fmt: skip
@click.option("--report", type=DIRECTORY, help="Write all overlaps to this JSON file.")
@click.option("-o", "--out", type=DIRECTORY, help="Write the rows without overlaps to this JSON Lines file.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(ref: str, against: tuple[str, ...], report: Path | None, out: Path | None, as_json: bool) -> None:
    """Find the rows that give away problems of a benchmark, by words and by syntax tree."""
    kept, found = decontaminate(read_rows(ref), read_problems(against))
    if report:
        write_text_atomically(report, found.to_json())
    if out:
        write_rows(out, kept)
    if as_json:
        click.echo(found.to_json(), nl=False)
        return
    click.echo(str(found))
    for overlap in found.overlaps[:_NAMED]:
        click.echo(f"  row {overlap.line}, {overlap.task_id}: {overlap.how}\n      {overlap.excerpt}")
    if len(found.overlaps) > _NAMED:
        click.echo(f"  … and {len(found.overlaps) - _NAMED} more: --report FILE names all")


@command.command("show")
@click.argument("ref")
@click.option("--tokenizer", type=DIRECTORY, required=True, help="Checkpoint whose tokenizer is used.")
@click.option("--style", type=STYLES, default="magicoder", show_default=True)
@click.option("--max-tokens", type=int, default=1024, show_default=True, help="Longer rows are left out.")
@click.option(
    "-n", "count", type=click.IntRange(min=0), default=3, show_default=True, help="How many to show."
)
def show(ref: str, tokenizer: Path, style: Any, max_tokens: int, count: int) -> None:
    """Print examples as a model will see them, with the part that it learns between ⟦ and ⟧."""
    from transformers import AutoTokenizer

    loaded: Any = AutoTokenizer.from_pretrained(tokenizer)
    encoded = encode(read_rows(ref), loaded, max_tokens, style)
    for example in encoded.examples[:count]:
        n_prompt = sum(label < 0 for label in example.labels)
        prompt, completion = loaded.decode(example.ids[:n_prompt]), loaded.decode(example.ids[n_prompt:])
        click.echo(f"{prompt}⟦{completion}⟧\n{'─' * 60}")
    click.echo(str(encoded))
    lengths = sorted(len(example.ids) for example in encoded.examples)
    click.echo(f"tokens: median {lengths[len(lengths) // 2]}, longest {lengths[-1]}, all {sum(lengths)}")


@command.command("write")
@click.argument("ref")
@click.argument("out", type=DIRECTORY)
def write(ref: str, out: Path) -> None:
    """Write data as a JSON Lines file of instruction and response."""
    found, left_out = pairs() if ref == "stdlib" else (None, None)
    rows = read_rows(ref) if found is None else rows_of(found)
    write_rows(out, rows)
    click.echo(f"{out}: {len(rows)} rows")
    if left_out is not None:
        click.echo(f"left out: {json.dumps(dict(left_out.most_common()))}", err=True)
