"""The mix of customers: what of a change comes from who they are."""

import numpy as np
import pandas as pd
import pytest

from features.arrays import Floats
from features.segments import Segmentation
from models.effects import difference_in
from models.mix import mix_shift, raked, traits_of
from reports.bars.worlds import draw

SMALL, LARGE = "essential", "enterprise"


def period(shares: dict[str, int], effect: dict[str, float], first: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """So many pairs of accounts of each plan, of which one reached; of those who did not one half has the outcome."""
    plans = np.repeat(list(shares), [2 * n for n in shares.values()])
    reached = np.tile([True, False], len(plans) // 2)
    outcome = np.zeros(len(plans), bool)
    for plan in shares:
        for group, rate in ((True, 0.5 + effect[plan]), (False, 0.5)):
            here = np.flatnonzero((plans == plan) & (reached == group))
            outcome[here[: round(rate * len(here))]] = True
    index = pd.RangeIndex(first, first + len(plans))
    rows = pd.DataFrame({"account": index, "reached": reached, "outcome": outcome}, index=index)
    return rows, pd.DataFrame({"plan": pd.array(plans, dtype="string")}, index=index)


def shift(
    then: tuple[pd.DataFrame, pd.DataFrame], now: tuple[pd.DataFrame, pd.DataFrame]
) -> tuple[float, float, float]:
    found = mix_shift(now[0], then[0], pd.concat([then[1], now[1]]))
    assert found is not None
    assert found.dimensions == ("plan",)
    return found.change.value, found.change.lower, found.change.upper


def test_other_customers_explain_a_fall_of_which_nothing_is_within_a_plan() -> None:
    # The worked example: 20 points for small, 2 for large; half and half before, one in ten small now.
    effect = {SMALL: 0.2, LARGE: 0.02}
    then, now = period({SMALL: 500, LARGE: 500}, effect, 0), period({SMALL: 100, LARGE: 900}, effect, 5000)
    value, lower, upper = shift(then, now)
    assert value == pytest.approx(0.038 - 0.11, abs=1e-6)
    assert lower < value < upper < 0
    back, _, _ = shift(now, then)
    assert back == pytest.approx(-value, abs=1e-6)


def test_a_decay_within_every_plan_is_no_mix() -> None:
    then = period({SMALL: 500, LARGE: 500}, {SMALL: 0.2, LARGE: 0.2}, 0)
    alike = period({SMALL: 500, LARGE: 500}, {SMALL: 0.0, LARGE: 0.0}, 5000)
    assert shift(then, alike) == pytest.approx((0, 0, 0), abs=1e-9)
    others = period({SMALL: 100, LARGE: 900}, {SMALL: 0.0, LARGE: 0.0}, 5000)
    value, lower, upper = shift(then, others)
    assert value == pytest.approx(0, abs=1e-9)
    assert lower < 0 < upper


def test_the_interval_holds_what_this_mix_would_change_in_most_samples() -> None:
    rng, held, n_samples = np.random.default_rng(3), 0, 400
    effect = {SMALL: 0.25, LARGE: 0.0}
    plan = np.array([SMALL] * 300 + [LARGE] * 100 + [SMALL] * 100 + [LARGE] * 300)
    index = pd.RangeIndex(len(plan))
    traits = pd.DataFrame({"plan": pd.array(plan, dtype="string")}, index=index)
    reached = index % 2 == 0
    chance = 0.5 + np.where(reached, [effect[one] for one in plan], 0)
    for _ in range(n_samples):
        outcome = rng.random(len(plan)) < chance
        rows = pd.DataFrame({"account": index, "reached": reached, "outcome": outcome}, index=index)
        found = mix_shift(rows[400:], rows[:400], traits)
        assert found is not None
        held += found.change.lower <= 0.25 * (0.25 - 0.75) <= found.change.upper
    assert 0.92 <= held / n_samples <= 0.98


def test_rows_of_one_account_are_one_draw() -> None:
    effect = {SMALL: 0.2, LARGE: 0.0}
    then, now = period({SMALL: 200, LARGE: 200}, effect, 0), period({SMALL: 100, LARGE: 300}, effect, 5000)

    def twice(part: pd.DataFrame) -> pd.DataFrame:
        return pd.concat([part, part.set_index(part.index + 10_000)])

    again = [(twice(rows), twice(traits)) for rows, traits in (then, now)]
    assert shift(*again) == pytest.approx(shift(then, now), abs=1e-9)


def test_numbers_are_parted_in_thirds_of_before() -> None:
    # By thirds of both periods together, of whom most have three seats, one and two would be as one.
    seats, effect = {"one": 1.0, "two": 2.0, "three": 3.0}, {"one": 0.3, "two": 0.1, "three": 0.0}
    before, then = period({"one": 100, "two": 100, "three": 100}, effect, 0)
    recent, now = period({"one": 30, "two": 10, "three": 260}, effect, 1000)
    traits = pd.concat([then, now])["plan"].map(seats).astype(float).to_frame("seats")
    found = mix_shift(recent, before, traits)
    assert found is not None
    assert found.dimensions == ("seats",)
    assert found.change.value == pytest.approx((30 * 0.3 + 10 * 0.1) / 300 - 0.4 / 3, abs=1e-6)


def test_raked_rows_have_the_shares_of_one_side_in_every_dimension() -> None:
    rng = np.random.default_rng(1)
    codes = [rng.choice(3, 900, p=(0.6, 0.2, 0.2)), rng.integers(0, 2, 900)]
    codes[0][:300], codes[1][:300] = rng.integers(0, 3, 300), rng.random(300) < 0.8
    side = np.arange(900) < 300
    parted = [Segmentation(str(i), ("a", "b", "c")[: code.max() + 1], code) for i, code in enumerate(codes)]
    weight = raked(parted, ~side, side)
    assert weight is not None
    assert (weight[side] == 0).all()
    for one in parted:
        assert _shares(one, weight) == pytest.approx(_shares(one, side.astype(float)), abs=1e-5)
        assert _shares(one, weight) != pytest.approx(_shares(one, (~side).astype(float)), abs=0.05)


def test_no_dimension_is_left_behind_by_one_that_needs_no_weights() -> None:
    # Plan and size go together among the rows `of`; where they are from is alike on both sides.
    side = np.arange(400) < 200
    plan = np.arange(400) % 2
    size = np.where(side | (np.arange(400) % 6 < 2), np.arange(400) // 2 % 2, plan).astype(np.intp)
    codes = {"plan": np.where(side, (np.arange(400) % 10 < 3), plan).astype(np.intp), "size": size}
    parted = [Segmentation(name, ("a", "b"), code) for name, code in codes.items()]
    parted.append(Segmentation("country", ("a",), np.zeros(400, np.intp)))
    weight = raked(parted, ~side, side)
    assert weight is not None
    assert _shares(parted[0], weight) == pytest.approx([0.7, 0.3], abs=1e-5)
    assert _shares(parted[1], weight) == pytest.approx([0.5, 0.5], abs=1e-5)


def test_a_kind_of_customer_that_is_gone_is_stood_for_by_the_others() -> None:
    code = np.array([0, 0, 1, 2, 1, 2, 2, 2, 2, 2])
    side = np.arange(10) < 4
    weight = raked([Segmentation("plan", ("a", "b", "c"), code)], ~side, side)
    assert weight is not None
    assert weight[4] == pytest.approx(weight[5:].sum())
    assert raked([Segmentation("plan", ("a", "b"), (~side).astype(np.intp))], ~side, side) is None


def test_dimensions_that_no_weights_bring_to_their_shares_are_told() -> None:
    # Plan and size are one in the rows `of`, and are not in `to`.
    side = np.arange(400) < 200
    plan = np.arange(400) % 2
    size = np.where(side, np.arange(400) % 4 > 0, plan).astype(np.intp)
    parted = [Segmentation("plan", ("a", "b"), plan), Segmentation("size", ("s", "l"), size)]
    assert raked(parted, ~side, side) is None
    assert raked(parted[:1], ~side, side) is not None


def test_a_few_accounts_do_not_speak_for_a_kind_that_is_many_now() -> None:
    effect = {SMALL: 0.0, LARGE: 0.0}
    few, some = ({SMALL: 396, LARGE: 4}, {SMALL: 340, LARGE: 60})
    now, trait_now = period({SMALL: 200, LARGE: 200}, effect, 5000)
    for shares, known in ((few, False), (some, True)):
        before, traits = period(shares, effect, 0)
        assert (mix_shift(now, before, pd.concat([traits, trait_now])) is not None) is known


def _shares(parts: Segmentation, weight: Floats) -> list[float]:
    found = np.bincount(parts.code, weights=weight, minlength=len(parts.labels)) / weight.sum()
    return [float(share) for share in found]


def test_nothing_is_said_where_nothing_tells_customers_apart() -> None:
    effect = {SMALL: 0.2}
    (before, traits), (recent, others) = period({SMALL: 100}, effect, 0), period({SMALL: 100}, effect, 1000)
    both = pd.concat([traits, others])
    assert mix_shift(recent, before, both) is None
    assert mix_shift(recent, before, both[[]]) is None
    assert mix_shift(recent, before[:0], both) is None
    assert mix_shift(recent[recent["reached"]], before[before["reached"]], both) is None
    assert difference_in(recent) is not None


def test_customers_are_told_apart_by_what_they_were_when_the_window_began() -> None:
    world = draw("mix-shift", 5, judged=400, beside=())
    cohort, spells = world.cohort(), world.log.subscriptions
    assert spells is not None
    traits = traits_of(cohort, world.log, world.framework.data)
    assert list(traits) == ["seats", "plan"]
    assert traits.index.equals(cohort.frame.index)
    first = spells.sort_values("started_at").drop_duplicates("account").set_index("account")
    last = spells.sort_values("started_at").drop_duplicates("account", keep="last").set_index("account")
    seats, account = traits["seats"], cohort.frame["account"]
    known = seats.notna()
    assert known.mean() > 0.5
    assert (seats[known] == account[known].map(first["seats"])).all()
    assert (seats[known] != account[known].map(last["seats"])).any()
