"""What was restated: which rows and numbers are others, and on what ground both are held against each other."""

from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from reports import restatement
from reports.restatement import KEYS, restated

DUE = pd.Timestamp("2025-07-15")


def reviewer(*rows: tuple[str, float | None], seed: int = 0, adoption: float = 0.5) -> Any:
    """Somebody who knows of these accounts with their scores, each at the close of a quarter, and of nothing proven."""
    accounts = pd.DataFrame(rows, columns=["account_id", "score"]).assign(
        milestone="use", as_of=DUE, status="reached", outcome=None
    )
    numbers = {
        "name": "use",
        "verdict": "hold",
        "realised": None,
        "recent": None,
        "adoption": {"value": adoption},
    }
    return SimpleNamespace(
        seed=seed,
        framework="the framework",
        grounds=SimpleNamespace(data_through=DUE),
        proven=SimpleNamespace(known_at=lambda quarter: DUE),
        accounts=lambda quarter: accounts,
        observations=lambda quarter: accounts[:0],
        milestones=lambda quarter: [{**numbers, "threshold": {"plateau": None, "operating_cut": None}}],
    )


def told(then: Any, now: Any) -> restatement.Restatement:
    published = {"data_through": DUE.isoformat(), "milestones": then.milestones("2025Q2")}
    return restated(then, published, now, "2025Q2")


def test_an_account_that_is_gone_and_one_that_is_new_are_restated() -> None:
    found = told(reviewer(("a", 1.0), ("b", 2.0), ("c", 3.0)), reviewer(("b", 2.0), ("c", 4.0), ("d", 5.0)))
    assert found.rows.set_index("account_id")["there"].to_dict() == {"a": "was", "c": "both", "d": "is"}
    assert found.accounts == 3
    assert set(KEYS) < set(found.rows)


def test_what_was_not_known_and_still_is_not_is_no_other() -> None:
    assert told(reviewer(("a", None), ("b", 2.0)), reviewer(("a", None), ("b", 2.0))).accounts == 0
    assert told(reviewer(("a", None)), reviewer(("a", 2.0))).accounts == 1


@pytest.mark.parametrize(("adoption", "moved"), [(0.5304, False), (0.5296, False), (0.532, True)])
def test_a_number_that_a_page_shows_alike_has_not_moved(adoption: float, moved: bool) -> None:
    found = told(reviewer(("a", 1.0), adoption=0.53), reviewer(("a", 2.0), adoption=adoption))
    assert found.moved == (
        ({"milestone": "use", "what": "adoption", "was": 0.53, "is": adoption},) if moved else ()
    )


def test_where_every_row_is_the_same_no_number_was_restated() -> None:
    assert told(reviewer(("a", 1.0)), reviewer(("a", 1.0), adoption=0.9)).moved == ()


def test_both_are_looked_at_as_of_the_same_day_and_with_the_same_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def again(framework: Any, grounds: Any, seed: int, occasion: tuple[str, pd.Timestamp]) -> Any:
        made.append((seed, *occasion))
        return reviewer(("a", 1.0))

    monkeypatch.setattr(restatement, "Reviewer", again)
    told(reviewer(("a", 1.0), seed=3), reviewer(("a", 1.0), seed=3))
    assert made == []
    told(reviewer(("a", 1.0), seed=3), reviewer(("a", 1.0), seed=4))
    later = reviewer(("a", 1.0), seed=3)
    later.grounds.data_through = DUE + pd.Timedelta(days=90)
    later.proven.known_at = lambda quarter: DUE + pd.Timedelta(days=90)
    told(reviewer(("a", 1.0), seed=3), later)
    assert made == [(3, "2025Q2", DUE)] * 2
