"""Many comparisons at once: Holm's correction."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given; each below 0.05 keeps the family-wise error below 0.05.

    Holm: A Simple Sequentially Rejective Multiple Test Procedure (1979): the k-th smallest of m is multiplied with
    m - k + 1, and none may fall below the one before it.
    """
    adjusted = [0.0] * len(p_values)
    reached = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        reached = max(reached, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = reached
    return adjusted
