"""From what a user types after ``--models NAME=`` to a checkpoint on this machine and its content hash.

Nothing is loaded here, so nothing heavy is imported.
"""

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from xftbench.errors import BackendError, DataFileError, UsageProblem
from xftbench.generation import smollm2
from xftbench.generation.fingerprint import fingerprint
from xftbench.generation.hub import download
from xftbench.generation.weights import find_weights
from xftbench.hashing import sha256_file, sha256_record
from xftbench.records import Record

BUILTIN = {"smollm2": smollm2.prepare}
"""Models that need no path: name -> function from the cache directory to a checkpoint directory."""

SAMPLES_SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")

_HUB_ID = re.compile(r"(?P<repo>[\w-][\w.-]*/[\w.-]+)(@(?P<revision>[\w./-]+))?")

_EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")

_WHAT_A_REF_MAY_BE = (
    "a model is a checkpoint directory, a hub id (org/name or org/name@revision), a samples file (.jsonl, "
    f".json, plain or .gz) or one of: {', '.join(BUILTIN)}"
)


class Checkpoint(Record):
    """A model to evaluate, or the samples that it made elsewhere."""

    name: str
    """What the user calls it."""
    ref: str
    """What the user typed; for a hub id with the commit that it stood for."""
    path: str
    """Directory of the weights, or the samples file."""
    sha256: str
    """Hash of the content: of all that decides its output, or of the samples."""
    kind: Literal["dense", "moe", "samples"]
    has_chat_template: bool
    model_type: str
    """Architecture, in the checkpoint's own word; empty for samples."""


def resolve(name: str, ref: str, *, cache_dir: Path) -> Checkpoint:
    """Find the checkpoint that a REF stands for; download or convert it if need be.

    Raises:
        UsageProblem: If the REF is none of the things that it may be.
        BackendError: If it is, but the checkpoint is incomplete or can't be fetched.
        DataFileError: If a samples file is missing.
    """
    if ref in BUILTIN:
        return _checkpoint(name, ref, BUILTIN[ref](cache_dir), cache_dir)
    path = Path(ref).expanduser()
    if path.is_dir():
        return _checkpoint(name, ref, path, cache_dir)
    if is_samples(ref):
        return resolve_samples(name, path)
    if path.exists():
        raise UsageProblem(f"{ref} is a file, but neither a checkpoint nor samples", hint=_WHAT_A_REF_MAY_BE)
    hub_id = _HUB_ID.fullmatch(ref)
    if hub_id is None or Path(ref.split("/")[0]).is_dir() or ref.startswith("."):
        raise UsageProblem(f"unknown model {ref!r}{_suggestion(ref)}", hint=_WHAT_A_REF_MAY_BE)
    directory, commit = download(hub_id["repo"], hub_id["revision"])
    return _checkpoint(name, f"{hub_id['repo']}@{commit}", directory, cache_dir)


def is_samples(ref: str) -> bool:
    """Return whether a REF stands for a file of samples; it may not be there."""
    return ref not in BUILTIN and ref.endswith(SAMPLES_SUFFIXES) and not Path(ref).expanduser().is_dir()


def resolve_samples(name: str, path: Path) -> Checkpoint:
    """Return a samples file in the place of the model that made it.

    Raises:
        DataFileError: If there is no such file.
    """
    if not path.exists():
        near = difflib.get_close_matches(path.name, _names_in(path.parent), n=3)
        hint = f"did you mean {', '.join(str(path.parent / match) for match in near)}?" if near else None
        raise DataFileError(f"no samples file {path}", hint=hint)
    try:
        sha256 = _sha256_tree(path) if path.is_dir() else sha256_file(path)
    except OSError as error:
        raise DataFileError(f"can't read {path}: {error}") from error
    return Checkpoint(
        name=name, ref=str(path), path=str(path), sha256=sha256, kind="samples",
        has_chat_template=False, model_type="",
    )  # fmt: skip


def _sha256_tree(directory: Path) -> str:
    """Return the hash of a directory's files: their names and content."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return sha256_record([(str(path.relative_to(directory)), sha256_file(path)) for path in files])


def is_from_hub(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint was downloaded by its name rather than found in a directory."""
    return (
        checkpoint.ref not in BUILTIN
        and _HUB_ID.fullmatch(checkpoint.ref) is not None
        and ("@" in checkpoint.ref and not Path(checkpoint.ref).exists())
    )


def read_config(directory: Path) -> dict[str, Any]:
    """Return a checkpoint's ``config.json``.

    Raises:
        BackendError: If it is missing, cut off or not a JSON object.
    """
    path = directory / "config.json"
    if not path.is_file():
        names = _names_in(directory)
        found = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
        raise BackendError(
            f"{directory} is not a checkpoint: it has no config.json (it holds {found})",
            hint=_nested_hint(directory),
        )
    config = _read_json(path)
    if not isinstance(config, dict):
        raise BackendError(f"{path} holds a {type(config).__name__}, not a JSON object")
    return config


def _checkpoint(name: str, ref: str, directory: Path, cache_dir: Path) -> Checkpoint:
    config = read_config(directory)
    weights = find_weights(directory)
    return Checkpoint(
        name=name,
        ref=ref,
        path=str(directory.absolute()),
        sha256=fingerprint(directory, weights, cache_dir),
        kind="moe" if any(_expert_count(config, key) > 1 for key in _EXPERT_COUNTS) else "dense",
        has_chat_template=_has_chat_template(directory),
        model_type=str(config.get("model_type", "")),
    )


def _expert_count(config: dict[str, Any], key: str) -> int:
    count = config.get(key)
    return count if isinstance(count, int) else 0


def _has_chat_template(directory: Path) -> bool:
    if any((directory / file).is_file() for file in ("chat_template.jinja", "chat_template.json")):
        return True
    path = directory / "tokenizer_config.json"
    config = _read_json(path) if path.is_file() else {}
    return isinstance(config, dict) and bool(config.get("chat_template"))


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise BackendError(f"can't read {path}: {error}") from error
    except ValueError as error:  # JSONDecodeError, and UnicodeDecodeError for binary junk
        raise BackendError(
            f"{path} is not JSON: {error}", hint="the file is cut off or damaged; copy the checkpoint again"
        ) from error


def _nested_hint(directory: Path) -> str | None:
    nested = sorted(path.parent for path in directory.glob("*/config.json"))
    return f"did you mean {', '.join(map(str, nested[-3:]))}?" if nested else None


def _names_in(directory: Path) -> list[str]:
    try:
        return sorted(path.name for path in directory.iterdir())
    except OSError:
        return []


def _suggestion(ref: str) -> str:
    near = difflib.get_close_matches(ref.lower(), BUILTIN, n=3) + list(_paths_like(ref))
    return f"; did you mean {', '.join(near)}?" if near else ""


def _paths_like(ref: str) -> Iterable[str]:
    """Yield what exists beside the first part of a path that doesn't: ``rusn/sft`` -> ``runs/sft``."""
    path = Path(ref).expanduser()
    missing = next(part for part in [*reversed(path.parents), path] if not part.exists())
    rest = path.relative_to(missing)
    for match in difflib.get_close_matches(missing.name, _names_in(missing.parent), n=3):
        candidate = missing.parent / match / rest
        yield str(candidate if candidate.exists() else missing.parent / match)
