"""transformers: `generate` on left-padded batches, for machines where vLLM does not run.

Yields a batch at a time. What is drawn for a request does not depend on what it is batched with, save for
rounding: batched matrix products differ in the last bits, which can tip a near-tie.
"""

import gc
import importlib.metadata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from xftbench.errors import BackendError
from xftbench.generation import devices, trust
from xftbench.generation.backend import Engine, Request
from xftbench.generation.checkpoints import Checkpoint, read_config
from xftbench.generation.failures import as_backend_errors, quiet_transformers
from xftbench.generation.options import BackendOptions, arrange
from xftbench.generation.tokens import (
    check_lengths,
    cut_at_stop,
    encode,
    load_tokenizer,
    marks_that_end,
    special_tokens,
)
from xftbench.records import Sample, SamplingParams

_BATCH_SIZE = 32
_HINT = "-vv shows the whole traceback"


def describe(checkpoint: Checkpoint, options: BackendOptions) -> Engine:
    """Return what will generate, without importing torch.

    Raises:
        BackendError: If torch or transformers is not installed.
        UsageProblem: If there is no such dtype.
    """
    try:
        versions = {name: importlib.metadata.version(name) for name in ("transformers", "torch")}
    except importlib.metadata.PackageNotFoundError as error:
        raise BackendError(f"the hf backend needs {error.name}", hint="pip install 'xftbench[hf]'") from error
    device = devices.device()
    return Engine(
        name="hf",
        version=f"{versions['transformers']} (torch {versions['torch']})",
        dtype=devices.choose_dtype(options.dtype, read_config(Path(checkpoint.path)), device),
        device=device,
        processor=devices.processor(device),
        batch_size=options.batch_size or _BATCH_SIZE,
        order=options.order,
    )


@contextmanager
def open_backend(checkpoint: Checkpoint, options: BackendOptions) -> Iterator["HfBackend"]:
    """Load a checkpoint with transformers, and free it at the end."""
    backend = HfBackend(checkpoint, options)
    try:
        yield backend
    finally:
        backend.close()


class HfBackend:
    """One loaded model."""

    def __init__(self, checkpoint: Checkpoint, options: BackendOptions) -> None:
        """Load the weights.

        Raises:
            BackendError: If transformers can't load the checkpoint.
        """
        self.engine = describe(checkpoint, options)
        self._batch_size = options.batch_size or _BATCH_SIZE
        self._order = options.order
        self._tokenizer = load_tokenizer(checkpoint)
        runs_code = trust.trusts_code(checkpoint)
        if runs_code:
            trust.announce(checkpoint)
        with as_backend_errors(f"loading {checkpoint.path} with transformers", _HINT), quiet_transformers():
            import torch
            from transformers import AutoModelForCausalLM

            if self.engine.device == "cuda" and not torch.cuda.is_available():
                raise BackendError(
                    "there is a GPU, but torch can't use it",
                    hint="check the driver with nvidia-smi, or hide the GPU with CUDA_VISIBLE_DEVICES=",
                )
            if self.engine.device == "cpu":
                torch.set_num_threads(devices.cpu_threads())
            model: Any = AutoModelForCausalLM.from_pretrained(
                checkpoint.path,
                dtype=getattr(torch, self.engine.dtype),
                trust_remote_code=runs_code,
            )
            self._model: Any = model.to(self.engine.device).eval()
        self._specials = special_tokens(self._tokenizer)
        self._eos = _take_end_tokens(self._model, self._tokenizer.eos_token_id)

    @property
    def model(self) -> Any:
        """The model, for those who look into it."""
        return self._model

    def generate(self, requests: Sequence[Request], sampling: SamplingParams) -> Iterator[Sample]:
        """Yield the samples of one batch after another, the longest prompts first.

        Raises:
            BackendError: If a prompt is too long, or generation fails.
        """
        if not requests:
            return
        pairs = [(request, encode(self._tokenizer, request.prompt)) for request in requests]
        check_lengths(
            [(request.prompt, ids) for request, ids in pairs], sampling.max_new_tokens, self._max_model_len()
        )
        # By length, so that little is padded; the longest first, so that memory runs out early or never.
        pairs.sort(key=lambda pair: -len(pair[1]))
        pairs = arrange(pairs, self._order, key=lambda pair: pair[0].key)
        for start in range(0, len(pairs), self._batch_size):
            batch = pairs[start : start + self._batch_size]
            with as_backend_errors("generating with transformers", _HINT), quiet_transformers():
                samples = self._generate_batch(batch, sampling)
            yield from samples

    def _max_model_len(self) -> int:
        return int(getattr(self._model.config, "max_position_embeddings", None) or 1 << 30)

    def _generate_batch(
        self, batch: Sequence[tuple[Request, list[int]]], sampling: SamplingParams
    ) -> list[Sample]:
        import torch
        from transformers import GenerationConfig

        from xftbench.generation.hf_steps import ReadAlong, SeededDraw

        settings: Any = GenerationConfig
        width = max(len(ids) for _, ids in batch)
        pad = min(self._eos, default=0)
        device = self.engine.device
        input_ids = torch.tensor([[pad] * (width - len(ids)) + ids for _, ids in batch], device=device)
        mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for _, ids in batch], device=device)
        readers = ReadAlong(
            self._tokenizer,
            [
                (ids, request.prompt.stop, self._eos | marks_that_end(self._specials, request.prompt))
                for request, ids in batch
            ],
        )
        greedy = sampling.temperature == 0
        with torch.inference_mode():
            self._model.generate(
                input_ids,
                attention_mask=mask,
                generation_config=settings(
                    max_new_tokens=sampling.max_new_tokens, do_sample=False, pad_token_id=pad, use_cache=True
                ),
                logits_processor=[] if greedy else [SeededDraw([r.seed for r, _ in batch], sampling)],
                stopping_criteria=[readers],
            )
        return [
            _sample(request, len(ids), reply)
            for (request, ids), reply in zip(batch, readers.replies, strict=True)
        ]

    def close(self) -> None:
        """Free the weights."""
        if not hasattr(self, "_model"):
            return
        del self._model
        gc.collect()
        if self.engine.device == "cuda":
            import torch

            torch.cuda.empty_cache()


def _take_end_tokens(model: Any, tokenizer_end: int | None) -> frozenset[int]:
    """Return the tokens that end a reply, and make the model forget its other defaults.

    A checkpoint's generation_config may bring a repetition penalty or a top-k; those would be applied behind
    the back of a run's own sampling parameters. vLLM ends a reply at the same tokens: the generation_config's
    and the tokenizer's own, which may be all that tuning for chat has changed.
    """
    from transformers import GenerationConfig

    fresh: Any = GenerationConfig
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = model.config.eos_token_id
    model.generation_config = fresh()
    listed = [ends] if ends is None or isinstance(ends, int) else ends
    return frozenset(end for end in (*listed, tokenizer_end) if end is not None)


def _sample(request: Request, n_prompt_tokens: int, reply: Any) -> Sample:
    cut = cut_at_stop(reply.text, request.prompt.stop)
    return Sample(
        task_id=request.prompt.task_id,
        sample_index=request.sample_index,
        completion=cut.text,
        seed=request.seed,
        n_prompt_tokens=n_prompt_tokens,
        n_tokens=reply.n_tokens,
        finish_reason="stop" if reply.ended else "length",
        stop_reason=cut.stop,
    )
