"""What is taken in turns, in parts and on many threads is the same as what is not."""

import numpy as np
import pytest

from features.arrays import Flags, Floats, Integers
from models.cutpoints import Candidate, CutFamily, association
from models.permutations import Shuffles, corrected, permutation_maxima
from models.plateau import Resamples
from models.replicates import turns
from models.shape import Shape, step_or_smooth

N = 3000


def _family(block: Integers) -> tuple[CutFamily, Flags]:
    """A count, of which most are 0 and some bins hold hundreds, a rate of thousands of cuts, and a constant."""
    rng = np.random.default_rng(0)
    counts = np.minimum(rng.negative_binomial(0.6, 0.07, N), 9).astype(float)
    columns = (counts, rng.lognormal(size=N), np.zeros(N))
    candidates = [Candidate(f"column {i}", ("e",), 30, False, column) for i, column in enumerate(columns)]
    return CutFamily.of(candidates, block), rng.random(N) < np.where(counts >= 7, 0.8, 0.6)


def _blocks() -> Integers:
    return np.random.default_rng(1).integers(0, 3, N)


@pytest.mark.parametrize("n_bad", [None, 10])
def test_the_maximum_is_over_every_cut_of_every_candidate_however_many_accounts_a_bin_holds(
    n_bad: int | None,
) -> None:
    block = _blocks()
    family, outcome = _family(block)
    outcome = outcome if n_bad is None else np.arange(N) >= n_bad  # more good in a bin than a byte counts
    assert family.histogram(0).sum(axis=1).max() > 3 * 255
    again, shuffled = np.random.default_rng(4), np.empty((12, N), bool)
    for one in range(3):
        rows = np.flatnonzero(block == one)
        shuffled[:, rows] = again.permuted(np.tile(outcome[rows].astype(np.uint8), (12, 1)), axis=1)
    expected = [association(family, row).phi.max() for row in shuffled]
    assert permutation_maxima(family, outcome, np.random.default_rng(4), 12) == pytest.approx(expected)


@pytest.mark.parametrize("n_threads", [1, 5])
def test_threads_parts_slabs_and_memory_change_nothing(
    n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    family, outcome = _family(_blocks())
    whole = permutation_maxima(family, outcome, np.random.default_rng(2), 115)
    monkeypatch.setattr("models.replicates._MOST_CELLS", 10 * 1000)  # of a block ten are drawn at a time
    monkeypatch.setattr("os.cpu_count", lambda: n_threads)
    monkeypatch.setattr("models.permutations._SEARCHED_CELLS", 1)
    monkeypatch.setattr("models.permutations._FEWEST_SHUFFLES", 1)
    monkeypatch.setattr("models.permutations._SLAB", 70)
    parts = permutation_maxima(family, outcome, np.random.default_rng(2), 115)
    assert len(whole) == 115
    assert parts.tolist() == whole.tolist()


def test_a_shuffle_keeps_what_each_block_holds_and_another_is_another() -> None:
    block = np.array([7, 2, 7, 2, 2, 7, 7, 7, 7, 7, 2])  # neither in order nor from 0
    outcome = np.array([1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0], bool)
    shuffles = Shuffles.drawn(outcome, block, np.random.default_rng(0), 500)
    drawn = np.concatenate([shuffles[which] for which in shuffles.parts(1)], axis=1)
    assert (drawn == shuffles[0:500]).all()
    assert drawn.shape == (11, 500)
    assert (drawn[block == 2].sum(axis=0) == 1).all()
    assert (drawn[block == 7].sum(axis=0) == 2).all()
    assert drawn.mean(axis=1) == pytest.approx(np.where(block == 2, 1 / 4, 2 / 7), abs=0.08)
    with pytest.raises(ValueError, match="0 replicates cannot be drawn"):
        Shuffles.drawn(outcome, block, np.random.default_rng(0), 0)


def test_a_shuffle_that_does_as_well_counts_in_spite_of_rounding() -> None:
    maxima = np.array([0.3, 0.1, 0.2])
    phi = np.array([0.3, 0.2 + 1e-8, 0.2 - 1e-8, 0.25, 0.4])
    assert corrected(maxima, phi).tolist() == [2 / 4, 3 / 4, 3 / 4, 2 / 4, 1 / 4]


def test_where_nothing_varies_noise_reaches_nothing() -> None:
    family, outcome = _family(np.arange(N))
    assert permutation_maxima(family, outcome, np.random.default_rng(0), 7).tolist() == [0.0] * 7
    constant = CutFamily.of([family.candidates[2]], _blocks())
    assert permutation_maxima(constant, outcome, np.random.default_rng(0), 7).tolist() == [0.0] * 7


def test_a_stability_range_and_a_shape_in_turns_are_those_of_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    block = _blocks()
    family, outcome = _family(block)
    own = CutFamily.of([family.candidates[0]], block)
    size, good = own.histogram(0), own.histogram(0, outcome.astype(float))

    def found() -> tuple[tuple[float, float] | None, Shape]:
        level: Floats = np.arange(len(size), dtype=float)
        rng = np.random.default_rng(6)
        return Resamples.of(own, outcome, rng, 90).stability_range(), step_or_smooth(
            level, size, good, rng, n_replicates=50
        )

    whole = found()
    monkeypatch.setattr("models.replicates._MOST_CELLS", 13 * size.size)
    assert found() == whole
    assert whole[0] is not None


def test_turns_add_up_and_are_bounded() -> None:
    assert [*turns(1000, 20_000)] == [400, 400, 200]
    assert [*turns(3, 10**9)] == [1, 1, 1]
    assert [*turns(1000, 0)] == [1000]
    with pytest.raises(ValueError, match="0 replicates cannot be drawn"):
        [*turns(0, 5)]
