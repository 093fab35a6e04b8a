"""What must hold of a checkpoint and of the line it comes from, checked before anybody spends GPU time on it.

Everything is read from disk, block by block; torch is needed only to run the routers. Source of the list:
facts that hold by construction of each stage (see `xft.upcycle`, `xft.merge`, `xft.router`).
"""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from xft.architecture import MlpLayout
from xft.checkpoint import Checkpoint, open_checkpoint
from xft.coefficients import Mixing
from xft.config import MoeConfig
from xft.errors import XftError
from xft.lineage import Lineage, content_hash, read_lineage
from xft.merge import merged_config, planned_tensors
from xft.numeric import FLOAT_DTYPES, read_values, widen
from xft.tensorfile import FileReader, PlannedTensor, TensorEntry
from xft.upcycle import planned_tensors as upcycled_tensors
from xft.upcycle import released_rope

Status = Literal["ok", "failed", "not checked"]
SUM_TOLERANCE = 1e-6
NORM_RATIO = 5.0
"""A tensor's root mean square may change by this factor in one stage."""
LARGEST_RMS = 1e3
_SAME_CONFIG = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "max_position_embeddings", "tie_word_embeddings", "sliding_window",
    "hidden_act", "rms_norm_eps", "bos_token_id", "eos_token_id",
)  # fmt: skip
_TOKENIZER_PARTS = ("model", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder")
_TOKENIZER_FILES = ("vocab.json", "merges.txt", "tokenizer.model", "vocab.txt")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One invariant of one checkpoint."""

    name: str
    checkpoint: str
    status: Status
    detail: str
    """What was found; for a failure, what was expected as well."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Subject:
    """A checkpoint, and the parents that are still there."""

    checkpoint: Checkpoint
    lineage: Lineage | None
    parents: Sequence[Checkpoint]


def check_line(directory: Path, parents: Path | None = None) -> Iterator[Check]:
    """Check a checkpoint, then what it was made from, back to the base.

    Args:
        directory: The checkpoint.
        parents: Folder in which a parent lies under its own name, if it is no longer where it was.

    Raises:
        CheckpointError: If the checkpoint itself can't be read.
    """
    waiting, seen = [open_checkpoint(directory)], set()
    while waiting:
        checkpoint = waiting.pop(0)
        if checkpoint.directory.resolve() in seen:
            continue
        seen.add(checkpoint.directory.resolve())
        lineage = read_lineage(checkpoint.directory)
        found: list[Checkpoint] = []
        for parent in lineage.parents if lineage else []:
            yield from _find_parent(checkpoint, parent.path, parents, found)
        subject = _Subject(checkpoint, lineage, found)
        for check in _CHECKS:
            yield from _guarded(check, subject)
        waiting += found


def _find_parent(
    checkpoint: Checkpoint, path: str, parents: Path | None, found: list[Checkpoint]
) -> Iterator[Check]:
    places = [Path(path), *([parents / Path(path).name] if parents else [])]
    place = next((place for place in places if place.is_dir()), None)
    if place is None:
        yield _check(
            "parent", checkpoint, "not checked",
            f"{path} is not there, so nothing could be compared with it (--parents names a folder)",
        )  # fmt: skip
        return
    try:
        found.append(open_checkpoint(place))
    except XftError as error:
        yield _check("parent", checkpoint, "failed", error.message)


def _guarded(check: Callable[[_Subject], Iterator[Check]], subject: _Subject) -> Iterator[Check]:
    """Run a check; what it can't read is its failure, not the end of the others."""
    try:
        yield from check(subject)
    except (XftError, KeyError, msgspec.ValidationError) as error:
        name = check.__name__.strip("_").replace("_", " ")
        yield _check(name, subject.checkpoint, "failed", getattr(error, "message", None) or repr(error))


def _check(name: str, checkpoint: Checkpoint, status: Status, detail: str) -> Check:
    return Check(name=name, checkpoint=str(checkpoint.directory), status=status, detail=detail)


def _verdict(name: str, checkpoint: Checkpoint, problems: Sequence[str], good: str) -> Check:
    if not problems:
        return _check(name, checkpoint, "ok", good)
    more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
    return _check(name, checkpoint, "failed", "; ".join(problems[:3]) + more)


def _parents_unchanged(subject: _Subject) -> Iterator[Check]:
    if subject.lineage is None:
        return
    known = {
        (parent.content_hash, parent.hash_kind): Path(parent.path).name for parent in subject.lineage.parents
    }
    for parent in subject.parents:
        matches = any(content_hash(parent, kind == "bytes") == expected for expected, kind in known)
        wrong = [] if matches else [f"{parent.directory} is not what it was when this was made from it"]
        yield _verdict("parent unchanged", subject.checkpoint, wrong, f"{parent.directory.name} is the same")


def _numbers(subject: _Subject) -> Iterator[Check]:
    """No NaN, and no tensor that exploded or vanished."""
    checkpoint = subject.checkpoint
    broken, odd, count = [], [], 0
    with FileReader() as reader:
        for entry in checkpoint.tensors.values():
            if entry.dtype not in FLOAT_DTYPES:
                continue
            count += 1
            rms = _rms(entry, reader)
            if not math.isfinite(rms):
                broken.append(f"{entry.name} has a NaN or an infinity")
                continue
            if rms > LARGEST_RMS:
                odd.append(f"{entry.name} has the size {rms:.3g}, expected at most {LARGEST_RMS:g}")
            for parent in subject.parents:
                before = parent.tensors.get(entry.name)
                if before is None or before.shape != entry.shape or before.dtype not in FLOAT_DTYPES:
                    continue
                old = _rms(before, reader)
                # Small ones (a router's noise, a bias) start at zero and may grow.
                if max(old, rms) > 1e-3 and not 1 / NORM_RATIO <= rms / max(old, 1e-12) <= NORM_RATIO:
                    odd.append(f"{entry.name} went from the size {old:.3g} to {rms:.3g}")
    yield _verdict("no NaN", checkpoint, broken, f"{count} tensors are finite")
    yield _verdict("norms", checkpoint, odd, "every tensor's size is in range")


def _rms(entry: TensorEntry, reader: FileReader) -> float:
    total, size = 0.0, 0
    for block in reader.blocks(entry.data):
        values = widen(block, entry.dtype).astype(np.float64, copy=False)
        with np.errstate(invalid="ignore", over="ignore"):
            total += float(np.dot(values, values))
        size += values.size
    return math.sqrt(total / size) if size and total >= 0 else total


def _same_tokenizer(subject: _Subject) -> Iterator[Check]:
    ours = _tokenizer(subject.checkpoint.directory)
    for parent in subject.parents:
        theirs = _tokenizer(parent.directory)
        wrong = [
            f"{part} is not that of {parent.directory.name}"
            for part in {**theirs, **ours}
            if ours.get(part) != theirs.get(part)
        ]
        yield _verdict("tokenizer and template", subject.checkpoint, wrong, f"as in {parent.directory.name}")


def _tokenizer(directory: Path) -> dict[str, Any]:
    """Return what decides which tokens a text becomes; a re-saved file is spelt otherwise."""
    found: dict[str, Any] = {}
    whole = _json(directory / "tokenizer.json")
    found |= {f"tokenizer.json: {part}": whole.get(part) for part in _TOKENIZER_PARTS if whole}
    if not whole:
        found |= {
            name: (directory / name).read_bytes() for name in _TOKENIZER_FILES if (directory / name).is_file()
        }
    config = _json(directory / "tokenizer_config.json")
    template = directory / "chat_template.jinja"
    found["chat template"] = (
        template.read_text(encoding="utf-8") if template.is_file() else config.get("chat_template")
    )
    return found | {name: _content(config.get(name)) for name in ("bos_token", "eos_token", "unk_token")}


def _content(token: object) -> object:
    return token.get("content") if isinstance(token, dict) else token


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    value = json.loads(path.read_text(encoding="utf-8"))
    return value if isinstance(value, dict) else {}


def _same_shape_of_model(subject: _Subject) -> Iterator[Check]:
    """RoPE, vocabulary and all other sizes are those of the parent."""
    ours = subject.checkpoint.config
    for parent in subject.parents:
        theirs = parent.config
        if ours.get("xft_reference") and not parent.is_moe:
            theirs = released_rope(theirs)
        wrong = [
            f"{name} is {ours[name]!r}, in {parent.directory.name} it is {theirs[name]!r}"
            for name in _SAME_CONFIG
            if name in ours and name in theirs and ours[name] != theirs[name]
        ]
        if (rope := _rope(ours)) != (expected := _rope(theirs)):
            wrong.append(f"RoPE is {rope}, in {parent.directory.name} it is {expected}")
        yield _verdict("RoPE, vocabulary, sizes", subject.checkpoint, wrong, f"as in {parent.directory.name}")


def _rope(config: dict[str, Any]) -> dict[str, Any]:
    """Return the rotary settings in one spelling; transformers 5 rewrites those of older files."""
    rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if "type" in rope:
        rope["rope_type"] = rope.pop("type")
    rope.setdefault("rope_type", "default")
    rope["rope_theta"] = float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0)
    return rope


