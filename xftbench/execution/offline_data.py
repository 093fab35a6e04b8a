"""Data sets that programs would download: put once into their environment, where no program can change them.

DS-1000 has 15 problems that ask seaborn or scikit-learn for one. Programs have no network, so the files come
from a folder of the user's or, while an environment is created, from where those packages get them.
"""

import gzip
import hashlib
import io
import subprocess
import zlib
from pathlib import Path

from xftbench.errors import DataFileError
from xftbench.execution.environments import Environment, OnLine

SEABORN = "seaborn-data"
HOUSING = "california-housing"

_SEABORN_SOURCE = "https://raw.githubusercontent.com/mwaskom/seaborn-data/master/"
_SEABORN_FILES = {
    "exercise.csv": "d67ff5896d7d262bba3ec0bd7a8db410e56afc96a0436e08dfe53016d5f1e4e6",
    "penguins.csv": "e07636bd8af74260099ea2f8678e2eabbf35def579940cc76f67061ee16c06c1",
    "planets.csv": "a6d10044887e17396974525a366f5fa2e4b34df70f491e64eb9943de0e3d3825",
    "tips.csv": "e54cc4d2ce1bff65d32ca60b3e4b802e06bde1d7e7caf6f796f6bf7370e863b0",
}
_HOUSING_SOURCE = "https://ndownloader.figshare.com/files/5976036"  # as in sklearn.datasets
_HOUSING_FILE = "cal_housing.data"
_HOUSING_SHA256 = "d3d8a1a722ae78f91134862727d27a70b1415e7d512a89140406248687f4b902"
_HOUSING_BUILT = "cal_housing_py3.pkz"
_BUILD_HOUSING = """
import io, sys
import joblib, numpy
rows = numpy.loadtxt(io.BytesIO(sys.stdin.buffer.read()), delimiter=",")
joblib.dump(rows[:, [8, 7, 2, 3, 4, 5, 6, 1, 0]], sys.argv[1], compress=6)
"""
"""scikit-learn keeps a joblib file, a pickle: it is built here from the text, never taken from others."""


def variables(environment: Environment) -> dict[str, str]:
    """Return the environment variables by which the packages find the files."""
    return {
        "SEABORN_DATA": str(environment.data / SEABORN),
        "SCIKIT_LEARN_DATA": str(environment.data / HOUSING),
    }


def available(environment: Environment) -> frozenset[str]:
    """Return which of the data sets an environment has."""
    found = set()
    if all((environment.data / SEABORN / name).is_file() for name in _SEABORN_FILES):
        found.add(SEABORN)
    if (environment.data / HOUSING / _HOUSING_BUILT).is_file():
        found.add(HOUSING)
    return frozenset(found)


def add(environment: Environment, folder: Path | None, say: OnLine) -> list[str]:
    """Give an environment the data sets that it lacks.

    Args:
        environment: Whose they will be.
        folder: Holds ``seaborn-data/*.csv`` and ``cal_housing.data``, each plain or gzipped, directly or in
            the sub-folder ``ds1000/offline``; without one they are downloaded.
        say: Is told what is done.

    Returns:
        What is still missing, with the reason; empty if nothing is.

    Raises:
        DataFileError: If a file in the folder is not the pinned one.
    """
    present = available(environment)
    missing = []
    for name, put in ((SEABORN, _put_seaborn), (HOUSING, _put_housing)):
        if name in present:
            continue
        say(f"adding {name}")
        try:
            put(environment, folder)
        except OSError as error:
            missing.append(f"{name}: {error}")
    return missing


def _put_seaborn(environment: Environment, folder: Path | None) -> None:
    contents = {}
    for name, sha256 in _SEABORN_FILES.items():
        data = _download(_SEABORN_SOURCE + name) if folder is None else _local(folder, f"seaborn-data/{name}")
        contents[name] = _verified(name, data, sha256)
    target = environment.data / SEABORN
    target.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (target / name).write_bytes(data)


def _put_housing(environment: Environment, folder: Path | None) -> None:
    if folder is None:
        import tarfile  # like urllib below: every command would wait for it

        with tarfile.open(fileobj=io.BytesIO(_download(_HOUSING_SOURCE))) as archive:
            member = archive.extractfile(f"CaliforniaHousing/{_HOUSING_FILE}")
            data = member.read() if member else b""
    else:
        data = _local(folder, _HOUSING_FILE)
    target = environment.data / HOUSING
    target.mkdir(parents=True, exist_ok=True)
    unfinished = target / f"{_HOUSING_BUILT}.unfinished"
    python = str(environment.path / "bin" / "python")
    subprocess.run(
        [python, "-I", "-c", _BUILD_HOUSING, str(unfinished)],
        input=_verified(_HOUSING_FILE, data, _HOUSING_SHA256),
        capture_output=True,
        check=True,
    )
    unfinished.rename(target / _HOUSING_BUILT)


def _local(folder: Path, name: str) -> bytes:
    for base in (folder, folder / "ds1000" / "offline"):
        for path in (base / name, base / f"{name}.gz"):
            if path.is_file():
                data = path.read_bytes()
                try:
                    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
                except (EOFError, zlib.error) as error:
                    raise DataFileError(f"can't read {path}: {error}") from error
    raise FileNotFoundError(f"neither {name} nor {name}.gz is in {folder}")


def _download(address: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(address, timeout=30) as response:
        data: bytes = response.read()
    return data


def _verified(name: str, data: bytes, sha256: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise DataFileError(f"{name} has sha256 {found[:12]}…, expected {sha256[:12]}…")
    return data
