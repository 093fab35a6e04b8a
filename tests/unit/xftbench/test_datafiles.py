"""A data file is found in every documented layout, and refused if its content is another."""

import gzip
import hashlib
from pathlib import Path

import msgspec
import pytest

from xftbench.benchmarks.datafiles import Content, DataFile, find, read
from xftbench.errors import DataFileError

DATA = b'{"task_id": 1}\n'
FILE = DataFile(
    benchmark="toy",
    version="2.0",
    file_name="Toy-v2.0.jsonl",
    sha256=hashlib.sha256(DATA).hexdigest(),
    licence="MIT",
    source="example.org/toy",
    folder="toys",
    aliases=("Toy.jsonl",),
    distribution="toy-loader",
)


@pytest.mark.parametrize(
    "where",
    [
        "Toy-v2.0.jsonl", "Toy-v2.0.jsonl.gz", "Toy.jsonl", "Toy.jsonl.gz", "toys/Toy-v2.0.jsonl",
        "toys/Toy.jsonl.gz",
    ],
)  # fmt: skip
def test_plain_and_packed_files_of_any_layout_are_the_same(where: str, tmp_path: Path) -> None:
    (tmp_path / "toys").mkdir()
    path = tmp_path / where
    path.write_bytes(gzip.compress(DATA) if where.endswith(".gz") else DATA)
    assert read(FILE, tmp_path) == Content(str(path), DATA)
    assert find(FILE, tmp_path) == path


def test_another_content_is_refused_with_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "Toy-v2.0.jsonl").write_bytes(b"else")
    found = hashlib.sha256(b"else").hexdigest()[:12]
    with pytest.raises(DataFileError, match=rf"sha256 {found}…, expected {FILE.sha256[:12]}…"):
        read(FILE, tmp_path)


def test_a_cut_off_gzip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Toy-v2.0.jsonl.gz").write_bytes(gzip.compress(DATA)[:-4])
    with pytest.raises(DataFileError, match="can't read"):
        read(FILE, tmp_path)


def test_a_missing_file_is_named_with_its_place_and_source(tmp_path: Path) -> None:
    with pytest.raises(DataFileError) as raised:
        read(FILE, tmp_path)
    for part in ("Toy-v2.0.jsonl", str(tmp_path), "example.org/toy", "--data-dir", "XFTBENCH_DATA_DIR",
                 "pip install toy-loader", FILE.sha256[:12]):  # fmt: skip
        assert part in str(raised.value)


def test_what_is_installed_is_not_to_be_installed(tmp_path: Path) -> None:
    with pytest.raises(DataFileError) as raised:
        read(msgspec.structs.replace(FILE, distribution="pytest"), tmp_path)
    assert "pip install" not in str(raised.value)


def test_the_door_is_tried_last_and_checked_too(tmp_path: Path) -> None:
    assert read(FILE, tmp_path, lambda: Content("the hub", DATA)) == Content("the hub", DATA)
    with pytest.raises(DataFileError, match="the hub has sha256"):
        read(FILE, tmp_path, lambda: Content("the hub", b"else"))


def test_a_door_that_fails_says_why_and_what_else_there_is(tmp_path: Path) -> None:
    def closed() -> Content:
        raise DataFileError("no network")

    with pytest.raises(DataFileError, match=r"(?s)not found.*no network.*example\.org/toy"):
        read(FILE, tmp_path, closed)


def test_a_file_in_another_tools_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "toy.jsonl").write_bytes(DATA)
    data_file = msgspec.structs.replace(FILE, cache_path="tool/toy.jsonl")
    assert find(data_file, None) == tmp_path / "tool" / "toy.jsonl"
