"""What is told of a run's progress where stderr is no terminal."""

import pytest

from xftbench.commands.progress import ProgressView
from xftbench.pipeline import Progress


def test_the_end_is_told_at_once_and_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView("toy") as view:
        for judged in (1, 2, 3, 3):
            view(Progress(n_samples=3, n_generated=3, n_judged=judged, n_passed=1))
    assert capsys.readouterr().err.splitlines() == [
        "toy: 3/3 generated, 1 judged, 1 passed so far",
        "toy: 3/3 generated, 3 judged, 1 passed so far",
    ]
