"""Prompts to token ids and back, the same for every engine: engines are given ids, never text."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from xftbench.errors import BackendError
from xftbench.generation.checkpoints import Checkpoint
from xftbench.generation.devices import set_torch_environment
from xftbench.generation.failures import as_backend_errors, quiet_transformers
from xftbench.generation.trust import trusts_code
from xftbench.records import Prompt

_logger = logging.getLogger(__name__)

Tokenizer = Any
"""A transformers tokenizer; its type is not imported, to keep this module light."""


def load_tokenizer(checkpoint: Checkpoint) -> Tokenizer:
    """Return a checkpoint's own tokenizer.

    Raises:
        BackendError: If it can't be loaded.
    """
    set_torch_environment()  # transformers imports torch
    from transformers import AutoTokenizer

    with (
        as_backend_errors(
            f"loading the tokenizer of {checkpoint.path}",
            "the directory needs tokenizer.json or tokenizer.model",
        ),
        quiet_transformers(),
    ):
        return AutoTokenizer.from_pretrained(checkpoint.path, trust_remote_code=trusts_code(checkpoint))


def encode(tokenizer: Tokenizer, prompt: Prompt) -> list[int]:
    """Return a prompt's token ids.

    Raw text gets the special tokens that the tokenizer itself puts before text. A chat prompt gets the
    checkpoint's template, which spells out its own special tokens, so none is added to them.

    Raises:
        BackendError: If a chat prompt meets a checkpoint without a template, or nothing is left to send.
    """
    ids = _encode_chat(tokenizer, prompt) if prompt.is_chat else list(tokenizer(prompt.text).input_ids)
    bos = tokenizer.bos_token_id
    # A template that writes the BOS, inside a tokenizer that adds it all the same.
    while bos is not None and ids[:2] == [bos, bos]:
        ids = ids[1:]
    # A tokenizer that closes a text (add_eos_token): what a model writes behind its end is no answer.
    if not prompt.is_chat and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    if not ids:
        raise BackendError(f"the prompt of {prompt.task_id} has no tokens")
    return ids


def _encode_chat(tokenizer: Tokenizer, prompt: Prompt) -> list[int]:
    if not tokenizer.chat_template:
        raise BackendError(
            f"a chat prompt needs the checkpoint's chat template, and {tokenizer.name_or_path} has none",
            hint="choose a --style that is not a chat, such as --style base",
        )
    if prompt.response:
        return list(tokenizer(_prefilled(tokenizer, prompt), add_special_tokens=False).input_ids)
    message = [{"role": "user", "content": prompt.text}]
    with as_backend_errors("applying the chat template", "choose a --style that is not a chat"):
        return list(
            tokenizer.apply_chat_template(
                message,
                tokenize=True,
                add_generation_prompt=True,
                return_dict=False,
                **_fixed_day(tokenizer),
            )
        )


_DAY = datetime(2024, 7, 26, tzinfo=UTC)
"""What Llama 3's own template writes where it is told no date."""


def _fixed_day(tokenizer: Tokenizer) -> dict[str, Any]:
    """Return what makes a template that writes today's date (Llama 3's) write the same one every day.

    Otherwise a run that is resumed, or compared, on another day would have had other prompts. Templates that
    ask for no date get nothing: not every tokenizer takes settings.
    """
    return {"strftime_now": _DAY.strftime} if "strftime_now" in str(tokenizer.chat_template) else {}


_SPLITTER = "-[[]]-the-reply-goes-on-from-here-[[]]-"


def _prefilled(tokenizer: Tokenizer, prompt: Prompt) -> str:
    """Return the rendered chat up to the end of the model's own turn as far as it is given.

    evalplus' way: render a whole turn with a mark in it, and cut at the mark. The text spells out its special
    tokens, so whoever tokenises it must not add any.
    """
    messages = [
        {"role": "user", "content": prompt.text},
        {"role": "assistant", "content": f"{prompt.response}{_SPLITTER}\n```\n"},
    ]
    with as_backend_errors("applying the chat template", "choose a --style that is not a chat"):
        rendered = tokenizer.apply_chat_template(messages, tokenize=False, **_fixed_day(tokenizer))
    before, *after = str(rendered).split(_SPLITTER)
    if len(after) != 1 or not before.endswith(prompt.response):
        raise BackendError(
            f"the chat template of {tokenizer.name_or_path} does not keep the beginning of a reply: "
            "it drops, repeats or rewrites the assistant's turn",
            hint="choose a --style that does not open the reply, such as --style chat",
        )
    return before


