"""The unbiased estimator of pass@k."""

from math import comb


def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate of pass@k for one problem.

    Args:
        n: Samples drawn for the problem.
        c: Samples among them that passed, 0 <= c <= n.
        k: Draws allowed, 1 <= k <= n.

    Returns:
        1 - C(n-c, k) / C(n, k), in [0, 1]; exact integers until the one division.

    Raises:
        ValueError: If n < k; the estimate is undefined then, not 1.

    Source: Chen et al. 2021 (arXiv:2107.03374), equation 1.
    """
    if not 0 <= c <= n:
        raise ValueError(f"c must be in [0, n], got c={c}, n={n}")
    if not 1 <= k <= n:
        raise ValueError(f"pass@k needs 1 <= k <= n, got k={k}, n={n}")
    total = comb(n, k)
    return (total - comb(n - c, k)) / total
