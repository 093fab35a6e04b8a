"""A run directory: who owns it, what is in it, and whether it is complete.

    spec.json        what the run is (see `xftbench.store.spec`), written first
    samples.jsonl    one line per sample, appended as it arrives
    verdicts.jsonl   one line per judged sample, appended as it arrives
    scores.json      written last and atomically: its existence means that the run is complete

A process that is killed loses at most the line it was writing: its sample is made again. Lines are appended
in the order of arrival; a run that ends puts both files into the benchmark's order, so that two runs can be
compared with `diff`.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from xftbench import jsonl
from xftbench.benchmarks.clusters import clusters_of
from xftbench.errors import DataFileError, StoreError
from xftbench.hashing import sha256_file
from xftbench.prompts.style import PromptStyle
from xftbench.records import Record, Sample, SampleKey, Verdict
from xftbench.scoring.aggregate import Scores, contradiction
from xftbench.store.append_log import AppendLog, Keyed
from xftbench.store.spec import SCHEMA_VERSION, Environment, RunSpec, SpecFile, differences


class Timings(Record):
    """What the session that finished the run measured; sessions that were cut off before are not in it."""

    n_tokens: int
    """Tokens generated."""
    generation_s: float
    """Wall seconds from the first request to the last completion; loading the model is not in it."""
    total_s: float
    """Wall seconds of everything, loading included."""
    peak_memory_bytes: int | None = None
    """Of our process tree from loading the model to the last completion, sandboxed programs left out."""
    peak_gpu_memory_bytes: int | None = None
    """On all GPUs together; engines that reserve their cache beforehand show what they reserved."""
    n_executed: int = 0
    """Programs that were run."""
    n_repeated: int = 0
    """Samples whose program is one of those that were run."""
    n_cached: int = 0
    """Programs whose outcome was known from another run; their CPU and wall seconds are of then."""


class ScoresFile(Record):
    """``scores.json``."""

    schema_version: int
    run_id: str
    finished: str
    """ISO 8601, UTC."""
    scores: Scores
    timings: Timings
    n_tokens: int
    """Tokens generated for all samples."""
    samples_sha256: str
    verdicts_sha256: str


class RunDir:
    """An open run directory; one process at a time holds it. Use as a context manager.

    Everything that goes wrong on the disk is a `StoreError` that says what is kept.
    """

    def __init__(
        self, path: Path, spec: RunSpec, environment: Environment, style: PromptStyle | None = None
    ) -> None:
        """Create the directory, or open it again if it holds the same run.

        A run in which nothing is left to do is opened for reading only: by several processes at a time, and
        wherever it lies.

        Raises:
            StoreError: If it holds another run, is in use, or can't be written.
        """
        self.path = path
        self.spec = spec
        self.run_id = spec.run_id
        self._open: contextlib.ExitStack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack, self._disk_errors():
            read_only = is_settled(path)
            if not read_only:
                path.mkdir(parents=True, exist_ok=True)
                stack.callback(os.close, _take_lock(path))
            self._claim(environment, style)
            self._samples = AppendLog(path / "samples.jsonl", Sample, read_only=read_only)
            stack.callback(self._samples.close)
            self._verdicts = AppendLog(path / "verdicts.jsonl", Verdict, read_only=read_only)
            stack.callback(self._verdicts.close)
            self._open = stack.pop_all()

    def _claim(self, environment: Environment, style: PromptStyle | None) -> None:
        """Write `spec.json`, or check that the one there is ours."""
        if not (self.path / "spec.json").exists():
            for name in ("samples.jsonl", "verdicts.jsonl", "scores.json"):
                if (self.path / name).exists():
                    raise StoreError(
                        f"{self.path} has {name} but no spec.json: it is not known which run that is of",
                        hint="give this run an empty directory; nothing was changed",
                    )
            spec_file = SpecFile(
                schema_version=SCHEMA_VERSION,
                run_id=self.run_id,
                spec=self.spec,
                style=style,
                environment=environment,
            )
            jsonl.write_atomically(self.path / "spec.json", _pretty(spec_file))
            return
        existing = read_spec(self.path)
        if existing.spec != self.spec:
            changed = "\n  ".join(differences(self.spec, existing.spec))
            raise StoreError(
                f"{self.path} holds run {existing.run_id}; this one ({self.run_id}) differs in\n  {changed}",
                hint="give this run a directory of its own; nothing was changed",
            )

    @property
    def samples(self) -> Mapping[SampleKey, Sample]:
        """The samples so far."""
        return self._samples.records

    @property
    def verdicts(self) -> Mapping[SampleKey, Verdict]:
        """The verdicts so far."""
        return self._verdicts.records

    def add_sample(self, sample: Sample) -> None:
        """Append a sample."""
        with self._disk_errors():
            self._samples.append(sample)

    def add_verdict(self, verdict: Verdict) -> None:
        """Append a verdict; it replaces an earlier one for the same sample (an infrastructure error)."""
        with self._disk_errors():
            self._verdicts.append(verdict)

    def is_complete(self) -> bool:
        """Whether the scores were written."""
        return (self.path / "scores.json").exists()

    def reopen(self) -> None:
        """Take back `scores.json`, because samples that our machinery failed on are tried again."""
        with self._disk_errors():
            (self.path / "scores.json").unlink(missing_ok=True)

    def finish(self, scores: Scores, timings: Timings, order: Sequence[str], finished: str) -> ScoresFile:
        """Put samples and verdicts into the benchmark's order, write `scores.json`, and close."""
        with self._disk_errors():
            jsonl.write(self._samples.path, _in_order(self.samples, order))
            jsonl.write(self._verdicts.path, _in_order(self.verdicts, order))
            scores_file = ScoresFile(
                schema_version=SCHEMA_VERSION,
                run_id=self.run_id,
                finished=finished,
                scores=scores,
                timings=timings,
                n_tokens=sum(sample.n_tokens or 0 for sample in self.samples.values()),
                samples_sha256=sha256_file(self._samples.path),
                verdicts_sha256=sha256_file(self._verdicts.path),
            )
            jsonl.write_atomically(self.path / "scores.json", _pretty(scores_file))
        self.close()  # the logs are open on the files before; nothing may be appended to those
        return scores_file

    def close(self) -> None:
        """Release the directory; closing twice does no harm."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = _DISK_HINTS.get(error.errno or 0)
            raise StoreError(f"can't write {self.path}: {error.strerror or error}", hint=hint) from error


_DISK_HINTS = {
    errno.ENOSPC: "free some space and run the same command again; every finished sample is kept",
    errno.EDQUOT: "raise the quota and run the same command again; every finished sample is kept",
    errno.EROFS: "the file system is read-only; choose another directory",
    errno.EACCES: "the directory is not writable; choose another one",
    errno.EPERM: "the directory is not writable; choose another one",
    errno.EEXIST: "a file stands where the directory should be; choose another one",
    errno.ENOTDIR: "a file stands where the directory should be; choose another one",
}


def file_name(name: str) -> str:
    """Return a name of a suite or model as it can stand in a path on any system: no ``:``, ``,`` or ``/``."""
    return re.sub(r"[^\w.+-]+", "-", name)[:100]


def _take_lock(path: Path) -> int:
    """Return a descriptor that holds the directory's lock; the kernel drops it when the process ends."""
    lock = os.open(path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise StoreError(
            f"{path} is in use by process {owner or 'unknown'}",
            hint="wait for it or stop it; two processes would make the same samples twice",
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def find_runs(folder: Path) -> list[Path]:
    """Return the run directories in a folder, and any other in which nobody may look whether it is one.

    Raises:
        StoreError: If nobody may look into the folder itself.
    """
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"can't read {folder}: {error.strerror}") from error
    return [path for path in inside if is_closed(path) or (path / "spec.json").exists()]


def is_closed(path: Path) -> bool:
    """Whether it is a directory in which we may not look."""
    return path.is_dir() and not os.access(path, os.X_OK)


def read_spec(path: Path) -> SpecFile:
    """Return a run directory's ``spec.json``.

    Raises:
        StoreError: If it is missing, malformed, of another schema version, or its run id is not its spec's.
    """
    found = _read(path / "spec.json", SpecFile)
    if found.run_id != found.spec.run_id:
        raise StoreError(
            f"{path}/spec.json says that it is of run {found.run_id}, and what it describes is run "
            f"{found.spec.run_id}: it was changed, or another xftbench wrote it",
            hint="put back the file as it was, or score the samples into a new directory: xftbench score",
        )
    return found


def read_scores(path: Path) -> ScoresFile:
    """Return a complete run's ``scores.json``; raises like `read_spec`."""
    return _read(path / "scores.json", ScoresFile)


def read_verdicts(path: Path, scores_file: ScoresFile) -> list[Verdict]:
    """Return the verdicts of a complete run, if they and the samples are those that its scores were made of.

    The samples may be gone: they are large, and no score needs them.

    Raises:
        StoreError: If they are not, or a file is missing or malformed.
    """
    verdicts_path, samples_path = path / "verdicts.jsonl", path / "samples.jsonl"
    try:
        data = verdicts_path.read_bytes()
        is_changed = hashlib.sha256(data).hexdigest() != scores_file.verdicts_sha256
        verdicts = [] if is_changed else jsonl.decode(data, Verdict, str(verdicts_path))
        samples_sha256 = sha256_file(samples_path) if samples_path.exists() else scores_file.samples_sha256
    except OSError as error:
        raise StoreError(f"can't read {error.filename}: {error.strerror}") from error
    except DataFileError as error:
        raise StoreError(error.message) from error
    if is_changed:
        raise StoreError(
            f"{verdicts_path} was changed after scores.json was written",
            hint="score the samples again into a new directory: xftbench score",
        )
    if samples_sha256 != scores_file.samples_sha256:
        raise StoreError(
            f"{samples_path} was changed after scores.json was written",
            hint="put back the samples that the verdicts are of, or score these into a new directory",
        )
    cluster_of = clusters_of(read_spec(path).spec.scoring.suite)
    if wrong := contradiction(scores_file.scores, verdicts, cluster_of):
        raise StoreError(
            f"{path}/scores.json does not agree with its verdicts: {wrong}",
            hint="score the samples again into a new directory: xftbench score",
        )
    return verdicts


def is_settled(path: Path) -> bool:
    """Return whether nothing is left to do in a run directory: it is complete, and our machinery held."""
    try:
        return not read_scores(path).scores.counts.get("infrastructure_error")
    except StoreError:
        return False


_F = TypeVar("_F", SpecFile, ScoresFile)
_K = TypeVar("_K", bound=Keyed)


class _Versioned(msgspec.Struct):
    schema_version: int


def _read(path: Path, record_type: type[_F]) -> _F:
    try:
        data = path.read_bytes()
        version = msgspec.json.decode(data, type=_Versioned).schema_version
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{path} has schema version {version}, this xftbench reads {SCHEMA_VERSION}",
                hint="use the xftbench that wrote it",
            )
        return msgspec.json.decode(data, type=record_type)
    except OSError as error:
        raise StoreError(f"can't read {path}: {error.strerror}") from error
    except jsonl.BAD_JSON as error:
        raise StoreError(f"{path} was not written by xftbench: {error}") from error


def _in_order(records: Mapping[SampleKey, _K], order: Sequence[str]) -> list[_K]:
    rank = {task_id: index for index, task_id in enumerate(order)}
    return [records[key] for key in sorted(records, key=lambda key: (rank[key[0]], key[1]))]


def _pretty(record: object) -> bytes:
    return msgspec.json.format(jsonl.encode_line(record), indent=2) + b"\n"
