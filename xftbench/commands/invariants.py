"""Merge invariants for the gate: a thin call of the method's own checks."""

from pathlib import Path

from xftbench.errors import BackendError, UsageProblem
from xftbench.report.gate_output import InvariantResult


def check_invariants(directory: Path, parents: Path | None, *, logits: bool) -> list[InvariantResult]:
    """Return what holds of a checkpoint and of everything that it was made from.

    Raises:
        BackendError: If the checkpoint can't be read.
        UsageProblem: If it has no lineage: nothing was made from anything.
    """
    # Not at the top: it imports numpy, and torch for a mixture's routers.
    from xft.errors import XftError
    from xft.invariants import check_line, check_step_0
    from xft.lineage import read_lineage

    try:
        if read_lineage(directory) is None and directory.is_dir():
            raise UsageProblem(
                f"{directory} has no xft_lineage.json, so it is not known what it was made from",
                hint="checkpoints that xft writes have one",
            )
        checks = list(check_line(directory, parents))
        if logits:
            checks += check_step_0(directory, parents)
    except XftError as error:
        raise BackendError(error.message, error.hint) from error
    return [
        InvariantResult(
            name=check.name, checkpoint=Path(check.checkpoint).name, status=check.status, detail=check.detail
        )
        for check in checks
    ]
