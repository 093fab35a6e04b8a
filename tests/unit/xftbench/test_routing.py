"""Routing that is read off stored replies is that of the generation itself, and adds up."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pico import TEMPLATE, save_model, save_tokenizer  # noqa: E402

from xft.config import MoeConfig  # noqa: E402
from xft.upcycle import upcycle  # noqa: E402
from xftbench.errors import BackendError  # noqa: E402
from xftbench.generation.checkpoints import Checkpoint, resolve  # noqa: E402
from xftbench.generation.hf import HfBackend  # noqa: E402
from xftbench.generation.options import BackendOptions  # noqa: E402
from xftbench.generation.routing import Reply, watch  # noqa: E402
from xftbench.generation.tokens import encode, load_tokenizer  # noqa: E402
from xftbench.records import Prompt, Sample, SampleRouting  # noqa: E402
from xftbench.report.routing import summarize  # noqa: E402

E, K = 4, 3
PROMPT = Prompt(task_id="T/0", text="def add(a, b):\n", is_chat=False, stop=())
OPTIONS = BackendOptions(dtype="float32")


@pytest.fixture(scope="module")
def moe(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    root = tmp_path_factory.mktemp("routing")
    save_model(root / "dense", save_tokenizer(root / "dense", TEMPLATE))
    upcycle(root / "dense", root / "moe", MoeConfig(num_experts=E, top_k=K, init_std=0.5), seed=1)
    return resolve("moe", str(root / "moe"), cache_dir=root)


def reply(completion: str, index: int = 0) -> Reply:
    return Reply(PROMPT, Sample(task_id="T/0", sample_index=index, completion=completion))


def routed_while_generating(checkpoint: Checkpoint, completion: str) -> tuple[np.ndarray, np.ndarray]:
    """Feed the reply token by token with a cache, as an engine does; return (load, weight) per layer."""
    backend = HfBackend(checkpoint, OPTIONS)
    tokenizer = load_tokenizer(checkpoint)
    after = tokenizer(completion, add_special_tokens=False).input_ids
    routers = [module for module in backend.model.modules() if type(module).__name__ == "XftRouter"]
    load, weight = np.zeros((len(routers), E)), np.zeros((len(routers), E))
    last: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for layer, router in enumerate(routers):
        router.register_forward_hook(
            lambda _m, _i, out, layer=layer: last.__setitem__(layer, (out[1][-1], out[2][-1]))
        )
    past, ids = None, encode(tokenizer, PROMPT)
    for token in after:
        with torch.inference_mode():
            past = backend.model(torch.tensor([ids]), past_key_values=past, use_cache=True).past_key_values
        for layer, (weights, chosen) in last.items():
            load[layer, chosen.numpy()] += 1
            weight[layer, chosen.numpy()] += weights.numpy()
        ids = [token]
    backend.close()
    return load, weight


def test_a_pass_over_the_reply_routes_as_the_generation_did(moe: Checkpoint) -> None:
    completion = "    return a + b\nclass Stack:\n"
    (found,) = watch(moe, OPTIONS, [reply(completion)])
    load, weight = routed_while_generating(moe, completion)
    np.testing.assert_array_equal(np.array(found.load), load)
    np.testing.assert_allclose(np.array(found.weight), weight, atol=2e-3)


def test_what_is_counted_adds_up(moe: Checkpoint) -> None:
    for found in watch(moe, OPTIONS, [reply("    return a\n"), reply("x = 1", 1)]):
        load, weight, pairs = np.array(found.load), np.array(found.weight), np.array(found.pairs)
        assert (load[:, 0] == found.n_tokens).all(), "the shared expert sees every token"
        assert (load[:, 1:].sum(axis=1) == found.n_tokens * (K - 1)).all()
        np.testing.assert_allclose(weight.sum(axis=1), found.n_tokens, rtol=1e-3)
        assert (pairs.sum(axis=1) == found.n_tokens).all(), "two routed experts a token make one pair"
        assert all(0 <= value <= found.n_tokens for value in found.entropy)


def test_an_empty_reply_has_no_routing(moe: Checkpoint) -> None:
    assert list(watch(moe, OPTIONS, [reply("")])) == []


def test_a_dense_checkpoint_is_refused(moe: Checkpoint, tmp_path: Path) -> None:
    save_model(tmp_path / "dense", save_tokenizer(tmp_path / "dense", None))
    dense = resolve("dense", str(tmp_path / "dense"), cache_dir=tmp_path)
    with pytest.raises(BackendError, match="no XftRouter"):
        list(watch(dense, OPTIONS, [reply("x")]))


def record(load: list[int], n_tokens: int, pairs: list[int]) -> SampleRouting:
    return SampleRouting(
        task_id="T/0", sample_index=0, n_tokens=n_tokens, has_shared=True, load=[load],
        weight=[[value / 2 for value in load]], entropy=[n_tokens / 4], pairs=[pairs],
    )  # fmt: skip


def test_a_long_reply_counts_more_than_a_short_one_and_unused_experts_are_dead() -> None:
    found = summarize([record([10, 10, 10, 0], 10, [10, 0, 0]), record([30, 30, 0, 30], 30, [0, 30, 0])])
    assert found is not None
    np.testing.assert_allclose(found.load, [[1.0, 1.0, 0.25, 0.75]])
    np.testing.assert_allclose(found.routed, [[1.5, 0.375, 1.125]])
    assert found.entropy == pytest.approx([0.25])
    np.testing.assert_allclose(found.together[0], [[1.0, 0.25, 0.75], [0.25, 0.25, 0.0], [0.75, 0.0, 0.75]])
    assert found.dead == []
    only_short = summarize([record([10, 10, 10, 0], 10, [10, 0, 0])])
    assert only_short is not None
    assert only_short.dead == [(0, 3)]
    assert summarize([]) is None
