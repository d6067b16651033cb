"""Replicates, as shuffles, resamples and drawn worlds are called together: taken in turns that fit into memory."""

from collections.abc import Iterator

_MOST_CELLS = 8_000_000  # numbers held at once: 64 MB where they are float64


def turns(n_replicates: int, n_cells: int) -> Iterator[int]:
    """How many replicates of `n_cells` numbers each to take at a time, one at least.

    Of 1,000 replicates of 20,000 accounts: 400, 400, 200. Raises ValueError for fewer than one replicate.
    """
    if n_replicates < 1:
        raise ValueError(f"{n_replicates} replicates cannot be drawn: ask for one at least")
    size = max(1, _MOST_CELLS // max(n_cells, 1))
    for start in range(0, n_replicates, size):
        yield min(size, n_replicates - start)
