import pytest

from xftbench.scoring.pass_at_k import pass_at_k


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(1, 0, 1, 0.0), (1, 1, 1, 1.0), (20, 7, 1, 0.35), (5, 1, 2, 0.4), (10, 0, 10, 0.0), (10, 1, 10, 1.0)],
)
def test_known_values(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-15)


def test_large_n_does_not_overflow() -> None:
    assert 0.0 < pass_at_k(10_000, 1, 100) == pytest.approx(0.01)


@pytest.mark.parametrize(("n", "c", "k"), [(1, 0, 2), (0, 0, 1), (3, 4, 1), (3, -1, 1), (3, 1, 0)])
def test_an_undefined_estimate_is_refused_not_guessed(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="must be in|needs"):
        pass_at_k(n, c, k)
