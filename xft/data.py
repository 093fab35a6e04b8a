"""Instruction records → token ids with labels on the response only.

Prompt and completion are encoded separately and joined, so that the boundary is where it is at inference;
BOS precedes the prompt and EOS ends the completion. Rows whose completion would be cut, or is empty, are
left out, counted and named: a completion without its end teaches a model not to stop.

Source: the prompt is the one of arXiv 2404.15247 (facts/method.md 4).
"""

import dataclasses
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from xft.errors import DataError

Style = Literal["magicoder", "chat", "raw"]
IGNORED = -100
"""Label of a token that is not to be predicted."""
_MAGICODER = (
    "You are an exceptionally intelligent coding assistant that consistently delivers accurate and reliable "
    "responses to user instructions.\n\n@@ Instruction\n{instruction}\n\n@@ Response\n"
)
_SHAPES = "instruction + response, instruction (+ input) + output, prompt + completion, or messages"
_MAX_NAMED = 5


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


def read_rows(path: Path) -> list[Row]:
    """Read a JSON Lines file of instructions.

    Raises:
        DataError: If the file is missing, a line is not JSON, or has none of the known shapes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    rows = [_row(path, number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not rows:
        raise DataError(f"{path} holds no rows")
    return rows


def _row(path: Path, number: int, line: str) -> Row:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number}: not JSON: {error}") from error
    found = _instruction_and_response(record) if isinstance(record, dict) else None
    if found is None:
        columns = ", ".join(sorted(record)) if isinstance(record, dict) else type(record).__name__
        raise DataError(f"{path}, line {number}: found {columns}", hint=f"expected {_SHAPES}")
    return Row(*found, number)


def _instruction_and_response(record: dict[str, Any]) -> tuple[str, str] | None:
    if isinstance(messages := record.get("messages"), list):
        return _from_messages(messages)
    for asked, answered in (("instruction", "response"), ("instruction", "output"), ("prompt", "completion")):
        if isinstance(record.get(asked), str) and isinstance(record.get(answered), str):
            extra = record.get("input")
            instruction = record[asked]
            return (f"{instruction}\n\n{extra}" if isinstance(extra, str) and extra else instruction), record[
                answered
            ]
    return None


def _from_messages(messages: list[Any]) -> tuple[str, str] | None:
    """Take the last user message and the answer to it; a system message goes in front of it."""
    turns = [(m.get("role"), m.get("content")) for m in messages if isinstance(m, dict)]
    if len(turns) < 2 or turns[-1][0] != "assistant" or turns[-2][0] != "user":
        return None
    asked = [content for role, content in turns[:-2] if role == "system"] + [turns[-2][1]]
    texts = [text for text in [*asked, turns[-1][1]] if isinstance(text, str)]
    if len(texts) != len(asked) + 1:
        return None
    return "\n\n".join(texts[:-1]), texts[-1]


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
    encoded = Encoded(examples, cut, empty, _hash(examples))
    if not examples:
        raise DataError(f"no row is left: {encoded}", hint="allow more with --max-tokens")
    return encoded


def _example(row: Row, tokenizer: Any, style: Style) -> Example:
    prompt = _prompt_ids(row.instruction, tokenizer, style)
    completion = [*tokenizer.encode(row.response, add_special_tokens=False), tokenizer.eos_token_id]
    return Example(prompt + completion, [IGNORED] * len(prompt) + completion)


def _prompt_ids(instruction: str, tokenizer: Any, style: Style) -> list[int]:
    if style == "chat":
        if not tokenizer.chat_template:
            raise DataError("the tokenizer has no chat template", hint="pass --style magicoder")
        turns = [{"role": "user", "content": instruction}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(tokenizer.encode(text, add_special_tokens=False))
    text = _MAGICODER.format(instruction=instruction) if style == "magicoder" else instruction
    ids = list(tokenizer.encode(text, add_special_tokens=False))
    return ids if tokenizer.bos_token_id is None else [tokenizer.bos_token_id, *ids]


def _hash(examples: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for example in examples:
        digest.update(json.dumps([example.ids, example.labels], separators=(",", ":")).encode())
    return digest.hexdigest()


def split(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Return (training, held-out) examples; at least one of each.

    Raises:
        DataError: If there are fewer than two.
    """
    if len(examples) < 2:
        raise DataError(f"{len(examples)} example can't be split into training and held-out data")
    order = list(examples)
    random.Random(seed).shuffle(order)
    n_held_out = min(max(1, round(share * len(order))), len(order) - 1)
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
