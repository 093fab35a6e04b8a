"""Instruction records → token ids with labels on the response only.

Prompt and completion are encoded separately and joined, so that the boundary is where it is at inference;
BOS precedes the prompt and EOS ends the completion. Rows whose completion would be cut, or is empty, are
left out, counted and named: a completion without its end teaches a model not to stop.

Source: the prompt is the one of arXiv 2404.15247's released code.
"""

import dataclasses
import gzip
import hashlib
import json
import random
import re
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from xft.errors import DataError
from xft.output import write_text_atomically

if TYPE_CHECKING:
    from xft.stdlib_pairs import Pair

Style = Literal["magicoder", "chat", "raw"]
IGNORED = -100
"""Label of a token that is not to be predicted."""
_MAGICODER = (
    "You are an exceptionally intelligent coding assistant that consistently delivers accurate and reliable "
    "responses to user instructions.\n\n@@ Instruction\n{instruction}\n\n@@ Response\n"
)
_SHAPES = (
    "instruction (+ input) + response or output, prompt + completion, problem + solution, "
    "question + answer, messages, or conversations"
)
_MAX_NAMED = 5
_DAY = datetime(2024, 7, 26, tzinfo=UTC)


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One instruction and its answer."""

    instruction: str
    response: str
    line: int
    """Line of the file, from 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class Example:
    """One row as tokens."""

    ids: list[int]
    labels: list[int]
    """The ids of the completion and its EOS; `IGNORED` on the prompt."""


@dataclasses.dataclass(frozen=True, slots=True)
class Encoded:
    """What became of a file."""

    examples: list[Example]
    cut: list[int]
    """Lines that were left out because they are longer than allowed."""
    empty: list[int]
    """Lines that were left out because their response is empty."""
    sha256: str
    """Hash of what the model will see: ids and labels."""

    def __str__(self) -> str:
        parts = [f"{len(self.examples)} examples"]
        for lines, reason in ((self.cut, "too long"), (self.empty, "with an empty response")):
            if lines:
                named = ", ".join(map(str, lines[:_MAX_NAMED])) + (", …" if len(lines) > _MAX_NAMED else "")
                parts.append(f"{len(lines)} rows {reason} left out (lines {named})")
        return "; ".join(parts)


def located(ref: str | Path) -> str:
    """Return where data comes from, so that it can be found again: a file with its whole path."""
    return str(Path(ref).resolve()) if Path(ref).is_file() else str(ref)


def read_rows(ref: str | Path) -> list[Row]:
    """Read instructions.

    Args:
        ref: A file (``.jsonl``, plain or ``.gz``; ``.json`` with a list; ``.parquet``), ``stdlib`` for
            functions of Python's own standard library, or a data set of the hub:
            ``org/name[:split][@revision]``.

    Raises:
        DataError: If there is no such data, a row is not JSON, or has none of the known shapes.
    """
    if ref == "stdlib":
        from xft.stdlib_pairs import pairs

        return rows_of(pairs()[0])
    path = Path(ref)
    records: Iterator[tuple[int, Any]]
    if path.is_file():
        records = _from_parquet(path) if path.suffix == ".parquet" else _from_text(path)
    elif named := _HUB_ID.fullmatch(str(ref)):
        records = _from_hub(named["name"], named["split"] or "train", named["revision"])
    else:
        raise DataError(
            f"no file {ref}", hint="data is a JSON Lines file, stdlib, or a hub data set (org/name[:split])"
        )
    rows = [_row(str(ref), number, record) for number, record in records]
    if not rows:
        raise DataError(f"{ref} holds no rows")
    return rows


