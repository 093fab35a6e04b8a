"""Completions from files: ours, evalplus' and bigcode's, and those of other harnesses.

This is how people score samples that they made elsewhere, and how other layers are tested without a model.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from xftbench.errors import BackendError, DataFileError
from xftbench.generation import evalplus_files, multipl_e_files
from xftbench.generation.backend import Engine, Request
from xftbench.generation.checkpoints import Checkpoint
from xftbench.generation.options import BackendOptions
from xftbench.generation.sample_rows import from_lines, from_list
from xftbench.generation.texts import read_text
from xftbench.records import Answerable, Sample, SamplingParams

Folder = Callable[[Path, Answerable], list[Sample] | None]
"""(directory, the suite's problems) -> its samples; None if it is of another harness."""
Document = Callable[[Path, str, Answerable], list[Sample] | None]
"""(path, text, the suite's problems) -> the samples of a JSON file; None if it is of another harness."""

_SURROGATE = re.compile("[\ud800-\udfff]")

_NAMES = ("samples.jsonl", "samples.jsonl.gz", "generations.json", "generations.json.gz")
"""Samples files that stand for the directory that they are in; the first one is a run directory's."""

FOLDERS: tuple[Folder, ...] = (evalplus_files.from_folder, multipl_e_files.from_folder)
DOCUMENTS: tuple[Document, ...] = (evalplus_files.from_results, multipl_e_files.from_document)


def samples_file(path: Path) -> Path:
    """Return the samples file that a path names: of a directory the one in it, otherwise itself.

    Raises:
        DataFileError: If a directory has several.
    """
    found = [inside for name in _NAMES if (inside := path / name).is_file()]
    if not found and path.is_dir():
        found = sorted(path.glob("*eval_results.json"))
    if len(found) > 1:
        names = " and ".join(inside.name for inside in found)
        raise DataFileError(f"{path} holds {names}", hint="name the file that is to be scored")
    return found[0] if found else path


def read_samples(path: Path, answerable: Answerable) -> list[Sample]:
    """Read samples of any known shape; files may be gzipped. docs/scoring.md lists the shapes.

    Args:
        path: A directory, a JSON document or JSON Lines; its content decides, not its name.
        answerable: The problems that samples may answer, in the benchmark's order.

    Raises:
        DataFileError: Naming file and line, for whatever is not such a sample.
    """
    samples = _of_folder(path, answerable) if path.is_dir() else _of_file(path, answerable)
    if not samples:
        raise DataFileError(f"{path} holds no samples")
    return [_encodable(sample) for sample in samples]


def _encodable(sample: Sample) -> Sample:
    """Replace what no UTF-8 file can hold, half of an emoji that a token limit cut, as tokenizers do."""
    texts = {"completion": sample.completion, "solution": sample.solution}
    replaced = {
        name: _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text) for name, text in texts.items() if text
    }
    return structs.replace(sample, **replaced) if replaced != texts else sample


def _of_folder(path: Path, answerable: Answerable) -> list[Sample]:
    for shape in FOLDERS:
        if (samples := shape(path, answerable)) is not None:
            return samples
    raise DataFileError(
        f"{path} is a directory of no known shape",
        hint="name the samples file, a run directory, or a directory that evalplus or MultiPL-E wrote",
    )


def _of_file(path: Path, answerable: Answerable) -> list[Sample]:
    text = read_text(path)
    if not text.strip():
        raise DataFileError(f"{path} is empty", hint="it should hold one JSON object per sample and line")
    if text.lstrip().startswith("["):
        return list(from_list(path, text, answerable))
    for shape in DOCUMENTS:
        if (samples := shape(path, text, answerable)) is not None:
            return samples
    return list(from_lines(path, text, answerable))


class ReplayBackend:
    """Gives each request the sample that a file holds for it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def generate(self, requests: Sequence[Request], sampling: SamplingParams) -> Iterator[Sample]:
        """Yield the stored sample of each request, in their order.

        Raises:
            DataFileError: If the file can't be read.
            BackendError: If a sample is not in the file.
        """
        asked = dict.fromkeys(request.prompt.task_id for request in requests)
        stored = {sample.key: sample for sample in read_samples(self._path, asked)}
        for request in requests:
            key = (request.prompt.task_id, request.sample_index)
            if key not in stored:
                raise BackendError(f"{self._path} has no sample {key[1]} of {key[0]}")
            yield stored[key]


def describe(checkpoint: Checkpoint, options: BackendOptions) -> Engine:
    """Return the engine of samples that exist already."""
    return Engine(name="replay", version="1", dtype="", device="")


@contextmanager
def open_backend(checkpoint: Checkpoint, options: BackendOptions) -> Iterator[ReplayBackend]:
    """Open a samples file as a backend."""
    yield ReplayBackend(Path(checkpoint.path))
