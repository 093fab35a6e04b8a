"""Chat prompts whose reply is opened: what the checkpoint's own template makes of them."""

from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="tokenizers need transformers: pip install 'xftbench[hf]'")

from pico import TEMPLATE, save_tokenizer

from xftbench.errors import BackendError
from xftbench.generation.tokens import encode
from xftbench.records import Prompt

OPENED = Prompt(task_id="T/0", text="Add.\n", response="Here:\n```python\n", is_chat=True, stop=("\n```\n",))


def tokenizer(directory: Path, template: str) -> object:
    from transformers import AutoTokenizer

    save_tokenizer(directory, template)
    return AutoTokenizer.from_pretrained(directory)


TURNS = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def test_the_prompt_ends_inside_the_models_turn_and_has_one_bos(tmp_path: Path) -> None:
    tokens = tokenizer(tmp_path, TURNS)
    ids = encode(tokens, OPENED)
    assert tokens.decode(ids) == "<s>user: Add.\n</s>assistant: Here:\n```python\n"  # type: ignore[attr-defined]
    assert ids.count(0) == 1, "the template writes the BOS, and the tokenizer adds no second one"


def test_a_template_without_a_bos_gets_none(tmp_path: Path) -> None:
    tokens = tokenizer(tmp_path, TURNS.removeprefix("{{ bos_token }}"))
    assert 0 not in encode(tokens, OPENED)


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE.replace("{% for m in messages %}", "{% for m in messages if m['role'] == 'user' %}"),
        TURNS.replace("m['content']", "m['content'].split('\n')[-2]"),
        TURNS.replace("m['content'] }}", "m['content'] }}{{ m['content'] }}"),
    ],
    ids=["drops the assistant's turn", "rewrites it", "repeats it"],
)
def test_a_template_that_can_not_be_gone_on_from_is_refused(tmp_path: Path, template: str) -> None:
    with pytest.raises(BackendError, match="does not keep the beginning of a reply") as caught:
        encode(tokenizer(tmp_path, template), OPENED)
    assert "--style" in str(caught.value)


def test_a_checkpoint_without_a_template_is_refused(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, None)
    from transformers import AutoTokenizer

    with pytest.raises(BackendError, match="needs the checkpoint's chat template"):
        encode(AutoTokenizer.from_pretrained(tmp_path), OPENED)