def rows_of(pairs: "Sequence[Pair]") -> list[Row]:
    """Return pairs out of the standard library as rows."""
    return [Row(pair.instruction, pair.response, n) for n, pair in enumerate(pairs, start=1)]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as JSON Lines of instruction and response, at once or not at all.

    Raises:
        OutputError: If the file can't be written.
    """
    lines = [json.dumps({"instruction": row.instruction, "response": row.response}) for row in rows]
    write_text_atomically(path, "".join(f"{line}\n" for line in lines))


_HUB_ID = re.compile(r"(?P<name>[\w-][\w.-]*/[\w.-]+)(:(?P<split>\w+))?(@(?P<revision>[\w./-]+))?")


def _from_text(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"can't read {path}: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    if path.name.removesuffix(".gz").endswith(".json") and text.lstrip().startswith("["):
        yield from enumerate(_parsed(path, 1, text), start=1)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _parsed(path, number, line)


def _parsed(path: Path, number: int, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}, line {number}: not JSON: {error}") from error


def _from_parquet(path: Path) -> Iterator[tuple[int, Any]]:
    import pyarrow.parquet

    try:
        yield from enumerate(pyarrow.parquet.read_table(path).to_pylist(), start=1)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"can't read {path}: {error}") from error


def _from_hub(name: str, split: str, revision: str | None) -> Iterator[tuple[int, Any]]:
    try:
        import datasets  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise DataError(
            f"there is no file {name}, and the hub needs the package datasets",
            hint="pip install 'xftbench[train]'",
        ) from error
    try:
        found = datasets.load_dataset(name, split=split, revision=revision)
    except Exception as error:  # network, spelling, authorisation, splits: whatever the hub's client raises
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"there is no file {name}, and the hub does not give out {name}, split {split}: {first}",
            hint="check path and spelling; without a network, download it and name the file",
        ) from error
    yield from enumerate(found, start=1)


def _row(where: str, number: int, record: Any) -> Row:
    found = _instruction_and_response(record) if isinstance(record, dict) else None
    if found is None:
        columns = ", ".join(sorted(map(str, record))) if isinstance(record, dict) else type(record).__name__
        raise DataError(f"{where}, line {number}: found {columns}", hint=f"expected {_SHAPES}")
    try:
        "".join(found).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}, line {number}: {error.object[error.start]!a} is half a character (a lone surrogate)"
        ) from error
    return Row(*found, number)


def _instruction_and_response(record: dict[str, Any]) -> tuple[str, str] | None:
    for key, role, content in (("messages", "role", "content"), ("conversations", "from", "value")):
        if isinstance(turns := record.get(key), list):
            return _from_turns([(t.get(role), t.get(content)) for t in turns if isinstance(t, dict)])
    for asked, answered in _COLUMNS:
        if isinstance(record.get(asked), str) and isinstance(record.get(answered), str):
            extra = record.get("input")
            instruction = record[asked]
            if isinstance(extra, str) and extra:
                instruction = f"{instruction}\n\n{extra}"
            return instruction, record[answered]
    return None


_COLUMNS = (
    ("instruction", "response"), ("instruction", "output"), ("prompt", "completion"), ("problem", "solution"),
    ("question", "answer"),
)  # fmt: skip
_ROLES = {"human": "user", "gpt": "assistant"}


def _from_turns(turns: list[tuple[Any, Any]]) -> tuple[str, str] | None:
    """Take the last question and its answer; a system message goes in front of the question."""
    named = [(_ROLES.get(role, role), text) for role, text in turns]
    if len(named) < 2 or (named[-2][0], named[-1][0]) != ("user", "assistant"):
        return None
    asked = [text for role, text in named[:-2] if role == "system"] + [named[-2][1]]
    if not all(isinstance(text, str) for text in [*asked, named[-1][1]]):
        return None
    return "\n\n".join(asked), named[-1][1]


def encode(rows: Sequence[Row], tokenizer: Any, max_tokens: int, style: Style = "magicoder") -> Encoded:
    """Encode rows; those whose completion is empty or would be cut are left out and counted.

    Raises:
        DataError: If nothing is left, or the tokenizer has no EOS (or no template, for style ``chat``).
    """
    if tokenizer.eos_token_id is None:
        raise DataError("the tokenizer has no EOS token, so a response would have no end")
    examples: list[Example] = []
    cut: list[int] = []
    empty: list[int] = []
    for row in rows:
        if not row.response.strip():
            empty.append(row.line)
            continue
        example = _example(row, tokenizer, style)
        if len(example.ids) > max_tokens:
            cut.append(row.line)
            continue
        examples.append(example)
    encoded = Encoded(examples, cut, empty, hash_of(examples))
    if not examples:
        raise DataError(f"no row is left: {encoded}", hint="allow more with --max-tokens")
    return encoded


def _example(row: Row, tokenizer: Any, style: Style) -> Example:
    prompt = _prompt_ids(row.instruction, tokenizer, style)
    # What a response says of special tokens is text: one that shows `</s>` goes on behind it.
    response = tokenizer.encode(row.response, add_special_tokens=False, split_special_tokens=True)
    completion = [*response, tokenizer.eos_token_id]
    return Example(prompt + completion, [IGNORED] * len(prompt) + completion)


def _prompt_ids(instruction: str, tokenizer: Any, style: Style) -> list[int]:
    if style == "chat":
        if not tokenizer.chat_template:
            raise DataError("the tokenizer has no chat template", hint="pass --style magicoder")
        turns = [{"role": "user", "content": instruction}]
        # A template that writes today's date (Llama 3's) writes the same one every day, so that a run can be
        # resumed on another; xftbench's prompts have the same.
        day = {"strftime_now": _DAY.strftime} if "strftime_now" in str(tokenizer.chat_template) else {}
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **day)
        return list(tokenizer.encode(text, add_special_tokens=False))
    text = _MAGICODER.format(instruction=instruction) if style == "magicoder" else instruction
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    return ids if tokenizer.bos_token_id is None else [tokenizer.bos_token_id, *ids]


def hash_of(examples: Sequence[Example]) -> str:
    """Return the hash of what a model will see: ids and labels."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.ids, example.labels], separators=(",", ":")).encode())
    return digest.hexdigest()