def _routing(subject: _Subject) -> Iterator[Check]:
    """Run every router on made-up tokens: weights sum to 1, experts are distinct, the shared one is there."""
    checkpoint = subject.checkpoint
    if not checkpoint.is_moe:
        return
    moe, layout = MoeConfig.from_json(checkpoint.config), MlpLayout.from_json(checkpoint.config)
    if moe.routing == "xft_unnormalized":
        yield _check("routing", checkpoint, "ok", "unnormalised by choice: weights need not sum to 1")
        return
    import torch

    from xft.router import XftRouter

    wrong = []
    tokens = torch.randn(256, layout.width, generator=torch.Generator().manual_seed(0)) * 3
    with FileReader() as reader, torch.no_grad():
        for layer in range(layout.n_layers):
            router = XftRouter(moe, layout.width).eval()
            for part, shape in moe.router_shapes(layout.width).items():
                entry = checkpoint.tensors[layout.router_name(layer, part)]
                values = torch.from_numpy(read_values(entry.data, entry.dtype, reader).copy())
                router.get_parameter(part).copy_(values.reshape(shape))
            _, weights, ids = router(tokens)
            wrong += [f"layer {layer}: {text}" for text in _routing_faults(weights, ids, moe)]
    yield _verdict("routing", checkpoint, wrong, f"{layout.n_layers} routers: weights sum to 1")


