"""Adoption drawn: who is in the denominator, who has adopted, in which quarter, plan and size."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from features import adoption as meaning
from features.adoption import ADOPTED_ABOVE, adopted_above, recent_adoption
from features.benchmark import Benchmark, benchmark
from features.declaration import Features
from features.specs import Aggregation
from features.tally import Tally
from models.estimates import proportion
from tests.spec import reference
from tests.spec.drawn import table

SHARES = ("n_observations", "n_accounts", "n_adopters", "n_missing", "adoption")
CLOSES = {"2023Q1": "2023-04-01", "2023Q2": "2023-07-01", "2023Q3": "2023-10-01", "2023Q4": "2024-01-01"}
CLOSES |= {"2024Q1": "2024-04-01", "2024Q2": "2024-07-01", "2024Q3": "2024-10-01", "2024Q4": "2025-01-01"}


def counting(name: str, **changes: Any) -> dict[str, Any]:
    """A described feature."""
    return {
        "name": name,
        "aggregation": "count",
        "per": None,
        "trend": False,
        "by_definition": False,
        **changes,
    }


def matrix(text: str) -> pd.DataFrame:
    """A drawn matrix: account, quarter [, plan, seats] and features; '-' is missing."""
    frame = table(text).rename(columns={"account": "account_id"})
    frame["as_of"] = pd.to_datetime(frame["quarter"].map(CLOSES))
    numbers = [c for c in frame if c not in ("account_id", "quarter", "as_of", "plan")]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def cell(found: pd.DataFrame, **where: str) -> tuple[Any, ...]:
    """What stands in one row: observations, accounts, adopters, missing, share."""
    rows = found
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return tuple(rows.iloc[0][list(SHARES)])


PREMIUM = """
account | quarter | plan    | sla | login
a       | 2024Q1  | basic   | -   | 2
b       | 2024Q1  | basic   | -   | 0
c       | 2024Q1  | premium | 3   | 1
d       | 2024Q1  | premium | 0   | 1
c       | 2024Q2  | premium | 1   | 0
d       | 2024Q2  | basic   | -   | 5
"""


def test_a_feature_of_one_plan_is_counted_among_those_who_have_the_plan() -> None:
    found = benchmark(matrix(PREMIUM), [counting("sla"), counting("login")])
    quarters = found.by_quarter
    assert cell(quarters, feature="sla", dimension="all", quarter="2024Q1") == (2, 2, 1, 2, 0.5)
    assert cell(quarters, feature="sla", segment="premium", quarter="2024Q1") == (2, 2, 1, 0, 0.5)
    assert cell(quarters, feature="sla", segment="basic", quarter="2024Q1")[:4] == (0, 0, 0, 2)
    assert cell(quarters, feature="sla", dimension="all", quarter="2024Q2") == (1, 1, 1, 1, 1.0)
    assert cell(quarters, feature="login", dimension="all", quarter="2024Q1") == (4, 4, 3, 0, 0.75)
    # c is there twice, and once an account
    assert cell(found.newest, feature="sla", dimension="all") == (3, 2, 1, 3, 2 / 3)
    assert found.quarters == ("2024Q1", "2024Q2")
    assert found.size_by is None


def test_what_is_missing_altogether_has_no_share_and_what_nobody_uses_has_the_share_nought() -> None:
    text = "account | quarter | gone | unused\na | 2024Q1 | - | 0\nb | 2024Q1 | - | 0"
    features = [counting("gone"), counting("unused")]
    found = benchmark(matrix(text), features).newest
    assert cell(found, feature="gone")[:4] == (0, 0, 0, 2)
    assert found.loc[found["feature"] == "gone", ["adoption", "lower", "upper"]].isna().all(axis=None)
    assert cell(found, feature="unused") == (2, 2, 0, 0, 0.0)
    assert found.loc[found["feature"] == "unused", "upper"].item() == pytest.approx(
        binomtest(0, 2).proportion_ci(method="wilson").high
    )
    assert recent_adoption(matrix(text), features, Features(minimum_support=1)) == {
        "gone": {"adoption": None, "class": "unclear"},
        "unused": {"adoption": 0.0, "class": "niche"},
    }


def test_one_account_is_enough_to_count_and_too_few_to_say() -> None:
    text = "account | quarter | used\n" + "\n".join(f"a | {quarter} | 1" for quarter in CLOSES)
    found = benchmark(matrix(text), [counting("used")])
    assert cell(found.newest, feature="used") == (4, 1, 1, 0, 1.0)
    alone = binomtest(1, 1).proportion_ci(method="wilson").low  # four quarters of one account are one account
    assert found.newest["lower"].item() == pytest.approx(alone)
    assert recent_adoption(matrix(text), [counting("used")], Features())["used"]["class"] == "unclear"


def test_no_observation_and_no_feature_that_applies_are_tables_without_rows() -> None:
    empty = matrix(PREMIUM).iloc[:0]
    found = benchmark(empty, [counting("sla")])
    assert (len(found.by_quarter), len(found.newest), len(found.earliest), found.quarters) == (0, 0, 0, ())
    assert len(benchmark(matrix(PREMIUM), [counting("sla", trend=True)]).by_quarter) == 0


def test_the_first_year_is_the_first_in_which_anybody_could_use_it() -> None:
    late = ["-", "-", "0", "1", "1", "1", "1", "1"]
    lines = [f"a | {quarter} | 1 | {value} | -" for quarter, value in zip(CLOSES, late, strict=True)]
    found = benchmark(
        matrix("account | quarter | always | late | never\n" + "\n".join(lines)),
        [counting("always"), counting("late"), counting("never")],
    ).earliest

    def said(feature: str, *columns: str) -> list[Any]:
        (row,) = found[found["feature"] == feature].to_dict("records")
        return [row[column] for column in columns]

    assert said("always", "first_quarter", "last_quarter") == ["2023Q1", "2023Q4"]
    assert said("late", "first_quarter", "last_quarter") == ["2023Q3", "2023Q4"]
    assert said("late", "n_observations", "adoption") == [2, 0.5]
    assert said("never", "first_quarter", "n_observations") == ["", 0]


def test_the_newest_year_is_the_last_four_quarters() -> None:
    quarters = list(CLOSES)[:5]
    text = "account | quarter | x\n" + "\n".join(f"a | {q} | {int(q == '2023Q1')}" for q in quarters)
    assert benchmark(matrix(text), [counting("x")]).newest_year == tuple(quarters[1:])
    assert recent_adoption(matrix(text), [counting("x")], Features(minimum_support=1))["x"]["adoption"] == 0.0


def drawn_at_random(seed: int, n_features: int = 5) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Accounts that come and go over eight quarters, change plan and seats, with values that are often missing."""
    rng = np.random.default_rng(seed)
    pairs = [(f"a{i}", q) for i in range(60) for q in CLOSES if rng.random() < 0.6]
    rng.shuffle(pairs)
    frame = pd.DataFrame(pairs, columns=["account_id", "quarter"])
    frame["as_of"] = pd.to_datetime(frame["quarter"].map(CLOSES))
    frame["plan"] = rng.choice(np.array(["basic", "pro", None], dtype=object), len(frame))
    frame["seats"] = rng.choice([1.0, 2.0, 2.0, 5.0, 9.0, np.nan], len(frame))
    names = [f"f{i}" for i in range(n_features)]
    shape = (len(frame), n_features)
    values = rng.poisson(rng.random(n_features) * 2, shape).astype(float)
    columns = pd.DataFrame(np.where(rng.random(shape) < 0.2, np.nan, values), columns=names)
    return pd.concat([frame, columns], axis=1), [counting(name) for name in names]


