"""Problems that are not independent of each other, gathered into clusters that are."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

ClusterOf = Callable[[str], str]
"""task_id -> the cluster that the problem belongs to; `str` leaves each problem alone."""


class Clusters(NamedTuple):
    """What is known of each cluster."""

    sums: list[float]
    """Of its problems' values."""
    sizes: list[int]
    """Its problems."""

    @property
    def are_single(self) -> bool:
        """Whether each problem is alone, so that clusters change nothing."""
        return len(self.sizes) == sum(self.sizes)

    @property
    def weights(self) -> list[int] | None:
        """The sizes, or None if each problem is alone: what the functions of `resampling` ask for."""
        return None if self.are_single else self.sizes

    @property
    def effective(self) -> float:
        """Return the number of clusters, or of equally large ones that would say as much (Kish 1965)."""
        total = sum(self.sizes)
        return total * total / sum(size * size for size in self.sizes)


def gather(task_ids: Sequence[str], values: Sequence[float], cluster_of: ClusterOf) -> Clusters:
    """Return the sums and sizes of the clusters that some problems make up, in the order of the problems."""
    sums: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for task_id, value in zip(task_ids, values, strict=True):
        cluster = cluster_of(task_id)
        sums[cluster] = sums.get(cluster, 0.0) + value
        sizes[cluster] = sizes.get(cluster, 0) + 1
    gathered = list(sums.values())
    if len(gathered) < len(values):  # what cancels out is 0, not what rounding leaves of it
        gathered = [round(value, 12) for value in gathered]
    return Clusters(gathered, list(sizes.values()))
