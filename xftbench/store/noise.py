"""How far one checkpoint differs from itself: the certificate that `noise` writes and `compare` looks for."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import sqrt
from pathlib import Path
from statistics import fmean

import msgspec

from xftbench import jsonl
from xftbench.benchmarks.clusters import clusters_of
from xftbench.errors import StoreError
from xftbench.records import Record, SampleKey
from xftbench.scoring.clusters import gather
from xftbench.scoring.pass_at_k import pass_at_k
from xftbench.store.comparable import comparable_key
from xftbench.store.run_dir import file_name
from xftbench.store.spec import RunSpec

NOISE_SCHEMA = 1
Tally = tuple[int, int]
_TWICE_SE = 1.96


class Condition(Record):
    """One evaluation of the checkpoint: nothing but these differed."""

    batch_size: int | None
    order: str
    seed: int
    run_id: str
    score: float
    """pass@1."""


class NoiseCertificate(Record):
    """What evaluating one checkpoint several times gave."""

    schema_version: int
    name: str
    checkpoint_sha256: str
    suite: str
    comparable: str
    """See `comparable_key`: the certificate is for comparisons of runs that have this key."""
    engine: str
    dtype: str
    device: str
    style: str
    n_problems: int
    conditions: tuple[Condition, ...]
    n_flipped: int
    """Problems whose result is not the same under all conditions."""
    n_texts_changed: int
    """Answers whose text is not the same under all conditions; most of these change no result."""
    flip_rate: float
    """Mean over pairs of conditions of the share of problems (by answers that changed) that differ."""
    spread: float
    """Largest difference between the scores of two conditions."""
    floor: float
    """Differences up to this are noise: the spread, or what two of these runs stay within 95 times of 100."""


def certify(
    name: str,
    spec: RunSpec,
    conditions: Sequence[Condition],
    tallies: Sequence[Mapping[str, Tally]],
    texts: Sequence[Mapping[SampleKey, str]],
) -> NoiseCertificate:
    """Return what several runs of one checkpoint say about its noise.

    Args:
        name: What the user calls the checkpoint.
        spec: Of any of the runs.
        conditions: What each run was.
        tallies: Problem -> (drawn, passed), for each run; of the same problems.
        texts: The answers of each run.
    """
    shares = [{task: pass_at_k(n, c, 1) for task, (n, c) in run.items()} for run in tallies]
    tasks = [task for task in shares[0] if all(task in run for run in shares)]
    pairs = [[a[task] - b[task] for task in tasks] for a, b in combinations(shares, 2)]
    cluster_of = clusters_of(spec.scoring.suite)
    squares = fmean([sum(d * d for d in gather(tasks, pair, cluster_of).sums) for pair in pairs])
    spread = max(abs(fmean(pair)) for pair in pairs)
    return NoiseCertificate(
        schema_version=NOISE_SCHEMA,
        name=name,
        checkpoint_sha256=spec.generation.checkpoint_sha256,
        suite=spec.scoring.suite,
        comparable=comparable_key(spec),
        engine=spec.generation.engine,
        dtype=spec.generation.dtype,
        device=spec.generation.device,
        style=spec.generation.style,
        n_problems=len(tasks),
        conditions=tuple(conditions),
        n_flipped=sum(len({run[task] for run in shares}) > 1 for task in tasks),
        n_texts_changed=sum(len({run.get(key) for run in texts}) > 1 for key in texts[0]),
        flip_rate=fmean([fmean([abs(d) for d in pair]) for pair in pairs]),
        spread=spread,
        floor=max(spread, _TWICE_SE * sqrt(squares) / len(tasks)),
    )


def certificate_path(directory: Path, certificate: NoiseCertificate) -> Path:
    """Return where a certificate is kept."""
    name = f"{certificate.suite}--{certificate.name}--{certificate.checkpoint_sha256[:8]}"
    name += f"-{certificate.dtype}-{certificate.device}"
    return directory / f"{file_name(name)}-{certificate.comparable}.noise.json"


def write_certificate(directory: Path, certificate: NoiseCertificate) -> Path:
    """Keep a certificate, and return its path.

    Raises:
        StoreError: If it can't be written.
    """
    path = certificate_path(directory, certificate)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        jsonl.write_atomically(path, msgspec.json.format(msgspec.json.encode(certificate), indent=2) + b"\n")
    except OSError as error:
        raise StoreError(f"can't write {path}: {error.strerror or error}") from error
    return path


def read_certificates(*directories: Path) -> list[NoiseCertificate]:
    """Return every certificate in some directories; none where there is no such directory.

    Raises:
        StoreError: If one is malformed.
    """
    found = []
    for path in [path for directory in directories for path in sorted(directory.glob("*.noise.json"))]:
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=NoiseCertificate))
        except (OSError, *jsonl.BAD_JSON) as error:
            raise StoreError(f"{path} is no noise certificate: {error}", hint="delete it") from error
    return found


def matching(certificates: Sequence[NoiseCertificate], spec: RunSpec) -> list[NoiseCertificate]:
    """Return the certificates of this very checkpoint, measured as this run was made."""
    ours = spec.generation
    wanted = (comparable_key(spec), ours.checkpoint_sha256, ours.dtype, ours.device)
    return [c for c in certificates if (c.comparable, c.checkpoint_sha256, c.dtype, c.device) == wanted]
