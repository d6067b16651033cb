"""Gone quiet after a landmark: not one core event in the last 30 of the 90 days that follow it.

A worked example: activation within 90 days, signup 2024-01-10, landmark 2024-04-09. Dormant means no core event in
[2024-06-08, 2024-07-08), whether the account left by then or not. It is known from 2024-07-08 on.
"""

import pandas as pd

from features.declaration import Data
from features.specs import Aggregation, FeatureSpec
from features.windows import last
from models.milestones import DORMANT, LINK_DAYS, QUIET_DAYS, Milestone

_CORE = "_core"  # the name of no milestone


def quiet_spec(data: Data) -> FeatureSpec:
    """The core events of the last days, to be asked for at LINK_DAYS after a landmark; every event where none is core."""
    core = data.events.core or None
    return FeatureSpec(_CORE, "Core events", Aggregation.COUNT, last(QUIET_DAYS), events=core)


def dormancy(landmarks: pd.DataFrame, frame: pd.DataFrame, milestone: Milestone) -> dict[str, pd.Series]:
    """dormant and dormant_known_from, (rows of frame,); frame: the landmarks of one milestone.

    dormant: missing where the log ends before it can be known, tracking did not cover the days, the core events could
    not be used, or the account was gone at the landmark.
    """
    days = pd.Timedelta(days=milestone.rule.window_days + LINK_DAYS)
    later = landmarks[landmarks["as_of"] - landmarks["signed_up_at"] == days].set_index("account")
    core = later[_CORE].reindex(frame["account"]).set_axis(frame.index)
    told = core.notna() & frame["alive"]
    return {
        DORMANT: (core == 0).astype("boolean").where(told),
        f"{DORMANT}_known_from": frame["signed_up_at"] + days,
    }
