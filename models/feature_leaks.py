"""Features and events that know too much, and how such a leak is told from recency, which knows much by right.

Honest usage tells of a loss gradually: with a week less of it a feature ranks a little worse, with another week a
little worse again; and among accounts that were active equally recently little is left. What was written
with the outcome in sight sits in the last days before the close (it collapses with the first week withheld, and not
with the second), or ranks nearly perfectly whatever the recency, or exists before losses alone.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.catalogue import RECENCY
from features.observations import Question, observe
from features.windows import Grid
from models.contrast import Ranked, shares
from models.estimates import BoolArray, IntArray
from models.leaks import SEEN, SEEN_DAYS, Checked, Finding, Material, strictness, too_few, within

LAGS_DAYS = (7, 14)  # whole weeks, so that weekdays stay what they are
STEEPEST = 0.10  # AUC lost with the first week beyond what the second costs
HIGHEST_AMONG_EQUALS = 0.85  # AUC among accounts equally recent
RECENCY_BINS = 20
TIMES = 5.0  # as frequent before losses as otherwise, beyond chance
FEWEST_WITH_EVENT = 10  # lost accounts


def events_before_losses(material: Material) -> Checked:
    """Kinds of events that happen before losses and hardly ever otherwise."""
    looked = f"{len(material.kinds)} kinds of events in the {SEEN_DAYS} days before a close"
    if material.too_few:
        return Checked("events before losses", f"{looked}; {material.too_few}")
    z = strictness(len(material.kinds))
    found = []
    for kind in material.kinds:
        flag = material.frame[f"{SEEN}{kind}"].to_numpy(np.float64) > 0
        seen = shares(flag, material.lost, material.quarter, material.account, z)
        if seen is None or seen.times_more_lost < TIMES or seen.of_lost[0] < FEWEST_WITH_EVENT:
            continue
        text = (
            f"{kind} happens in the {SEEN_DAYS} days before a close to {seen.lost:.1%} of those who are lost afterwards and to"
            f" {seen.kept:.1%} of the others ({seen.of_lost[0]:,} and {seen.of_kept[0]:,} accounts): it announces the loss or"
            " was written with it. Make it the outcome, or leave it out of the events"
        )
        evidence = {"share_lost": seen.lost, "share_kept": seen.kept, "at_least_times": seen.times_more_lost,
                    "accounts_lost": seen.of_lost[0], "accounts_kept": seen.of_kept[0]}  # fmt: skip
        found.append(Finding("announces the loss", kind, text, "alarm", evidence))
    return Checked("events before losses", looked, tuple(found))


@dataclass(frozen=True)
class Fading:
    """How one feature ranks as the newest days are withheld: AUC at the close and each lag, and among the equally recent."""

    feature: str
    by_lag: tuple[float, ...]  # at the close, then at each lag
    among_equals: float
    steepness: float  # AUC lost with the first week less AUC lost with the second
    steepness_lower: float
    among_equals_lower: float

    @property
    def words(self) -> str:
        """The figures for people."""
        close, week, fortnight = self.by_lag
        return (
            f"AUC {close:.2f} at the close, {week:.2f} a week before, {fortnight:.2f} two weeks before,"
            f" {self.among_equals:.2f} among accounts equally recent"
        )

    @property
    def evidence(self) -> dict[str, Any]:
        """The same as data."""
        return {"auc": self.by_lag[0], "auc_lagged": dict(zip(map(str, LAGS_DAYS), self.by_lag[1:], strict=True)),
                "auc_among_equals": self.among_equals, "among_equals_lower": self.among_equals_lower,
                "steepness": self.steepness, "steepness_lower": self.steepness_lower}  # fmt: skip


def single_features(material: Material) -> Checked:
    """Every feature alone, with and without the newest days, and among accounts equally recent."""
    looked = f"{len(material.specs)} features, each alone"
    if material.too_few:
        return Checked("single features", f"{looked}; {material.too_few}")
    fadings = _fadings(material)
    if isinstance(fadings, str):
        return Checked("single features", f"{looked}; {fadings}")
    alarms = [finding for finding in map(_suspicious, fadings) if finding is not None]
    strongest = max(fadings, key=lambda f: f.by_lag[0])
    note = Finding(
        "strongest feature",
        strongest.feature,
        f"the strongest single feature is {strongest.feature}: {strongest.words}",
        "note",
        strongest.evidence,
    )
    return Checked("single features", looked, (*alarms, note))


def _suspicious(fading: Fading) -> Finding | None:
    if fading.steepness_lower > STEEPEST:
        why = "what it knows was written in the last days before the close; honest usage fades week by week"
    elif fading.among_equals_lower > HIGHEST_AMONG_EQUALS:
        why = "no usage knows that much beside recency. Look at when its rows were written"
    else:
        return None
    return Finding(
        "knows too much", fading.feature, f"{fading.feature}: {fading.words}: {why}", "alarm", fading.evidence
    )


def _fadings(material: Material) -> list[Fading] | str:
    """Every feature on the observations that can be looked at earlier too; words where nothing can be compared."""
    known, lagged = _lagged(material)
    scarce = too_few(material.lost[known], material.account[known])
    if scarce:
        return scarce
    quarters = within(material, known, material.quarter)
    equals = within(material, known, _equally_recent(material, known))
    z = strictness(2 * len(material.specs))
    now = material.frame[known]
    found = []
    for spec in material.specs:
        ranked = [quarters.auc(frame[spec.name].to_numpy(np.float64)) for frame in (now, *lagged)]
        beside = equals.auc(now[spec.name].to_numpy(np.float64)) if equals.comparable else None
        found.append(_fading(spec.name, ranked, beside, z))
    return found


def _fading(feature: str, ranked: list[Ranked], beside: Ranked | None, z: float) -> Fading:
    if ranked[0].value < 0.5:
        ranked = [one.turned() for one in ranked]
    if beside is not None and beside.value < 0.5:
        beside = beside.turned()
    close, week, fortnight = ranked
    bend = Ranked(
        close.value - 2 * week.value + fortnight.value,
        close.influence - 2 * week.influence + fortnight.influence,
    )
    return Fading(
        feature,
        tuple(one.value for one in ranked),
        beside.value if beside else 0.5,
        bend.value,
        bend.value - z * bend.error,
        beside.value - z * beside.error if beside else 0.0,
    )


def _lagged(material: Material) -> tuple[BoolArray, list[pd.DataFrame]]:
    """Which observations (n,) were there at every lag, and the features of those as of each lag."""
    now = pd.MultiIndex.from_frame(material.frame[["account", "as_of"]])
    known = np.ones(len(now), dtype=bool)
    earlier = []
    for lag in LAGS_DAYS:
        grid = Grid("calendar", tuple(day - lag for day in material.grid.as_of_days))
        material.tell(f"looking {lag} days earlier", 0.6)
        frame = observe(material.log, material.framework.data, Question(material.specs, grid))
        frame["as_of"] += pd.Timedelta(days=lag)
        earlier.append(frame.set_index(["account", "as_of"]))
        known &= now.isin(earlier[-1].index)
    return known, [frame.loc[now[known]] for frame in earlier]


def _equally_recent(material: Material, known: BoolArray) -> IntArray:
    """Strata of quarter and recency, (n,): each quarter in RECENCY_BINS groups alike in size, and one of the unknown."""
    recency = material.frame[RECENCY].where(pd.Series(known, index=material.frame.index))
    rank = recency.groupby(material.quarter).rank(pct=True).fillna(0).to_numpy(np.float64)
    group = np.clip(np.ceil(rank * RECENCY_BINS), 0, RECENCY_BINS).astype(np.int64)
    return np.asarray(material.quarter * (RECENCY_BINS + 1) + group)
