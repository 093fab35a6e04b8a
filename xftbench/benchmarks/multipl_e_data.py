"""MultiPL-E's problem files: from a folder or the hub, and always the pinned ones.

A file is known by its content, not its bytes: the same problems are published as JSON Lines, as Parquet, and
with fields added by others.
"""

import logging
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from xftbench import jsonl
from xftbench.benchmarks.datafiles import MissingDataFileError, as_data_error, hub_rows, unpacked
from xftbench.benchmarks.multipl_e_parts import Part
from xftbench.errors import DataFileError
from xftbench.hashing import sha256_record
from xftbench.records import Record

_logger = logging.getLogger(__name__)

REPOSITORY = "nuprl/MultiPL-E"
REVISION = "28441b6024e71d4a1c1c0f6bf171c935cd5a43f2"
"""The hub's commit that bigcode's harness pins, too."""
LICENCE = "BSD-3-Clause with a restriction: not to be used as training data"


class Row(msgspec.Struct, frozen=True):
    """A problem as it is published; further fields are ignored."""

    name: str
    prompt: str
    tests: str
    stop_tokens: tuple[str, ...]


class Pin(Record):
    """What a file must hold."""

    problems: int
    sha256: str
    """Of the content; see `content_sha256`."""


class Loaded(Record):
    """A file that holds what it must."""

    part: str
    path: str
    sha256: str
    rows: tuple[Row, ...]


def pins() -> dict[str, dict[str, Pin]]:
    """Return the pinned content: version -> part -> pin; the newest version last."""
    text = files("xftbench.benchmarks").joinpath("multipl_e.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[str, dict[str, Pin]])


def content_sha256(rows: Sequence[Row]) -> str:
    """Return the identity of a file's problems: of names, prompts, tests and stop tokens, in their order."""
    return sha256_record([[row.name, row.prompt, row.tests, row.stop_tokens] for row in rows])


def load(part: Part, version: str, data_dir: Path | None) -> Loaded:
    """Return a part's problems: from a file in a folder of the user's, else from the hub or its cache.

    Raises:
        DataFileError: If they are in neither place, or are not the pinned ones.
    """
    pin = pins()[version].get(part.config)
    path = locate(part, data_dir)
    if path is not None:
        return _verified(str(path), _read(path), part, version, pin)
    try:
        fetched = hub_rows(REPOSITORY, part.config, ["test"], revision=REVISION)
    except DataFileError as error:
        raise _missing(part, version, pin, data_dir, error.message) from error
    source = f"huggingface.co/datasets/{REPOSITORY}@{REVISION[:8]} {part.config}"
    return _verified(source, _rows(fetched, source), part, version, pin)


def load_all(parts: Sequence[Part], version: str, data_dir: Path | None) -> list[Loaded]:
    """Return the problems of several parts.

    Raises:
        DataFileError: As `load`; of files that can't be had, it names all.
    """
    loaded = []
    for part in parts:
        try:
            loaded.append(load(part, version, data_dir))
        except MissingDataFileError as error:
            others = [other.config for other in parts[len(loaded) + 1 :] if locate(other, data_dir) is None]
            if others:
                error.hint = f"{error.hint}; no file is here of these either: {', '.join(others)}"
            raise
    return loaded


def found(part: Part, version: str, data_dir: Path | None) -> str | None:
    """Return where a part's file stands in a folder, once its content is verified; None if it does not.

    Raises:
        DataFileError: If it is not the pinned one.
    """
    path = locate(part, data_dir)
    if path is None:
        return None
    return _verified(str(path), _read(path), part, version, pins()[version].get(part.config)).path


def locate(part: Part, data_dir: Path | None) -> Path | None:
    """Return the file of a part in a folder, in any of the layouts in which it is published."""
    return next((path for path in _candidates(part, data_dir) if path.is_file()), None)


def _candidates(part: Part, data_dir: Path | None) -> Iterator[Path]:
    if data_dir is None:
        return
    for folder in (data_dir, data_dir / "multipl-e", data_dir / "MultiPL-E", data_dir / "prompts"):
        yield from (folder / f"{part.config}.jsonl.gz", folder / f"{part.config}.jsonl")
        yield folder / f"{part.config}-reworded.jsonl"  # upstream's git repository
        yield folder / part.config / "test-00000-of-00001.parquet"  # the hub


def _read(path: Path) -> list[Row]:
    if path.suffix != ".parquet":
        return jsonl.decode(unpacked(path), Row, str(path))
    # Imported here: only this layout needs it.
    with as_data_error(str(path), "pyarrow"):
        from pyarrow import parquet

        rows = parquet.read_table(path, columns=list(Row.__struct_fields__)).to_pylist()
    return _rows(rows, str(path))


def _rows(objects: list[dict[str, Any]], source: str) -> list[Row]:
    try:
        return msgspec.convert(objects, list[Row])
    except msgspec.ValidationError as error:
        raise DataFileError(f"{source} does not hold problems of MultiPL-E: {error}") from error


def _verified(source: str, rows: list[Row], part: Part, version: str, pin: Pin | None) -> Loaded:
    found = content_sha256(rows)
    if pin is None:
        _logger.warning("%s: %d problems of %s, whose content is not pinned", source, len(rows), part.config)
    elif found != pin.sha256:
        raise DataFileError(
            f"{source} holds {len(rows)} problems with content sha256 {found[:12]}…, expected {pin.problems} "
            f"with {pin.sha256[:12]}… (multipl-e {version}, {part.config})",
            hint=f"it is cut off, edited or of another version: take {part.config} from "
            f"huggingface.co/datasets/{REPOSITORY}, revision {REVISION[:8]}",
        )
    return Loaded(part=part.config, path=source, sha256=found, rows=tuple(rows))


def _missing(
    part: Part, version: str, pin: Pin | None, data_dir: Path | None, reason: str
) -> MissingDataFileError:
    count = f" ({pin.problems} problems)" if pin else ""
    where = "and no data directory was given" if data_dir is None else f"and is not in {data_dir}"
    return MissingDataFileError(
        f"multipl-e {version}: {part.config} can't be had from the hub {where}: {reason}",
        hint=f"put {part.config}.jsonl.gz or {part.config}.jsonl{count}, or the hub's "
        f"{part.config}/test-00000-of-00001.parquet, in a folder and pass --data-dir or set "
        f"XFTBENCH_DATA_DIR; published at huggingface.co/datasets/{REPOSITORY}, revision {REVISION[:8]}",
    )