def plainly(frame: pd.DataFrame, features: list[dict[str, Any]], found: Benchmark) -> list[tuple[Any, ...]]:
    """Every cell of the table by quarter, by the plain reference, in the order of the found rows."""
    limits = np.unique(
        np.quantile(
            frame.loc[frame["quarter"].str.startswith("2024"), "seats"].dropna(),
            [1 / 3, 2 / 3],
            method="inverted_cdf",
        )
    )
    assert len(limits) == 2
    low, high = limits

    def size(seats: float) -> str:
        if math.isnan(seats):
            return "unknown"
        if seats <= low:
            return f"up to {low:g} seats"
        return f"over {low:g} to {high:g} seats" if seats <= high else f"over {high:g} seats"

    segment = {
        "all": ["all"] * len(frame),
        "plan": ["unknown" if pd.isna(plan) else str(plan) for plan in frame["plan"]],
        "size": [size(seats) for seats in frame["seats"]],
    }  # fmt: skip
    expected = []
    for row in found.by_quarter.itertuples():
        values = zip(frame["account_id"], frame[str(row.feature)], strict=True)
        places = zip(segment[str(row.dimension)], frame["quarter"], strict=True)
        inside = [v for v, where in zip(values, places, strict=True) if where == (row.segment, row.quarter)]
        expected.append(reference.adoption(inside))
    return expected