def special_tokens(tokenizer: Tokenizer) -> dict[int, str]:
    """Return the tokens that are marks, such as ``<|endoftext|>``: engines leave them out of a text."""
    return {id_: token.content for id_, token in tokenizer.added_tokens_decoder.items() if token.special}


def marks_that_end(specials: Mapping[int, str], prompt: Prompt) -> frozenset[int]:
    """Return the special tokens that end the reply to a prompt, besides a checkpoint's own end tokens.

    Behind raw text all of them: another document or file begins there (StarCoder 2's ``<file_sep>``), as in
    MultiPL-E's automodel.py. In a chat one may as well open thoughts, so only those count that the style
    names as a stop string, which could not be met in a text without them.
    """
    return frozenset(id_ for id_, text in specials.items() if not prompt.is_chat or text in prompt.stop)


def check_lengths(
    prompts: Iterable[tuple[Prompt, Sequence[int]]], max_new_tokens: int, max_model_len: int
) -> None:
    """Refuse prompts that leave no room for the tokens asked for, before anything is generated.

    Cutting the reply short for some problems only would make their scores another experiment.

    Raises:
        BackendError: Naming the longest prompt.
    """
    prompt, ids = max(prompts, key=lambda pair: len(pair[1]))
    if len(ids) + max_new_tokens <= max_model_len:
        return
    room = max_model_len - len(ids)
    hint = (
        f"give --max-new-tokens {room} or less"
        if room > 0
        else "leave the problem out, or take another model"
    )
    raise BackendError(
        f"{prompt.task_id} has {len(ids)} prompt tokens: with {max_new_tokens} new ones it exceeds the "
        f"model's {max_model_len}",
        hint=hint,
    )


class Cut(NamedTuple):
    """Text before a stop string, and the stop string, if one was met."""

    text: str
    stop: str | None


def cut_at_stop(text: str, stops: Iterable[str]) -> Cut:
    """Cut text before the stop string that is complete first, as an engine that reads along would.

    Of two that end at the same character the one given first wins.
    """
    ends = [(start + len(stop), order, start, stop)
            for order, stop in enumerate(stops) if stop and (start := text.find(stop)) >= 0]  # fmt: skip
    if not ends:
        return Cut(text, None)
    _, _, start, stop = min(ends)
    return Cut(text[:start], stop)


class TextStream:
    """Decodes one reply token by token, in the context of its prompt.

    Context matters: sentencepiece tokenizers drop the leading space of text that stands alone, and a
    character may be spread over several tokens.
    """

    def __init__(self, tokenizer: Tokenizer, prompt_ids: Sequence[int]) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise BackendError(
                f"{tokenizer.name_or_path} has no fast tokenizer", hint="save it with tokenizer.json"
            )
        self._backend = backend
        self._stream = _stream(prompt_ids)
        self.text = ""

    def push(self, token_id: int) -> str:
        """Add a token; return the whole text so far, without an unfinished character at its end."""
        try:
            self.text += self._stream.step(self._backend, token_id) or ""
        except Exception as error:  # tokenizers raises nothing more specific
            if not str(error).startswith("Invalid prefix encountered"):
                raise
            # Bytes that make no character (a byte-fallback tokenizer can write any) leave a stream that goes
            # no further. What stands is kept, and the text goes on from this token, as in vLLM.
            self._stream = _stream([])
            self.text += self._stream.step(self._backend, token_id) or ""
        return self.text


def _stream(ids: Sequence[int]) -> Any:
    from tokenizers.decoders import DecodeStream

    return DecodeStream(ids=list(ids), skip_special_tokens=True)
