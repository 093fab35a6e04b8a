"""Which experts wrote a reply: one pass over a stored prompt and completion, routers watched by hooks.

Teacher-forced, so it works for completions of any engine, long after they were made. Counted are the passes
that the reply's tokens came from, not those over the rest of the prompt. Routing is without noise, as in
generation; rounding may choose otherwise at a near-tie than the engine did.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from xftbench.errors import BackendError
from xftbench.generation.checkpoints import Checkpoint
from xftbench.generation.failures import as_backend_errors, quiet_transformers
from xftbench.generation.hf import HfBackend
from xftbench.generation.options import BackendOptions
from xftbench.generation.tokens import encode, load_tokenizer
from xftbench.records import Prompt, Sample, SampleKey, SampleRouting

_ROUTER = "XftRouter"
"""Class of the routers, by name: the file that travels inside a checkpoint is no package of ours."""


class Reply(NamedTuple):
    """A stored completion and what it answered."""

    prompt: Prompt
    sample: Sample


def watch(
    checkpoint: Checkpoint, options: BackendOptions, replies: Sequence[Reply]
) -> Iterator[SampleRouting]:
    """Yield the routing of each reply, the longest first.

    Raises:
        BackendError: If the checkpoint can't be loaded, or has no router of xft's.
    """
    tokenizer = load_tokenizer(checkpoint)
    backend = HfBackend(checkpoint, options)
    try:
        yield from _watch(backend.model, tokenizer, replies)
    finally:
        backend.close()


def _watch(model: Any, tokenizer: Any, replies: Sequence[Reply]) -> Iterator[SampleRouting]:
    import torch

    routers = [module for module in model.modules() if type(module).__name__ == _ROUTER]
    if not routers:
        raise BackendError(
            "the checkpoint has no XftRouter, so there is no routing to report",
            hint="moe-report is for mixtures that xft upcycle made",
        )
    seen: list[tuple[Any, Any, Any]] = []
    hooks = [
        router.register_forward_hook(lambda _module, _input, output: seen.append(output))
        for router in routers
    ]
    try:
        for key, ids, start in _sequences(tokenizer, replies):
            seen.clear()
            with torch.inference_mode(), quiet_transformers(), as_backend_errors("replaying a reply", ""):
                model(torch.tensor([ids[:-1]], device=model.device), use_cache=False)
            layers = [_layer(router, output, start) for router, output in zip(routers, seen, strict=True)]
            yield SampleRouting(
                task_id=key[0],
                sample_index=key[1],
                n_tokens=len(ids) - 1 - start,
                has_shared=_has_shared(routers[0]),
                load=[layer[0] for layer in layers],
                weight=[layer[1] for layer in layers],
                entropy=[layer[2] for layer in layers],
                pairs=[layer[3] for layer in layers],
            )
    finally:
        for hook in hooks:
            hook.remove()


def _sequences(tokenizer: Any, replies: Sequence[Reply]) -> Iterator[tuple[SampleKey, list[int], int]]:
    """Yield each reply's tokens, and the first of the passes that produced it."""
    for prompt, sample in replies:
        before = encode(tokenizer, prompt)
        after = list(tokenizer(sample.completion, add_special_tokens=False).input_ids)
        if after:
            yield sample.key, before + after, len(before) - 1


def _has_shared(router: Any) -> bool:
    return str(router.options.routing).startswith("xft")


def _layer(router: Any, output: Any, start: int) -> tuple[list[int], list[float], float, list[int]]:
    """Return a layer's (tokens per expert, weight per expert, entropy, tokens per pair of routed experts)."""
    import torch

    logits, weights, ids = (part[start:].float() for part in output)
    n_experts = router.options.num_experts
    shared = int(_has_shared(router))
    chosen = torch.zeros(len(ids), n_experts, device=ids.device).scatter(1, ids.long(), 1.0)
    weight = torch.zeros_like(chosen).scatter(1, ids.long(), weights)
    log_probs = torch.log_softmax(logits, dim=-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1).sum() / math.log(max(2, logits.shape[-1]))
    together = (chosen.T @ chosen).long().tolist()
    pairs = [int(together[a][b]) for a, b in combinations(range(shared, n_experts), 2)]
    load = [int(value) for value in chosen.sum(0).tolist()]
    return load, [round(value, 4) for value in weight.sum(0).tolist()], round(float(entropy), 4), pairs
