import gzip
import os
import subprocess
from pathlib import Path

import pytest

from xftbench import jsonl
from xftbench.errors import DataFileError
from xftbench.records import Sample

SAMPLE = Sample(task_id="T/0", sample_index=0, completion="caf\u00e9 \u2028 \x00 end")


def test_written_records_are_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    jsonl.write(path, [SAMPLE, SAMPLE])
    assert jsonl.read(path, Sample) == [SAMPLE, SAMPLE]
    assert [p.name for p in tmp_path.iterdir()] == ["samples.jsonl"], "no temporary file stays"


def test_what_killed_processes_left_goes_and_what_others_write_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f".x.{ended.pid}.tmp", f".x.{os.getppid()}.tmp", f".y.{ended.pid}.tmp"):
        (tmp_path / name).write_text("half")
    jsonl.write_atomically(tmp_path / "x", b"whole")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"x", f".x.{os.getppid()}.tmp", f".y.{ended.pid}.tmp"}


def test_a_lone_surrogate_does_not_stop_a_run(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    jsonl.write(path, [Sample(task_id="T/0", sample_index=0, completion="x = '\ud83d'")])
    assert jsonl.read(path, Sample)[0].completion == "x = '\\ud83d'"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"task_id": "T/0", "sample_index": 0, "completion": "x"', "truncated"),
        (b'{"task_id": "T/0", "sample_index": "0", "completion": "x"}', "int"),
        (b'{"task_id": "T/0", "sample_index": 0, "completion": "x", "colour": 1}', "colour"),
        (b"\x80\x81", "malformed"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: bytes, complaint: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_bytes(jsonl.encode_line(SAMPLE) + b"\n" + line)
    with pytest.raises(DataFileError, match=f"line 3.*{complaint}"):
        jsonl.read(path, Sample)


def test_a_cut_off_gzip_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl.gz"
    path.write_bytes(gzip.compress(jsonl.encode_line(SAMPLE) * 100)[:-20])
    with pytest.raises(DataFileError, match="can't read"):
        jsonl.read(path, Sample)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    jsonl.write(path, [SAMPLE])
    with pytest.raises(TypeError):
        jsonl.write(path, [object()])
    assert jsonl.read(path, Sample) == [SAMPLE]