_T = TypeVar("_T")


def split(items: Sequence[_T], held_out: float, seed: int) -> tuple[list[_T], list[_T]]:
    """Return (training, held-out) items in an order that the seed decides; at least one of each.

    Args:
        items: Rows or examples.
        held_out: How many to hold out: a share below 1, or a number.
        seed: Of the order.

    Raises:
        DataError: If there are fewer than two.
    """
    if len(items) < 2:
        raise DataError(f"{len(items)} example can't be split into training and held-out data")
    order = list(items)
    random.Random(seed).shuffle(order)
    wanted = held_out * len(order) if held_out < 1 else held_out
    n_held_out = min(max(1, round(wanted)), len(order) - 1)
    return order[n_held_out:], order[:n_held_out]


def endless_batches(examples: Sequence[Example], size: int, seed: int) -> Iterator[list[Example]]:
    """Yield batches for ever, each pass over the data in a new order that the seed decides."""
    generator = random.Random(seed)
    pool: list[Example] = []
    while True:
        while len(pool) < size:
            again = list(examples)
            generator.shuffle(again)
            pool += again
        yield pool[:size]
        pool = pool[size:]


def pad(examples: Sequence[Example], pad_id: int) -> dict[str, list[list[int]]]:
    """Return a batch padded on the right; the mask is made from lengths, as the pad token may be EOS."""
    longest = max(len(example.ids) for example in examples)
    missing = [longest - len(example.ids) for example in examples]
    return {
        "input_ids": [e.ids + [pad_id] * n for e, n in zip(examples, missing, strict=True)],
        "labels": [e.labels + [IGNORED] * n for e, n in zip(examples, missing, strict=True)],
        "attention_mask": [[1] * len(e.ids) + [0] * n for e, n in zip(examples, missing, strict=True)],
    }
