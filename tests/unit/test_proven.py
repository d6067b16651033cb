"""The row of a review's chain: outside the quarters a milestone was chosen on, and as known when the review was due."""

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd

from models.chain import link
from models.cohorts import Cohorts
from reports.grounds import Grounds
from reports.proven import Proven
from tests.unit.test_chain import cohort, framework, rows


def proven(defined_on: list[str] | None = None) -> Proven:
    made = framework(activation={"defined_on": defined_on} if defined_on else {})
    whole = Cohorts({"activation": cohort(made, "activation", rows(1200))}, pd.DataFrame())
    grounds = SimpleNamespace(
        cohorts=whole,
        traits={"activation": pd.DataFrame()},
        data_from=pd.Timestamp("2024-01-01"),
        data_through=pd.Timestamp("2026-01-01"),
    )
    return Proven(made, cast("Grounds", grounds), 0)


def test_a_review_that_is_asked_for_late_is_of_no_later_quarter() -> None:
    usual = proven()
    assert set(usual.judgement("activation", "2025Q2").judged["quarter"]) == {"2024Q1", "2024Q2"}
    late = Proven(usual.framework, usual.grounds, 0, ("2024Q1", pd.Timestamp("2025-12-31")))
    assert set(late.judgement("activation", "2024Q1").judged["quarter"]) == {"2024Q1"}
    made = late.link("activation", "2024Q1")
    assert made is not None
    assert made["n_reached"] + made["n_not"] < 1200


def row(found: Proven, quarter: str = "2025Q2") -> dict[str, Any]:
    made = found.link("activation", quarter)
    assert made is not None
    return made


def test_a_row_holds_the_effects_of_the_chain() -> None:
    found = proven()
    made = row(found)
    effects = link(found.framework, found.cohorts.by_name["activation"], found.known_at("2025Q2"))
    for key, outcome in {
        "difference": "utilization", "on_retained": "retained", "on_expanded": "expanded", "on_dormant": "dormant",
    }.items():  # fmt: skip
        for record, weighted in ((made[key], False), (made["by_revenue"][key], True)):
            effect = effects.effect(outcome, weighted=weighted)
            assert effect is not None
            assert (record["value"], record["upper"]) == (effect.value, effect.upper)
            assert record["n_accounts"] == effect.n_accounts
    assert made["rate_reached"] - made["rate_not"] == made["difference"]["value"]


def test_a_row_rests_on_quarters_that_did_not_choose_the_milestone() -> None:
    made = row(proven(["2024Q1", "2024Q2"]))
    assert (made["n_reached"] + made["n_not"], made["in_definition"]) == (600, False)
    everything = row(proven(["2024Q1", "2024Q3"]))
    assert (everything["n_reached"] + everything["n_not"], everything["in_definition"]) == (1200, True)


def test_a_row_says_what_was_known_when_the_review_was_due() -> None:
    # Dormancy of 2024Q1 is known after 90 days, staying after 180: the review of 2024Q2 is due on 2024-07-15.
    found = proven()
    assert found.link("activation", "2024Q2") is None  # the link itself is not known yet
    made = row(found, "2024Q3")
    assert made["on_retained"]["n_accounts"] < made["on_dormant"]["n_accounts"] == 1200
