"""What a sweep says of a milestone as a whole: its own score, seen among everything that was explored."""

from typing import Any

import numpy as np

from models.exploration import Exploration
from models.finding import SweepResult
from models.swept import Swept


def swept(own: SweepResult, explored: SweepResult) -> Swept:
    """Of which nothing else is looked at."""
    nothing: Any = None
    exploration = Exploration(nothing, explored, frozenset(), {})
    return Swept(nothing, nothing, own, None, None, False, nothing, (), (), exploration)


def result(n: int, **fields: Any) -> SweepResult:
    return SweepResult("none", n, {}, **fields)


def test_the_p_among_everything_allows_for_the_accounts_that_were_explored() -> None:
    # Three standard errors of 900 accounts are .1; where 100 of them are explored chance reaches .25 with two and a half.
    own = result(900, phi=0.1, p_corrected=0.01)
    among = swept(own, result(100, null=np.full(999, 0.25))).p_over_all
    assert among == 0.01
    assert swept(own, result(100, null=np.full(999, 0.31))).p_over_all == 1.0


def test_the_p_among_everything_is_never_less_than_among_the_own_cuts() -> None:
    own = result(900, phi=0.1, p_corrected=0.2)
    assert swept(own, result(900, null=np.zeros(999))).p_over_all == 0.2
    assert swept(own, result(900)).p_over_all is None
