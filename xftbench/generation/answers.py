"""DS-1000's own answer files: rows with ``code`` and ``metadata.problem_id``, as its scripts write them."""

import json
from collections.abc import Container
from typing import Any

from xftbench.errors import DataFileError

_PREFIXES = ("ds1000/", "DS-1000/")


def as_sample_row(where: str, row: dict[str, Any], known: Container[str]) -> dict[str, Any]:
    """Return a row in the shape of other samples; one that is in it already is returned as it is.

    A task_id of DS-1000 may be a number, or have the suite's name in front. ``code`` is a reply, or a list of
    which the first is meant, as in the official script.

    Raises:
        DataFileError: If ``code`` is neither a text nor a list of texts, or names no problem.
    """
    task_id = row.get("task_id")
    short = str(task_id).rpartition("/")[2]
    if short in known and (type(task_id) is int or str(task_id).startswith(_PREFIXES)):
        return row | {"task_id": short}
    about = row.get("metadata")
    if task_id is not None or "code" not in row or not isinstance(about, dict):
        return row
    number, code = about.get("problem_id"), row["code"]
    if type(number) is not int:  # a bool is none
        raise DataFileError(f"{where}: metadata.problem_id is {json.dumps(number)}, not a number")
    if isinstance(code, list):
        code = code[0] if code else ""
    if not isinstance(code, str):
        raise DataFileError(f"{where}: code is neither a string nor a list of strings")
    return {"task_id": str(number), "completion": code}