def _routing_faults(weights: Any, ids: Any, moe: MoeConfig) -> Iterator[str]:
    off = float((weights.sum(-1) - 1).abs().max())
    if not off <= SUM_TOLERANCE:
        yield f"weights sum to 1 only within {off:.2g}"
    if float(weights.min()) < 0:
        yield "a weight is negative"
    if any(len(set(row)) < len(row) for row in ids.tolist()):
        yield "a token has an expert twice"
    if moe.has_shared_expert and not bool((ids == 0).any(-1).all()):
        yield "a token is without the shared expert"


def _upcycled_equals_dense(subject: _Subject) -> Iterator[Check]:
    """At step 0 every expert is the dense MLP, byte for byte, and everything else a copy.

    With routing weights that sum to 1 that makes the mixture the dense model.
    """
    if subject.lineage is None or subject.lineage.stage != "upcycle" or not subject.parents:
        return
    moe, layout = (
        MoeConfig.from_json(subject.checkpoint.config),
        MlpLayout.from_json(subject.checkpoint.config),
    )
    dense = subject.parents[0]
    planned = upcycled_tensors(dense, layout, moe, 1.0, 0)
    routers = tuple(layout.router_name(layer, "") for layer in range(layout.n_layers))
    wrong = _unlike(subject.checkpoint, [t for t in planned if not t.name.startswith(routers)])
    yield _verdict("upcycled equals dense", subject.checkpoint, wrong, "experts are copies, byte for byte")


