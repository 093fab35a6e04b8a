"""``routing.jsonl`` of a run directory: how the tokens of each reply were spread over the experts."""

from collections.abc import Mapping
from pathlib import Path

from xftbench import jsonl
from xftbench.errors import DataFileError, StoreError
from xftbench.records import SampleKey, SampleRouting

ROUTING_FILE = "routing.jsonl"


def read_routing(run_dir: Path) -> Mapping[SampleKey, SampleRouting]:
    """Return the routing of a run's samples; empty if nobody looked.

    Raises:
        StoreError: If the file holds something else.
    """
    path = run_dir / ROUTING_FILE
    if not path.exists():
        return {}
    try:
        return {record.key: record for record in jsonl.read(path, SampleRouting)}
    except DataFileError as error:
        raise StoreError(f"{path}: {error}", hint="remove it and give xftbench moe-report again") from error