@pytest.mark.parametrize("seed", range(3))
def test_every_cell_is_what_the_plain_reference_counts(seed: int) -> None:
    frame, features = drawn_at_random(seed)
    found = benchmark(frame, features)
    expected = pd.DataFrame(plainly(frame, features, found), columns=list(SHARES))
    everyone = found.by_quarter.groupby("dimension", observed=True)[["n_observations", "n_missing"]].sum()
    assert everyone.sum(axis=1).to_dict() == dict.fromkeys(
        ("all", "plan", "size"), len(frame) * len(features)
    )
    pd.testing.assert_frame_equal(found.by_quarter[list(SHARES)], expected, check_dtype=False)


def test_the_interval_of_a_quarter_is_wilsons_and_that_of_a_year_counts_repeated_accounts_as_everywhere() -> (
    None
):
    frame, features = drawn_at_random(7)
    found = benchmark(frame, features)
    one = found.by_quarter[found.by_quarter["dimension"] == "all"]
    for row in one.itertuples():
        wilson = binomtest(row.n_adopters, row.n_observations).proportion_ci(method="wilson")
        assert (row.lower, row.upper) == pytest.approx((wilson.low, wilson.high))
    year = frame[frame["quarter"].str.startswith("2024")]
    for row in found.newest[found.newest["dimension"] == "all"].itertuples():
        known = year[year[str(row.feature)].notna()]
        codes = pd.factorize(known["account_id"])[0].astype(np.int64)
        estimate = proportion((known[str(row.feature)] > 0).to_numpy(), codes)
        assert estimate is not None
        said = (estimate.value, estimate.lower, estimate.upper, estimate.n_accounts)
        assert (row.adoption, row.lower, row.upper, row.n_accounts) == pytest.approx(said)


def test_two_thousand_features_are_counted_in_blocks_and_sorted_into_cells_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame, features = drawn_at_random(1, 2000)
    whole = benchmark(frame, features)
    made: list[Tally] = []
    sizes: list[int] = []
    of, shares = Tally.of, Tally.shares

    def counted_of(*arguments: Any) -> Tally:
        made.append(of(*arguments))
        return made[-1]

    def counted_shares(self: Tally, known: Any, used: Any) -> dict[str, Any]:
        sizes.append(known.size)
        return shares(self, known, used)

    monkeypatch.setattr(Tally, "of", counted_of)
    monkeypatch.setattr(Tally, "shares", counted_shares)
    monkeypatch.setattr(meaning, "BLOCK_CELLS", 100 * len(frame))
    parts = benchmark(frame, features)
    assert len(made) == 7  # three segmentations by quarter and year, and the whole
    assert len(sizes) == 7 * 20
    assert max(sizes) <= 100 * len(frame)
    for part in ("by_quarter", "newest", "earliest"):
        order = ["feature", "dimension", "segment"] + ["quarter"] * (part == "by_quarter")
        one, many = (getattr(b, part).sort_values(order, ignore_index=True) for b in (whole, parts))
        pd.testing.assert_frame_equal(one, many)
    assert whole.newest["feature"].nunique() == 2000


# --- what adoption means ---


def test_every_aggregation_says_what_adoption_means() -> None:
    assert set(ADOPTED_ABOVE) == set(Aggregation)
    applies = {a.value for a, limit in ADOPTED_ABOVE.items() if limit is not None}
    assert applies == {
        "count", "active_days", "active_weeks", "streak", "distinct_users", "groups", "state",
    }  # fmt: skip


def test_a_trend_says_nothing_of_adoption() -> None:
    assert adopted_above(counting("x")) == 0.0
    assert adopted_above(counting("x", trend=True)) is None
    frame = matrix("account | quarter | x\na | 2024Q1 | 0.5\nb | 2024Q1 | -1")
    nothing = {"x": {"adoption": None, "class": None}}
    assert recent_adoption(frame, [counting("x", trend=True)], Features(minimum_support=1)) == nothing
    assert (
        recent_adoption(frame, [counting("x", aggregation="seats")], Features(minimum_support=1)) == nothing
    )


@pytest.mark.parametrize(
    ("used", "of", "expected"),
    [
        (1, 25, "unclear"),
        (49, 1000, "niche"),
        (50, 1000, "representative"),
        (950, 1000, "representative"),
        (951, 1000, "ubiquitous"),
        (15, 30, "representative"),
        (15, 29, "unclear"),
    ],
)
def test_both_ends_of_adoption_are_set_apart_and_too_few_accounts_have_no_class(
    used: int, of: int, expected: str
) -> None:
    frame = pd.DataFrame(
        {"account_id": [f"a{i}" for i in range(of)], "as_of": pd.Timestamp("2025-01-01"), "x": 0.0}
    )
    frame.loc[: used - 1, "x"] = 1.0
    found = recent_adoption(frame, [counting("x")], Features())["x"]
    assert found == {"adoption": used / of, "class": expected}
