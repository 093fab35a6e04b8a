"""Fences, thoughts and the ends of turns in a reply."""

import pytest
from replies import BODY, PROBLEM, WRONG, chat, extracted, fenced

from xftbench.prompts.fences import fenced_blocks, tags
from xftbench.records import Solution


def test_a_block_in_a_list_item_loses_the_indentation_of_its_fence() -> None:
    rule, code = chat("1. Do this:\n   ```python\n   def add(a, b):\n       return a + b\n   ```\n")
    assert rule == "fence"
    assert code.endswith(BODY)


def test_thoughts_are_no_part_of_the_reply() -> None:
    thought = "<think>\n```python\ndef add(a, b):\n    return 0\n```\n</think>\n"
    assert "return 0" not in chat(f"{thought}```python\n{BODY}```")[1]


@pytest.mark.parametrize(
    ("language", "tag"),
    [("python", "Python3.12"), ("cpp", "c++17"), ("r", "rscript"), ("php", "html+php"), ("lua", "lua5.4")],
)
def test_a_tag_may_have_a_version_or_another_name(language: str, tag: str) -> None:
    assert [block.code for block in fenced_blocks(f"```{tag}\nx\n```\n", tags(language))] == ["x\n"]


def test_a_body_behind_thoughts_continues_the_prompt() -> None:
    rule, code = chat("<think>\nHm.\n</think>\n\n    return a + b\n")
    assert (rule, code) == ("append", f"{PROBLEM.prompt}\n\n    return a + b\n")


def test_a_draft_in_thoughts_that_never_end_is_no_answer() -> None:
    rule, code = chat(f"<think>\nPerhaps\n```python\n{BODY}```\nBut wait")
    assert rule == "nothing"
    assert "def add(a, b)" not in code


@pytest.mark.parametrize("token", ["<|im_end|>", "<|endoftext|>", "<\uff5cend\u2581of\u2581sentence\uff5c>"])
def test_a_token_that_ends_a_turn_takes_nothing_from_a_body(token: str) -> None:
    found = extracted(f"    return a + b{token}\ndef add(a, b):\n    return 0\n", "append", "lenient")
    assert found == Solution(code=f"{PROBLEM.prompt}    return a + b", rule="append")


def test_a_token_on_a_line_of_its_own_ends_the_turn() -> None:
    other = BODY.replace("+", "-")
    rule, code = chat(f"```python\n{BODY}```\n<|im_end|>\n<|im_start|>user\nNo.\n```python\n{other}```\n")
    assert (rule, code.endswith(BODY)) == ("fence", True)


TURNS = {
    "Llama 2": " </s><s>[INST] ",
    "Llama 3": "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n",
    "Llama 4": "<|eot|><|header_start|>user<|header_end|>\n\n",
    "Mistral": "</s>[INST] ",
    "Gemma": "<end_of_turn>\n<start_of_turn>user\n",
    "ChatML": "<|im_end|>\n<|im_start|>user\n",
    "Phi 3": "<|end|>\n<|user|>\n",
    "Phi 4": "<|im_end|><|im_start|>user<|im_sep|>",
    "DeepSeek": "<\uff5cend\u2581of\u2581sentence\uff5c><\uff5cUser\uff5c>",
    "DeepSeek 2": "<\uff5cend\u2581of\u2581sentence\uff5c>User: ",
    "DeepSeek Coder": "\n<|EOT|>\n### Instruction:\n",
    "Zephyr": "</s>\n<|user|>\n",
    "Granite": "<|end_of_text|>\n<|start_of_role|>user<|end_of_role|>",
    "Command R": "<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
    "GLM": "\n<|user|>\n",
    "OpenChat": "<|end_of_turn|>GPT4 Correct User: ",
    "Vicuna": "</s>USER: ",
    "words alone": "</s>\n\nAnd:\n",
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_turns_that_follow_are_no_part_of_the_reply(turn: str) -> None:
    more = f"{turn}What's `that`?\n{fenced(WRONG)}"
    for reply in (fenced(BODY), fenced(BODY).rstrip(), f"{fenced(BODY)}It's what `add` does."):
        assert chat(reply + more)[1].endswith(BODY)
    assert extracted(BODY + more, "alone", "lenient").code.rstrip().endswith(BODY.rstrip())


TOKENS_IN_CODE = [
    "ASK = '<|im_end|><|im_start|>user'",
    'ASK = f"{1}\\"</s><s>[INST] "',
    'ASK = """</s>[INST]"""',
    "OLD = '<s>a</s><s>b</s>'",
    'PAGE = """<s class="old">\ntext</s>\n"""',
    'PAGE = """\ntext</s>\n"""',
    'ASK = """\n<|eot_id|><|start_header_id|>user\n"""',
]


@pytest.mark.parametrize("line", TOKENS_IN_CODE)
def test_a_token_that_code_mentions_ends_nothing(line: str) -> None:
    code = f"{line}\n{BODY}"
    assert chat(f"The token `<|im_end|><|im_start|>`:\n```python\n{code}```\nDone.")[1].endswith(code)


def test_a_token_in_a_block_is_code() -> None:
    code = f'ENDS = """\n<|im_end|>\n"""\n{BODY}'
    rule, found = chat(f"```python\n{code}```\nDone.")
    assert (rule, found.endswith(code)) == ("fence", True)


@pytest.mark.parametrize(
    "reply",
    [
        "\ufeff{}",
        "```python\n\ufeff{}```\n",
        "<code>{}</code>",
        "So:\n<code>{}\n</code>",
        'So:\n<pre><code class="python">{}</code></pre>',
    ],
)
def test_what_stands_before_the_first_word_of_code_is_none(reply: str) -> None:
    assert chat(reply.format(BODY))[1].rstrip().endswith(BODY.rstrip())


@pytest.mark.parametrize("end", ["", "<|return|>", "\n<|end|>\n<|start|>user<|message|>More"])
def test_of_harmonys_channels_the_final_one_is_the_reply(end: str) -> None:
    draft = f"```python\n{BODY.replace('+', '-')}```\n"
    reply = f"<|channel|>analysis<|message|>Hm.\n{draft}<|end|><|start|>assistant<|channel|>final<|message|>"
    rule, code = chat(f"{reply}```python\n{BODY}```{end}")
    assert (rule, code.endswith(BODY)) == ("fence", True)


def test_a_tag_of_thoughts_in_code_is_code() -> None:
    code = f'HELP = """\n<think>\n"""\n{BODY}'
    draft = f"<think>\n```python\n{BODY.replace('+', '-')}```\n</think>\n"
    for before in ("Here:\n", draft):
        rule, found = chat(f"{before}```python\n{code}```\nDone.")
        assert (rule, found.endswith(code), " - " in found) == ("fence", True, False)
