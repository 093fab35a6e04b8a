"""Measure what our vLLM backend costs over `vllm.LLM.generate` called by hand.

Both are given the same token ids on the same engine, in alternating rounds, so that whatever else the
machine does meets both alike. A script, not a test: a time says something about a machine, not about code.

    python tests/perf/generation.py --rounds 3 --limit 64
"""

import argparse
import json
import logging
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from xftbench.benchmarks import BENCHMARKS
from xftbench.generation import BackendOptions, open_backend
from xftbench.generation.backend import Request
from xftbench.generation.checkpoints import resolve
from xftbench.generation.tokens import encode, load_tokenizer
from xftbench.prompts.render import find_style, render_all
from xftbench.records import SamplingParams


class Round(NamedTuple):
    n_tokens: int
    seconds: float
    cpu_seconds: float

    @property
    def tokens_per_s(self) -> float:
        return self.n_tokens / self.seconds


def main() -> None:
    options = parse_arguments()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    checkpoint = resolve("model", options.model, cache_dir=options.cache_dir)
    problems = BENCHMARKS["humaneval"]().load("1.0", None).problems[: options.limit]
    prompts = render_all(problems, find_style("humaneval", options.style))
    requests = [Request.draw(prompt, 0, 0) for prompt in prompts]
    sampling = SamplingParams(max_new_tokens=options.max_new_tokens)
    ids = [encode(load_tokenizer(checkpoint), prompt) for prompt in prompts]
    started = time.monotonic()
    with open_backend("vllm", checkpoint, BackendOptions(dtype=options.dtype)) as backend:
        report({"loaded_s": round(time.monotonic() - started, 1), "prompt_tokens": sum(map(len, ids))})
        ways = {
            "xftbench": lambda: ours(backend, requests, sampling),
            "by_hand": lambda: by_hand(backend, ids, prompts, sampling),
        }
        if options.warm_up:
            for way in ways.values():
                way()
        results: dict[str, list[Round]] = {name: [] for name in ways}
        for number in range(options.rounds):
            order = list(ways) if number % 2 == 0 else list(ways)[::-1]
            for name in order:
                results[name].append(measure(name, ways[name], backend))
    summarise(results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2", help="as in --models NAME=REF")
    parser.add_argument("--style", default="chat")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--limit", type=int, default=164, help="problems")
    parser.add_argument("--max-new-tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=2, help="of each way")
    parser.add_argument("--warm-up", action="store_true", help="make one round of each first, uncounted")
    parser.add_argument("--cache-dir", type=Path, default=Path("~/.cache/xftbench").expanduser())
    return parser.parse_args()


def ours(backend: Any, requests: Sequence[Request], sampling: SamplingParams) -> int:
    return sum(sample.n_tokens or 0 for sample in backend.generate(requests, sampling))


def by_hand(backend: Any, ids: Sequence[list[int]], prompts: Sequence[Any], sampling: SamplingParams) -> int:
    from vllm import SamplingParams as VllmSamplingParams

    parameters = [
        VllmSamplingParams(temperature=0, max_tokens=sampling.max_new_tokens, stop=list(prompt.stop))
        for prompt in prompts
    ]
    outputs = backend.llm.generate([{"prompt_token_ids": row} for row in ids], parameters, use_tqdm=False)
    return sum(len(output.outputs[0].token_ids) for output in outputs)


def measure(name: str, way: Any, backend: Any) -> Round:
    backend.llm.reset_prefix_cache()
    started, cpu_started = time.monotonic(), time.process_time()
    n_tokens = way()
    result = Round(n_tokens, time.monotonic() - started, time.process_time() - cpu_started)
    report({
        "way": name, "tokens": n_tokens, "seconds": round(result.seconds, 1),
        "cpu_seconds": round(result.cpu_seconds, 1), "tokens_per_s": round(result.tokens_per_s, 1),
        "load": round(os.getloadavg()[0], 1),
    })  # fmt: skip
    return result


def summarise(results: dict[str, list[Round]]) -> None:
    speed = {name: statistics.median(r.tokens_per_s for r in rounds) for name, rounds in results.items()}
    totals = {name: sum(r.n_tokens for r in rounds) / sum(r.seconds for r in rounds)
              for name, rounds in results.items()}  # fmt: skip
    report({
        "median_tokens_per_s": {name: round(value, 1) for name, value in speed.items()},
        "ratio_of_medians": round(speed["xftbench"] / speed["by_hand"], 3),
        "ratio_of_totals": round(totals["xftbench"] / totals["by_hand"], 3),
    })  # fmt: skip


def report(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
