"""What MultiPL-E's own tools write: a JSON document for each problem, with completions or with results.

A results document holds whole programs; the tests at their end are taken off, so that the pinned ones judge.
"""

import json
import logging
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from xftbench.benchmarks.multipl_e_parts import language_of
from xftbench.errors import DataFileError
from xftbench.generation.texts import read_text
from xftbench.records import Answerable, NativeProblem, Problem, Sample

_logger = logging.getLogger(__name__)
_FILE = re.compile(r"(?P<name>(?:HumanEval|mbpp)_\d+_\w+)(?P<results>\.results)?\.json(?:\.gz)?")
_DECODING = {"temperature": "temperature", "top_p": "top_p", "max_tokens": "max_new_tokens"}
"""A document's field -> ours."""


def from_folder(directory: Path, answerable: Answerable) -> list[Sample] | None:
    """Return the samples of all documents in a directory and below; None if there are none of that kind.

    Of a problem that has completions and results, the completions are read.

    Raises:
        DataFileError: If a document is damaged, or answers no problem of the suite, or one that another does.
    """
    found = _documents_in(directory)
    if not found:
        return None
    samples: list[Sample] = []
    seen: dict[str, Path] = {}
    asked_otherwise: list[Path] = []
    for path in _preferred(found):
        of_document = _read(path, read_text(path), answerable, asked_otherwise)
        if of_document is None:
            raise DataFileError(f"{path}: expected MultiPL-E's name and completions or results")
        for task_id in {sample.task_id for sample in of_document}:
            if task_id in seen:
                raise DataFileError(
                    f"{path} and {seen[task_id]} both answer {task_id}",
                    hint="name the folder of one experiment",
                )
            seen[task_id] = path
        samples += of_document
    _warn_of(asked_otherwise)
    return samples


def _documents_in(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*.json*") if _FILE.fullmatch(path.name))


def _warn_of(asked_otherwise: Sequence[Path]) -> None:
    if asked_otherwise:
        _logger.warning(
            "%d documents have another prompt than the pinned one, and are judged with it, as upstream does: "
            "%s%s",
            len(asked_otherwise), asked_otherwise[0], ", ..." if asked_otherwise[1:] else "",
        )  # fmt: skip


def decoding(path: Path) -> dict[str, float]:
    """Return what documents say of how they were drawn, by our names; what they don't agree on is left out.

    Args:
        path: A folder of documents, one document, or a samples file of any other kind, which says nothing.
    """
    files = _preferred(_documents_in(path)) if path.is_dir() else [path]
    said = [_said(read_text(file)) for file in files]
    found = {}
    for name in _DECODING.values():
        values = [of_document[name] for of_document in said if name in of_document]
        if len(set(values)) > 1:
            _logger.warning(
                "%s: the documents have different values of %s, so it is taken as unknown", path, name
            )
        elif values and len(values) == len(said):
            found[name] = values[0]
    return found


def _said(text: str) -> dict[str, float]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or not {"name", "language"} <= document.keys():
        return {}
    numbers = {name: value for name, value in document.items() if type(value) in (int, float)}
    said = {ours: float(numbers[theirs]) for theirs, ours in _DECODING.items() if theirs in numbers}
    known = {name: value for name, value in said.items() if math.isfinite(value)}
    return {name: int(value) if name == "max_new_tokens" else value for name, value in known.items()}


def _preferred(paths: Sequence[Path]) -> list[Path]:
    chosen: dict[Path, Path] = {}
    for path in paths:
        match = _FILE.fullmatch(path.name)
        assert match is not None
        key = path.parent / match["name"]
        if key not in chosen or not match["results"]:
            chosen[key] = path
    return list(chosen.values())


def from_document(path: Path, text: str, answerable: Answerable) -> list[Sample] | None:
    """Return the samples of one document; None if it is of another kind.

    Raises:
        DataFileError: If it answers no problem of the suite, or holds something else where a text should be.
    """
    asked_otherwise: list[Path] = []
    samples = _read(path, text, answerable, asked_otherwise)
    _warn_of(asked_otherwise)
    return samples


def _read(path: Path, text: str, answerable: Answerable, asked_otherwise: list[Path]) -> list[Sample] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        if _FILE.fullmatch(path.name):
            raise DataFileError(f"{path}: not JSON: {error}") from error
        return None
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        return None
    is_asked = isinstance(document.get("completions"), list)
    if not is_asked and not isinstance(document.get("results"), list):
        return None
    task_id = known_id(document["name"], document.get("language"), answerable)
    if task_id is None:
        raise DataFileError(
            f"{path}: the suite has no problem {document['name']!r} in {document.get('language')!r}",
            hint="is --suite the one that these samples answer? For example --suite multipl-e:java,js",
        )
    if is_asked:
        prompt = _other_prompt(document, answerable[task_id])
        drawn = _completions(path, document, prompt)
        asked_otherwise += [path] if prompt else []
    else:
        drawn = _programs(path, document)
    return [
        Sample(task_id=task_id, sample_index=index, completion=completion, solution=solution)
        for index, (completion, solution) in enumerate(drawn)
    ]


def known_id(name: str, language: object, answerable: Answerable) -> str | None:
    """Return a suite's spelling of a problem that is named with or without its language.

    None if it has none, or has it in another language only.

    Args:
        name: ``HumanEval_0_has_close_elements`` or ``js/HumanEval_0_has_close_elements``.
        language: What else is known of its language, in any spelling.
        answerable: The suite's problems.
    """
    prefix, _, plain = name.rpartition("/")
    spoken = language_of(prefix or str(language)) or ""
    spellings = (name, f"{spoken}/{plain}", plain)
    found = next((spelling for spelling in spellings if spelling in answerable), "")
    problem = answerable.get(found)
    is_other = spoken and isinstance(problem, NativeProblem) and problem.language != spoken
    return None if is_other else found or None


def _other_prompt(document: dict[str, Any], problem: Problem | None) -> str | None:
    """Return the prompt that completions stand behind, if it is not the suite's.

    It is empty where the completion repeats it (chat), and another one in other releases and wordings of the
    benchmark. Upstream judges whatever prompt the document has.
    """
    prompt = document.get("prompt")
    if not isinstance(prompt, str):
        return None
    return prompt if not prompt or (problem is not None and prompt != problem.prompt) else None


def _completions(
    path: Path, document: dict[str, Any], other_prompt: str | None
) -> Iterator[tuple[str | None, str | None]]:
    for index, completion in enumerate(document["completions"]):
        if not isinstance(completion, str):
            raise DataFileError(f"{path}: completion {index} is not a text")
        yield (completion, None) if other_prompt is None else (None, other_prompt + completion)


def _programs(path: Path, document: dict[str, Any]) -> Iterator[tuple[str | None, str | None]]:
    tests = document.get("tests")
    for index, result in enumerate(document["results"]):
        program = result.get("program") if isinstance(result, dict) else None
        if not isinstance(program, str) or not isinstance(tests, str):
            raise DataFileError(f"{path}: result {index} has no program, or the document no tests")
        if not program.endswith(f"\n{tests}"):
            raise DataFileError(f"{path}: program {index} does not end with the document's own tests")
        yield None, program.removesuffix(f"\n{tests}")
