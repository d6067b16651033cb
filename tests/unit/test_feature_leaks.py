"""What makes a feature or an event suspicious, on observations drawn by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.specs import Aggregation, FeatureSpec
from features.windows import EVER, last
from models.feature_leaks import Bounded, Fading, events_before_losses, single_features
from models.leaks import SEEN, Material

CLOSE = pd.Timestamp("2024-04-01")


def material(frame: pd.DataFrame, specs: tuple[FeatureSpec, ...] = ()) -> Material:
    kinds = tuple(str(c).removeprefix(SEEN) for c in frame if str(c).startswith(SEEN))
    unused: Any = None
    return Material(
        unused, Path(), unused, specs, kinds, frame, np.random.default_rng(0), lambda _what, _share: None
    )


def observed(n_young: int, n_old: int, share_lost: tuple[float, float]) -> pd.DataFrame:
    """Accounts of ten days and of a thousand at one close; of each so many are lost, the first ones."""
    n = n_young + n_old
    young = np.arange(n) < n_young
    place = np.where(young, np.arange(n) / n_young, (np.arange(n) - n_young) / n_old)
    signed_up = CLOSE - pd.to_timedelta(np.where(young, 10, 1000), unit="D")
    frame = pd.DataFrame({"account": np.arange(n), "as_of": CLOSE, "signed_up_at": signed_up})
    return frame.assign(retained=place >= np.where(young, *share_lost), young=young)


def test_what_the_young_do_announces_no_loss_because_the_young_leave() -> None:
    frame = observed(200, 3800, (0.6, 0.01))
    lost, odd = ~frame["retained"], frame["account"] % 2 == 0
    frame[f"{SEEN}welcome_tour"] = frame["young"].astype(float)
    frame[f"{SEEN}cancelled"] = (lost & odd).astype(float)
    # Within the quarter the tour is seen of three in four lost and of one in fifty kept; among the young of everybody.
    assert frame.loc[lost, "young"].mean() > 20 * frame.loc[~lost, "young"].mean()
    found = events_before_losses(material(frame)).findings
    assert [finding.where for finding in found] == ["cancelled"]


def test_tenure_is_not_judged() -> None:
    specs = (
        FeatureSpec("tenure_days", "Days since signup", Aggregation.TENURE, EVER),
        FeatureSpec("events_7d", "Events", Aggregation.COUNT, last(7)),
    )
    assert single_features(material(observed(5, 5, (0.2, 0.2)), specs)).looked_at.startswith(
        "1 features, each alone"
    )


SURE = Bounded(0.9, 0.8)


@pytest.mark.parametrize(
    ("close", "cost", "steepness", "collapses"),
    [
        (Bounded(0.8, 0.7), Bounded(0.3, 0.2), Bounded(0.3, 0.2), True),
        (Bounded(0.63, 0.59), Bounded(0.3, 0.2), Bounded(0.3, 0.2), False),  # worth nothing at the close
        (
            Bounded(0.8, 0.7),
            Bounded(0.12, 0.09),
            Bounded(0.3, 0.2),
            False,
        ),  # and it loses nothing with the week
        (Bounded(0.8, 0.7), Bounded(0.3, 0.2), Bounded(0.2, 0.09), False),  # as much with the second week
        (Bounded(0.8, 0.7), Bounded(0.3, 0.2), None, False),  # a trend
    ],
)
def test_what_collapses_is_strong_at_the_close_and_loses_that_with_the_first_week(
    close: Bounded, cost: Bounded, steepness: Bounded | None, collapses: bool
) -> None:
    assert Fading("x", (close, SURE, SURE), cost, steepness, None).collapses is collapses


def test_too_few_among_equals_is_said_and_no_figure_made_up() -> None:
    fading = Fading("x", (SURE, SURE, SURE), SURE, SURE, None)
    assert not fading.knows_beside_recency
    assert fading.evidence["auc_among_equals"] is None
    assert fading.words.endswith("too few to compare among accounts equally recent")
    assert Fading("x", (SURE, SURE, SURE), SURE, SURE, Bounded(0.9, 0.86)).knows_beside_recency
