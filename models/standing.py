"""How accounts stand to a milestone at a date: reached, not reached, not eligible, or not knowable."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.access import Eligibility, eligible, knowable
from features.arrays import Flags
from features.log import Log
from features.specs import FeatureSpec
from models.milestones import Milestone

STATUSES = ("reached", "not_reached", "not_eligible", "not_knowable")
REACHED, NOT_REACHED, NOT_ELIGIBLE, NOT_KNOWABLE = range(len(STATUSES))


def standing(
    milestone: Milestone, name: str, frame: pd.DataFrame, log: Log, rules: Eligibility
) -> NDArray[np.int8]:
    """How accounts stand at their dates, as places in STATUSES, (n,).

    frame: account, as_of, signed_up_at, and the score in the column `name`, missing where there is none to be had;
    rules: who could use what (`features.eligibility`).
    """
    score = frame[name].to_numpy(float)
    found = np.where(score >= milestone.rule.at_least, REACHED, NOT_REACHED).astype(np.int8)
    missing = np.flatnonzero(np.isnan(score))
    if len(missing):
        untracked = _untracked(milestone.rule.spec(name), frame.iloc[missing], log, rules)
        found[missing] = np.where(untracked, NOT_KNOWABLE, NOT_ELIGIBLE)
    return found


def _untracked(spec: FeatureSpec, frame: pd.DataFrame, log: Log, rules: Eligibility) -> Flags:
    """Where a milestone's events could be used, and tracking, of the log or of one of them, began within the window."""
    account, time, signed_up = (frame[c].to_numpy() for c in ("account", "as_of", "signed_up_at"))
    access = rules.at(account, time[:, None], signed_up[:, None])
    start = np.maximum(signed_up, time - np.timedelta64(spec.window.length_days or 0, "D"))
    unseen = ~knowable(spec, access)[:, 0] | (start < log.data_from.to_numpy())
    return np.asarray(eligible(spec, access)[:, 0] & unseen)
