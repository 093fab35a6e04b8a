"""The run directory: resumed, refused, and never half-written."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from factories import a_sample, a_spec, a_verdict, an_environment, some_problems

from xftbench import jsonl
from xftbench.errors import StoreError
from xftbench.records import Sample
from xftbench.scoring.aggregate import aggregate
from xftbench.store.run_dir import RunDir, Timings, read_scores, read_spec, read_verdicts
from xftbench.store.spec import SCHEMA_VERSION

TIMINGS = Timings(n_tokens=6, generation_s=1.0, total_s=2.0)


def opened(path: Path, **changes: object) -> RunDir:
    return RunDir(path, a_spec(**changes), an_environment())


def test_what_was_added_is_there_after_reopening(tmp_path: Path) -> None:
    with opened(tmp_path / "run") as run:
        run.add_sample(a_sample())
        run.add_verdict(a_verdict())
    with opened(tmp_path / "run") as run:
        assert run.samples == {("T/0", 0): a_sample()}
        assert run.verdicts == {("T/0", 0): a_verdict()}
        assert not run.is_complete()


def test_a_file_cut_at_any_byte_loses_only_the_torn_line(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.add_sample(a_sample("T/0"))
        run.add_sample(a_sample("T/1"))
    path = tmp_path / "samples.jsonl"
    data = path.read_bytes()
    first_line = data.index(b"\n") + 1
    for end in range(len(data) + 1):
        path.write_bytes(data[:end])
        with opened(tmp_path) as run:
            assert len(run.samples) == (end >= first_line) + (end == len(data))
            run.add_sample(a_sample("T/2"))
        assert jsonl.read(path, Sample)[-1].task_id == "T/2", "a line after the torn one is whole"


def test_another_spec_is_refused_and_the_difference_named(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.add_sample(a_sample())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StoreError, match=r"generation\.style: base -> chat") as caught:
        opened(tmp_path, style="chat")
    assert "directory of its own" in str(caught.value)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_of_an_unknown_run_are_not_adopted(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_text("{}\n")
    with pytest.raises(StoreError, match=r"no spec\.json"):
        opened(tmp_path)


def test_a_line_that_is_not_a_record_is_refused_not_dropped(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "samples.jsonl").write_text('{"task_id": "T/0"}\n')
    with pytest.raises(StoreError, match="line 1"):
        opened(tmp_path)


def test_two_processes_do_not_share_a_run(tmp_path: Path) -> None:
    with opened(tmp_path):
        code = (
            "import sys; from pathlib import Path\n"
            "from factories import a_spec, an_environment\n"
            "from xftbench.store.run_dir import RunDir\n"
            f"RunDir(Path({str(tmp_path)!r}), a_spec(), an_environment())"
        )
        support = str(Path(__file__).parents[2] / "support")
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": support},
        )
    assert f"in use by process {os.getpid()}" in result.stderr


def test_finishing_sorts_the_files_and_writes_the_scores(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        for task_id in ("T/1", "T/0"):
            run.add_sample(a_sample(task_id))
            run.add_verdict(a_verdict(task_id))
        scores = aggregate(some_problems("T/0", "T/1"), run.verdicts.values(), n=1)
        written = run.finish(scores, TIMINGS, ["T/0", "T/1"], "2026-01-01T00:00:00+00:00")
    assert read_scores(tmp_path) == written
    assert written.scores.is_complete
    assert written.n_tokens == 6
    assert [verdict.task_id for verdict in read_verdicts(tmp_path, read_scores(tmp_path))] == ["T/0", "T/1"]
    assert read_spec(tmp_path).run_id == a_spec().run_id


def finished(path: Path) -> Path:
    """A run of two problems, the first of them passed."""
    with opened(path) as run:
        for task_id, verdict in (("T/0", "passed"), ("T/1", "failed")):
            run.add_sample(a_sample(task_id))
            run.add_verdict(a_verdict(task_id, verdict=verdict))
        scores = aggregate(some_problems("T/0", "T/1"), run.verdicts.values(), n=1)
        run.finish(scores, TIMINGS, ["T/0", "T/1"], "2026-01-01T00:00:00+00:00")
    return path


def test_a_complete_run_is_read_by_several_processes_and_written_by_none(tmp_path: Path) -> None:
    path = finished(tmp_path / "run")
    (path / ".lock").unlink()
    (path / "samples.jsonl").unlink()  # large, and no score needs them
    before = sorted(entry.name for entry in path.iterdir())
    with opened(path) as one, opened(path) as other:
        assert one.verdicts == other.verdicts
        assert (len(one.verdicts), len(one.samples)) == (2, 0)
        with pytest.raises(StoreError, match="complete run, which is only read"):
            one.add_sample(a_sample())
    assert sorted(entry.name for entry in path.iterdir()) == before
    assert len(read_verdicts(path, read_scores(path))) == 2


def test_a_run_with_failures_of_our_machinery_is_opened_for_writing(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.add_sample(a_sample())
        run.add_verdict(a_verdict(verdict="infrastructure_error"))
        scores = aggregate(some_problems("T/0"), run.verdicts.values(), n=1)
        run.finish(scores, TIMINGS, ["T/0"], "2026-01-01T00:00:00+00:00")
    with opened(tmp_path), pytest.raises(StoreError, match="in use by process"):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('"value": 0.5', '"value": 0.6', r"pass_at .*0\.6.*, of the verdicts .*0\.5"),
        ('"passed": 1', '"passed": 2', "counts .*'passed': 2.*, of the verdicts .*'passed': 1"),
        ('"low": 0.09', '"low": 0.39', r"pass_at .*low=0\.39"),
    ],
)
def test_scores_that_are_not_what_the_verdicts_come_to_are_refused(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    scores = finished(tmp_path) / "scores.json"
    assert before in scores.read_text()
    scores.write_text(scores.read_text().replace(before, after, 1))
    with pytest.raises(StoreError, match=told):
        read_verdicts(tmp_path, read_scores(tmp_path))


@pytest.mark.parametrize("name", ["spec.json", "scores.json", "samples.jsonl", "verdicts.jsonl"])
def test_bytes_that_are_no_text_are_a_changed_file(tmp_path: Path, name: str) -> None:
    path = finished(tmp_path) / name
    path.write_bytes(path.read_bytes().replace(b'"', b'"\xff', 1))
    with pytest.raises(StoreError, match=name):
        read_spec(tmp_path), read_verdicts(tmp_path, read_scores(tmp_path))
    if name != "spec.json":
        (tmp_path / "scores.json").unlink()
    if name != "scores.json":
        with pytest.raises(StoreError, match=name):
            opened(tmp_path)


def test_what_can_not_be_read_is_named(tmp_path: Path) -> None:
    path = finished(tmp_path) / "samples.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match=r"can't read .*samples\.jsonl"):
        read_verdicts(tmp_path, read_scores(tmp_path))


def test_a_name_may_be_no_text(tmp_path: Path) -> None:
    environment = msgspec.structs.replace(an_environment(), command=("score", "sa\udcffm.jsonl"))
    RunDir(tmp_path, a_spec(), environment).close()
    assert read_spec(tmp_path).environment.command == ("score", "sa\\udcffm.jsonl")


def test_a_spec_that_is_not_what_its_run_id_says_is_refused(tmp_path: Path) -> None:
    spec = finished(tmp_path) / "spec.json"
    read_spec(tmp_path)
    changed = spec.read_text().replace('"temperature": 0.0', '"temperature": 0.2')
    assert changed != spec.read_text()
    spec.write_text(changed)
    with pytest.raises(StoreError, match="says that it is of run"):
        read_spec(tmp_path)


def test_a_later_verdict_for_a_sample_replaces_the_earlier_one(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.add_verdict(a_verdict(verdict="infrastructure_error"))
        run.add_verdict(a_verdict(verdict="passed"))
    with opened(tmp_path) as run:
        assert run.verdicts[("T/0", 0)].verdict == "passed"


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    spec = tmp_path / "spec.json"
    spec.write_text(spec.read_text().replace(f'"schema_version": {SCHEMA_VERSION}', '"schema_version": 99'))
    with pytest.raises(StoreError, match="schema version 99"):
        read_spec(tmp_path)


def test_a_file_where_the_directory_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StoreError, match="can't write"):
        opened(tmp_path / "run")
    with pytest.raises(StoreError, match="can't write"):
        opened(tmp_path / "run" / "below")


def add_samples(run: RunDir, n: int) -> None:
    for index in range(n):
        run.add_sample(a_sample(index=index, completion="x" * 1000))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_keeps_every_whole_sample(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine does not allow mounting a tmpfs")
    try:
        with opened(disk / "run") as run:
            with pytest.raises(StoreError, match="No space left") as caught:
                add_samples(run, 1000)
            kept = len(run.samples)
        assert 10 < kept < 64
        assert "every finished sample is kept" in str(caught.value)
        with opened(disk / "run") as run:
            assert len(run.samples) == kept
    finally:
        subprocess.run(["umount", str(disk)], check=True)
