"""Whatever goes into a sweep: a verdict or a ValueError in words, and never a warning of numpy (an error in tests)."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from features.arrays import Floats, Integers
from models.cutpoints import Candidate, CutFamily, association
from models.finding import SweepResult
from models.held_out import HeldOut
from models.sweep import sweep

N = 400


def _usage(n: int = N) -> Floats:
    return np.random.default_rng(0).negative_binomial(0.6, 0.07, n).astype(float)


def _candidate(values: Floats, name: str = "replies") -> Candidate:
    return Candidate(name, (name,), 30, False, values)


def _swept(
    values: Sequence[Floats],
    outcome: NDArray[Any] | None = None,
    block: Integers | None = None,
    current: tuple[str, float] | None = None,
) -> SweepResult:
    """A sweep of these columns, for an outcome that goes with usage unless another is given."""
    candidates = [_candidate(column, f"column {i}") for i, column in enumerate(values)]
    n = len(values[0]) if values else N
    rng = np.random.default_rng(1)
    good = rng.random(n) < np.where(_usage(n) >= 7, 0.85, 0.5) if outcome is None else outcome
    blocks = rng.integers(0, 4, n) if block is None else block
    result = sweep(candidates, good, blocks, rng, current=current, n_permutations=40)
    json.dumps(result.as_dict(), allow_nan=False)  # no hole is handed on
    assert all(np.isfinite(column).all() for column in result.grid.values() if column.dtype != object)
    return result


# --- values ---


@pytest.mark.parametrize(
    ("values", "verdict", "n_cuts"),
    [
        (np.zeros(N), "insufficient_data", 0),
        (np.full(N, 7.5), "insufficient_data", 0),
        (np.where(np.arange(N) < 3, 1.0, 0.0), "insufficient_data", 0),  # heavy ties: three of 400 beside all others
        (np.where(np.arange(N) % 2, 3.0, 0.0), "none", 1),  # two values: a single cut
        (np.minimum(_usage(), 8.0), "supported", 8),  # a fifth at 0, many at the most: still found
        (-_usage(), "none", None),  # less is better: a milestone is a rise
        (_usage() * 1e300, "supported", None),
        (_usage() * 1e-300, "supported", None),
    ],
)  # fmt: skip
def test_values(values: Floats, verdict: str, n_cuts: int | None) -> None:
    result = _swept([values])
    assert result.verdict == verdict or (verdict == "supported" and result.operating_cut is not None)
    assert n_cuts is None or result.family["cuts"] == n_cuts
    if verdict == "insufficient_data":
        assert f"no cut of any candidate leaves enough of the {N} accounts on both sides" in result.sentence


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_by_the_name_of_its_candidate(bad: float) -> None:
    values = _usage()
    values[[3, 5]] = bad
    with pytest.raises(ValueError, match="column 0: 2 values are not finite"):
        _swept([values])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros((N, 2)), r"replies: values \(400, 2\) must be one column"),
        (np.array(["a", "b"]), "replies: values are <U1, not numbers"),
        (np.array([1.0, None], dtype=object), "replies: values are object, not numbers"),
    ],
)
def test_values_that_are_no_column_of_numbers_are_refused(values: Floats, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _candidate(values)


def test_a_constant_candidate_takes_nothing_from_the_others() -> None:
    alone, beside = _swept([_usage()]), _swept([_usage(), np.zeros(N)])
    assert alone.best == beside.best == "column 0"
    assert alone.p_corrected == beside.p_corrected


# --- outcomes ---


@pytest.mark.parametrize(("good", "words"), [(0, "0 of 400"), (N, "0 of 400"), (N - 5, "5 of 400")])
def test_an_outcome_nobody_or_everybody_has_is_a_verdict(good: int, words: str) -> None:
    result = _swept([_usage()], np.arange(N) < good)
    assert result.verdict == "insufficient_data"
    assert f"{words} accounts had the rarer outcome" in result.sentence


@pytest.mark.parametrize(
    "outcome", [np.where(np.arange(N) == 7, np.nan, 1.0), np.full(N, 0.5), np.arange(N) % 3]
)
def test_an_outcome_that_is_not_yes_or_no_is_refused(outcome: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match="outcome must be true or false"):
        _swept([_usage()], outcome)


def test_an_outcome_of_zeros_and_ones_is_as_good_as_flags() -> None:
    good = _usage() >= 7
    assert _swept([_usage()], good.astype(float)).sentence == _swept([_usage()], good).sentence


def test_an_outcome_that_is_the_milestone_itself() -> None:
    result = _swept([_usage()], _usage() >= 7)
    assert (result.verdict, result.threshold) == ("threshold", 7.0)
    assert result.phi == pytest.approx(1.0, abs=0.02)


# --- accounts and blocks ---


def test_ten_accounts_are_too_few() -> None:
    result = _swept([_usage(10)])
    assert result.verdict == "insufficient_data"
    assert "10 accounts, at least 60 are needed" in result.sentence


def test_an_empty_list_of_candidates_is_a_verdict() -> None:
    result = _swept([])
    assert result.verdict == "insufficient_data"
    assert result.family == {"features": 0, "cuts": 0, "windows": 0, "candidates": 0}


@pytest.mark.parametrize(
    ("block", "verdict"),
    [
        (np.arange(N), "none"),  # an account a block: within a block nothing varies, and nothing can be said
        (np.arange(N) // 2, None),  # pairs
        (np.where(np.arange(N) == 0, 9, 0), "threshold"),  # a block of one account beside a large one
        (np.random.default_rng(2).integers(0, 4, N) * 10**12 - 5, "threshold"),  # codes of any kind
    ],
)
def test_blocks(block: Integers, verdict: str | None) -> None:
    result = _swept([_usage()], block=block)
    assert verdict is None or result.verdict == verdict


def test_a_block_in_which_everybody_or_nobody_is_good() -> None:
    block = np.arange(N) // 100
    outcome = np.where(block == 0, True, np.where(block == 1, False, _usage() >= 7))
    assert _swept([_usage()], outcome, block).verdict == "threshold"


# --- the milestone in use ---


@pytest.mark.parametrize(("cut", "share"), [(-1.0, 1.0), (1e9, 0.0)])
def test_a_milestone_that_everybody_or_nobody_reached(cut: float, share: float) -> None:
    result = _swept([_usage()], current=("column 0", cut))
    assert (_usage() >= cut).mean() == share
    assert result.verdict == "threshold"
    assert result.gain_over_current is None


def test_a_milestone_in_use_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="cut in use of 'column 0' is nan"):
        _swept([_usage()], current=("column 0", np.nan))


@pytest.mark.parametrize("block", [np.zeros(N, np.int64), np.arange(N)])
def test_a_sweep_without_a_permutation_is_refused(block: Integers) -> None:
    with pytest.raises(ValueError, match="0 replicates cannot be drawn: ask for one at least"):
        sweep([_candidate(_usage())], _usage() >= 7, block, np.random.default_rng(0), n_permutations=0)


@pytest.mark.parametrize("band", [(0.6, 0.2), (np.nan, 0.2), (0.2, 1.5)])
def test_a_band_that_is_none_is_refused(band: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must be two rising shares"):
        sweep(
            [_candidate(_usage())], _usage() >= 7, np.zeros(N, np.int64), np.random.default_rng(0), band=band
        )


def test_of_a_single_fold_nothing_is_held_out() -> None:
    block, rng = np.zeros(N, np.int64), np.random.default_rng(0)
    result = sweep([_candidate(_usage())], _usage() >= 7, block, rng, n_permutations=40, group=block)
    assert result.verdict == "threshold"
    assert result.effect("best") is not None
    assert result.effect("out_of_sample") is None


# --- families ---


def test_a_family_keeps_so_many_cuts_of_each_candidate_about_equally_many_accounts_apart() -> None:
    rates, counts = np.random.default_rng(0).lognormal(size=5000), np.arange(5000.0) // 500
    block = np.zeros(5000, np.int64)
    whole = CutFamily.of([_candidate(rates, "a"), _candidate(counts, "b")], block)
    family = CutFamily.of([_candidate(rates, "a"), _candidate(counts, "b")], block, most_cuts=50)
    assert [len(cuts) for cuts in family.cuts] == [50, 9]  # few are all kept
    assert family.cuts[0][[0, -1]].tolist() == whole.cuts[0][[0, -1]].tolist()
    assert np.isin(family.cuts[0], whole.cuts[0]).all()
    n_reached = association(family, rates > 1).n_reached[:50]
    assert n_reached.tolist() == [(rates >= cut).sum() for cut in family.cuts[0]]
    assert np.ptp(np.diff(n_reached)) <= 1  # 4,800 accounts between the first and the last, over 49 steps
    with pytest.raises(ValueError, match="most_cuts 0 leaves no cut"):
        CutFamily.of([], block, most_cuts=0)


# --- what is said of it ---


def test_what_could_be_seen_and_what_is_excluded_are_of_cuts_within_the_band() -> None:
    outcome = np.random.default_rng(3).random(N) < 0.6
    rare = float(np.quantile(_usage(), 0.95))
    result = _swept([_usage()], outcome, np.zeros(N, np.int64), ("column 0", rare))
    assert result.null is not None
    noise, base = float(np.quantile(result.null, 0.95)), outcome.mean()

    def points(share: Any) -> Any:
        return np.sqrt(base * (1 - base) / (share * (1 - share)))

    share, phi = result.grid["share_reached"], result.grid["phi"]
    inside = (share >= 0.2) & (share <= 0.6)
    assert 0 < inside.sum() < len(share)
    assert result.excluded_above == pytest.approx(((phi + noise) * points(share))[inside].max())
    assert result.smallest_detectable == pytest.approx((noise + norm.ppf(0.8) / np.sqrt(N)) * points(0.2))


@pytest.mark.parametrize(("rise", "clear"), [(0.22, False), (0.35, True)])
def test_where_the_choice_may_be_noise_what_was_held_out_is_less_sure(rise: float, clear: bool) -> None:
    outcome = np.random.default_rng(3).random(N) < 0.5 + rise * (_usage() >= 7)
    fold, block = np.arange(N) % 5, np.zeros(N, np.int64)
    result = sweep(
        [_candidate(_usage())], outcome, block, np.random.default_rng(1), n_permutations=200, group=fold
    )
    assert result.p_corrected is not None
    assert (result.p_corrected < 0.01) is clear
    assert result.p_corrected < 0.05
    held_out = HeldOut.of(CutFamily.of([_candidate(_usage())], block), outcome, fold)
    assert result.effect("out_of_sample") == held_out.effects(clear=clear)[0].estimate


def test_youden_is_taken_over_all_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    # value    0 0 1 1 3 3 3    ">= 1": 3 of 3 good reach it, 2 of 4 bad: 1 - 1/2
    # outcome  - - - + + + -    ">= 3": 2 of 3, 1 of 4: 2/3 - 1/4
    monkeypatch.setattr("models.cutpoints.FEWEST_ON_A_SIDE", 1)
    values = np.array([0.0, 0, 1, 1, 3, 3, 3])
    good = np.array([False, False, False, True, True, True, False])
    for block in (np.zeros(7, np.int64), np.array([0, 1, 0, 1, 0, 1, 0])):  # blocks make no difference
        family = CutFamily.of([_candidate(values)], block)
        assert association(family, good).youden == pytest.approx([1 / 2, 2 / 3 - 1 / 4])
    assert association(family, ~good).youden == pytest.approx([-1 / 2, 1 / 4 - 2 / 3])
    assert association(family, values > 9).youden.tolist() == [0.0, 0.0]
