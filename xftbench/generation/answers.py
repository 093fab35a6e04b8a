"""DS-1000's own answer files: rows with ``code`` and ``metadata.problem_id``, as its scripts write them."""

import json
from typing import Any

from xftbench.errors import DataFileError
from xftbench.records import Answerable

_PREFIXES = ("ds1000/", "DS-1000/")


def as_sample_row(where: str, row: dict[str, Any], answerable: Answerable) -> dict[str, Any]:
    """Return a row in the shape of other samples; one that is in it already is returned as it is.

    A task_id of DS-1000 may be a number, or have the suite's name in front. ``code`` is a reply, or a list of
    which the first is meant, as in the official script.

    Raises:
        DataFileError: If ``code`` is neither a text nor a list of texts, or the row names no problem, or one
            of another library.
    """
    task_id = row.get("task_id")
    short = str(task_id).rpartition("/")[2]
    if short in answerable and (type(task_id) is int or str(task_id).startswith(_PREFIXES)):
        return row | {"task_id": short}
    about = row.get("metadata")
    if task_id is not None or "code" not in row or not isinstance(about, dict):
        return row
    number, code = about.get("problem_id"), row["code"]
    if type(number) is not int:  # a bool is none
        raise DataFileError(f"{where}: metadata.problem_id is {json.dumps(number)}, not a number")
    problem, library = answerable.get(str(number)), about.get("library")
    if problem is not None and library is not None and library != problem.tags.get("library"):
        raise DataFileError(
            f"{where}: metadata.library is {json.dumps(library)}, problem {number} is one of "
            f"{problem.tags.get('library')}",
            hint="the numbers are those of the simplified format of 2024",
        )
    if isinstance(code, list):
        code = code[0] if code else ""
    if not isinstance(code, str):
        raise DataFileError(f"{where}: code is neither a string nor a list of strings")
    return {"task_id": str(number), "completion": code}
