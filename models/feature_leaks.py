"""Features and events that know too much, and how such a leak is told from recency, which knows much by right.

Honest usage tells of a loss gradually: with a week less of it a feature ranks a little worse, with another week a
little worse again; and among accounts that were active equally recently little is left. What was written
with the outcome in sight sits in the last days before the close (it collapses with the first week withheld, and not
with the second), or ranks nearly perfectly whatever the recency, or exists before losses alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Flags, Integers
from features.catalogue import CORE_RECENCY, RECENCY
from features.observations import Question, observe
from features.specs import Aggregation, FeatureSpec
from features.windows import Grid
from models.contrast import Ranked, Strata, shares
from models.leaks import SEEN, SEEN_DAYS, Checked, Finding, Material, strictness, too_few, within

LAGS_DAYS = (7, 14)  # whole weeks, so that weekdays stay what they are
STEEPEST = 0.10  # AUC lost with the first week, and lost with it beyond what the second costs
STRONG = 0.60  # AUC at the close; below it there is nothing to collapse
HIGHEST_AMONG_EQUALS = 0.85  # AUC among accounts equally recent
RECENCY_BINS = 20
TIMES = 5.0  # as frequent before losses as otherwise, beyond chance
FEWEST_WITH_EVENT = 10  # lost accounts
TENURE_BANDS_DAYS = (30, 90, 180)  # the last day of each; onboarding happens to the young, who leave most


def events_before_losses(material: Material) -> Checked:
    """Kinds of events that happen before losses and hardly ever otherwise."""
    looked = f"{len(material.kinds)} kinds of events in the {SEEN_DAYS} days before a close"
    if material.too_few:
        return Checked("events before losses", f"{looked}; {material.too_few}")
    z = strictness(len(material.kinds))
    peers = _equally_old(material)
    found = []
    for kind in material.kinds:
        flag = material.frame[f"{SEEN}{kind}"].to_numpy(np.float64) > 0
        seen = shares(flag, material.lost, peers, material.account, z)
        if seen is None or seen.times_more_lost < TIMES or seen.of_lost[0] < FEWEST_WITH_EVENT:
            continue
        text = (
            f"{kind} happens in the {SEEN_DAYS} days before a close to {seen.lost:.1%} of those who are lost afterwards and to"
            f" {seen.kept:.1%} of the others of their quarter and tenure ({seen.of_lost[0]:,} and {seen.of_kept[0]:,} accounts): it announces the loss or"
            " was written with it. Make it the outcome, or leave it out of the events"
        )
        evidence = {"share_lost": seen.lost, "share_kept": seen.kept, "at_least_times": seen.times_more_lost,
                    "accounts_lost": seen.of_lost[0], "accounts_kept": seen.of_kept[0]}  # fmt: skip
        found.append(Finding("announces the loss", kind, text, "alarm", evidence))
    return Checked("events before losses", looked, tuple(found))


def _equally_old(material: Material) -> Integers:
    """Strata of quarter and TENURE_BANDS_DAYS, (n,)."""
    age = (material.frame["as_of"] - material.frame["signed_up_at"]).dt.days
    band = np.searchsorted(TENURE_BANDS_DAYS, age.to_numpy(np.int64), side="left")
    return np.asarray(material.quarter * (len(TENURE_BANDS_DAYS) + 1) + band, dtype=np.int64)


@dataclass(frozen=True)
class Bounded:
    """A figure and its lower bound."""

    value: float
    lower: float

    @classmethod
    def of(cls, ranked: Ranked, z: float) -> "Bounded":
        """The figure, and `z` standard errors below it."""
        return cls(ranked.value, ranked.value - z * ranked.error)


@dataclass(frozen=True)
class Fading:
    """How one feature ranks as the newest days are withheld: AUC at the close and each lag, and among the equally recent.

    `cost` is the AUC lost with the first week, `steepness` that less the AUC lost with the second; a trend has none,
    as it is about the newest days and no others. `among_equals` is None where too few can be compared.
    """

    feature: str
    by_lag: tuple[Bounded, ...]  # at the close, then at each lag
    cost: Bounded
    steepness: Bounded | None
    among_equals: Bounded | None

    @property
    def collapses(self) -> bool:
        """Whether it is worth something at the close, and loses it with the first week alone."""
        bend = self.steepness is not None and self.steepness.lower > STEEPEST
        return bend and self.cost.lower > STEEPEST and self.by_lag[0].lower > STRONG

    @property
    def knows_beside_recency(self) -> bool:
        """Whether it is nearly perfect among accounts equally recent."""
        return self.among_equals is not None and self.among_equals.lower > HIGHEST_AMONG_EQUALS

    @property
    def words(self) -> str:
        """The figures for people."""
        close, week, fortnight = (auc.value for auc in self.by_lag)
        equals = f"{self.among_equals.value:.2f}" if self.among_equals else "too few to compare"
        return (
            f"AUC {close:.2f} at the close, {week:.2f} a week before, {fortnight:.2f} two weeks before,"
            f" {equals} among accounts equally recent"
        )

    @property
    def evidence(self) -> dict[str, Any]:
        """The same as data."""
        close, *lagged = (auc.value for auc in self.by_lag)
        bend, equals = self.steepness, self.among_equals
        return {"auc": close, "auc_lagged": dict(zip(map(str, LAGS_DAYS), lagged, strict=True)),
                "auc_among_equals": equals and equals.value, "among_equals_lower": equals and equals.lower,
                "steepness": bend and bend.value, "steepness_lower": bend and bend.lower,
                "first_week_lower": self.cost.lower}  # fmt: skip


def single_features(material: Material) -> Checked:
    """Every feature alone, with and without the newest days, and among accounts equally recent."""
    looked = f"{len(_judged(material))} features, each alone"
    if material.too_few:
        return Checked("single features", f"{looked}; {material.too_few}")
    fadings = _fadings(material)
    if isinstance(fadings, str):
        return Checked("single features", f"{looked}; {fadings}")
    alarms = [finding for finding in map(_suspicious, fadings) if finding is not None]
    strongest = max(fadings, key=lambda f: f.by_lag[0].value)
    note = Finding(
        "strongest feature",
        strongest.feature,
        f"the strongest single feature is {strongest.feature}: {strongest.words}",
        "note",
        strongest.evidence,
    )
    return Checked("single features", looked, (*alarms, note))


def _suspicious(fading: Fading) -> Finding | None:
    if fading.collapses:
        why = "what it knows was written in the last days before the close; honest usage fades week by week"
    elif fading.knows_beside_recency:
        why = "no usage knows that much beside recency. Look at when its rows were written"
    else:
        return None
    return Finding(
        "knows too much", fading.feature, f"{fading.feature}: {fading.words}: {why}", "alarm", fading.evidence
    )


def _judged(material: Material) -> list[FeatureSpec]:
    """Every feature but tenure: the future is in no signup, and the young leave most, recent or not."""
    return [spec for spec in material.specs if spec.aggregation is not Aggregation.TENURE]


def _fadings(material: Material) -> list[Fading] | str:
    """Every feature on the observations that can be looked at earlier too; words where nothing can be compared."""
    known, lagged = _lagged(material)
    quarters = within(material, known, material.quarter)
    scarce = _scarce(quarters)
    if scarce:
        return scarce
    equals = within(material, known, _equally_recent(material, known))
    beside = None if _scarce(equals) else equals
    specs = _judged(material)
    z = strictness(2 * len(specs))
    frames = (material.frame[known], *lagged)
    return [_fading(spec, frames, quarters, beside, z) for spec in specs]


def _scarce(strata: Strata) -> str:
    """What to say where too few rows stand beside rows of the other class."""
    rows = strata.compared
    return too_few(~strata.good[rows], strata.account[rows])


def _fading(
    spec: FeatureSpec, frames: Sequence[pd.DataFrame], quarters: Strata, equals: Strata | None, z: float
) -> Fading:
    """frames: the observations as of the close and of each lag."""
    scores = [frame[spec.name].to_numpy(np.float64) for frame in frames]
    ranked = [quarters.auc(score) for score in scores]
    if ranked[0].value < 0.5:
        ranked = [one.turned() for one in ranked]
    close, week, fortnight = ranked
    cost = Ranked(close.value - week.value, close.influence - week.influence)
    bend = Ranked(
        cost.value - (week.value - fortnight.value),
        cost.influence - (week.influence - fortnight.influence),
    )
    return Fading(
        spec.name,
        tuple(Bounded.of(one, z) for one in ranked),
        Bounded.of(cost, z),
        None if spec.trend else Bounded.of(bend, z),
        Bounded.of(_upright(equals.auc(scores[0])), z) if equals else None,
    )


def _upright(ranked: Ranked) -> Ranked:
    return ranked if ranked.value >= 0.5 else ranked.turned()


def _lagged(material: Material) -> tuple[Flags, list[pd.DataFrame]]:
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


def _equally_recent(material: Material, known: Flags) -> Integers:
    """Strata of quarter and recency, (n,): each quarter in RECENCY_BINS groups alike in size, and one of the unknown."""
    recency = material.frame[_recency(material)].where(pd.Series(known, index=material.frame.index))
    rank = recency.groupby(material.quarter).rank(pct=True).fillna(0).to_numpy(np.float64)
    group = np.clip(np.ceil(rank * RECENCY_BINS), 0, RECENCY_BINS).astype(np.int64)
    return np.asarray(material.quarter * (RECENCY_BINS + 1) + group)


def _recency(material: Material) -> str:
    """The recency that the outcome goes with: silence is of core events, and mails that go to everybody are none."""
    data = material.framework.data
    return CORE_RECENCY if data.outcomes.kind == "silent" and data.events.core else RECENCY