def _coefficients(subject: _Subject) -> Iterator[Check]:
    """λ and the shares of the experts are in range and sum to 1."""
    if (mixing := _mixing_of(subject)) is None:
        return
    wrong = [
        f"layer {layer}: λ is {weight}"
        for layer, weight in enumerate(mixing.shared_weights or [])
        if not 0 <= weight <= 1
    ]
    for layer, by_part in enumerate(mixing.logits):
        for part in by_part:
            shares = mixing.of(layer, part)
            if not all(share >= 0 for share in shares) or not abs(math.fsum(shares) - 1) <= SUM_TOLERANCE:
                wrong.append(f"layer {layer}: the shares of {part} are {shares}, which is no mixture")
    yield _verdict(
        "mixing in range", subject.checkpoint, wrong, f"{len(mixing.logits)} layers in range, sum 1"
    )


def _mixing_of(subject: _Subject) -> Mixing | None:
    if subject.lineage is None or subject.lineage.stage != "merge":
        return None
    recipe = subject.lineage.recipe
    return msgspec.convert(
        {"shared_weights": recipe["shared_weights"], "logits": recipe["logits"]}, type=Mixing
    )


def _merge_is_reproducible(subject: _Subject) -> Iterator[Check]:
    """Every merged tensor is what the MoE and the coefficients give, byte for byte; so is the config."""
    mixing = _mixing_of(subject)
    if mixing is None or subject.lineage is None or not subject.parents:
        return
    moe = subject.parents[0]
    moe.require_moe("reproducing a merge")
    out_dtype = subject.lineage.recipe.get("out_dtype")
    layout = MlpLayout.from_json(moe.config)
    wrong = _unlike(subject.checkpoint, list(planned_tensors(moe, layout, mixing, out_dtype)))
    expected = merged_config(moe, out_dtype)
    wrong += [
        f"config.json: {name} is {subject.checkpoint.config.get(name)!r}, expected {value!r}"
        for name, value in expected.items()
        if subject.checkpoint.config.get(name) != value
    ]
    yield _verdict(
        "merge is reproducible", subject.checkpoint, wrong, f"{len(subject.checkpoint.tensors)} tensors"
    )


def _unlike(checkpoint: Checkpoint, planned: Sequence[PlannedTensor]) -> list[str]:
    """Return which planned tensors a checkpoint has otherwise, lacks, or has besides."""
    wrong = []
    with FileReader() as reader:
        for tensor in planned:
            entry = checkpoint.tensors.get(tensor.name)
            if entry is None:
                wrong.append(f"{tensor.name} is missing")
            elif (entry.dtype, entry.shape) != (tensor.dtype, tuple(tensor.shape)):
                wrong.append(f"{tensor.name} is {entry.dtype} {list(entry.shape)}")
            elif not _is_equal(entry, tensor, reader):
                wrong.append(f"{tensor.name} has other values")
    return wrong


def _is_equal(entry: TensorEntry, planned: PlannedTensor, reader: FileReader) -> bool:
    offset = 0
    for piece in planned.pieces:
        blocks = [piece] if isinstance(piece, bytes | memoryview) else reader.blocks(piece)
        for block in blocks:
            stored = bytearray(len(block))
            reader.read_into(entry.data.part(offset, len(block)), memoryview(stored))
            if bytes(stored) != bytes(block):
                return False
            offset += len(block)
    return offset == entry.data.n_bytes


_CHECKS = (
    _parents_unchanged, _numbers, _same_tokenizer, _same_shape_of_model, _routing, _upcycled_equals_dense,
    _coefficients, _merge_is_reproducible,
)  # fmt: skip


def check_step_0(directory: Path, parents: Path | None = None) -> Iterator[Check]:
    """Load every upcycled mixture of a line and its dense parent in fp32, and compare their logits."""
    checkpoint, lineage = open_checkpoint(directory), read_lineage(directory)
    found: list[Checkpoint] = []
    for parent in lineage.parents if lineage else []:
        list(_find_parent(checkpoint, parent.path, parents, found))
    for dense in found:
        if lineage is not None and lineage.stage == "upcycle":
            from xft.verify import verify_upcycled

            difference = verify_upcycled(dense.directory, directory)
            wrong = [] if difference.is_within else [f"logits differ by {difference}"]
            yield _verdict("logits at step 0", checkpoint, wrong, f"logits differ by {difference}")
        yield from check_step_0(dense.directory, parents)
