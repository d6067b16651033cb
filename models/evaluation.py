"""How well the retention model ranks accounts, beside what it has to beat, as known at a date."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from models.discrimination import Discrimination, QuarterAuc, quarterly_auc
from models.estimates import Estimate
from models.retention import BASELINES, PLAIN_FORWARD

FEWEST_QUARTERS = 2
LABELS = {
    "random_forest": "the random forest",
    "logistic": "the logistic regression",
    "recency": "days since the last event alone",
    "base_rate": "the base rate",
}


@dataclass(frozen=True)
class Evaluation:
    """AUC within quarters of the main model and its baselines, on the same observations.

    rival: the better of recency and base rate; gain: main minus rival. None where nothing can be compared.
    """

    main: str
    discrimination: Discrimination
    rival: str
    gain: Estimate | None
    n_observations: int
    n_accounts: int

    @property
    def beats_rival(self) -> bool:
        """Whether the interval of the gain lies above zero over more than one quarter: the gate to `champion`.

        Intervals by account do not know how much a quarter differs from the next; one quarter is one draw.
        """
        n_quarters = len(self.discrimination.by_quarter(self.main)) if self.gain is not None else 0
        return self.gain is not None and self.gain.lower > 0 and n_quarters >= FEWEST_QUARTERS

    @property
    def sentence(self) -> str:
        """What was found, in words."""
        whole = self.discrimination.estimates.get(self.main)
        if whole is None or self.gain is None:
            return "Insufficient data: no quarter has observations of both classes whose outcome is known."
        name, rival = label(self.main), label(self.rival)
        other = self.discrimination.estimates.get("logistic") if self.main != "logistic" else None
        as_well = ""
        if other is not None and other.value >= whole.value:
            # To do as well as what beats nothing is no praise.
            does = "does as well:" if self.gain.lower > 0 else "has"
            as_well = f" The logistic regression {does} {other.value:.3f}."
        compared = (
            f"{self.gain.value:+.3f} ({self.gain.lower:+.3f} to {self.gain.upper:+.3f}) against {rival}"
        )
        verdict = "does not beat" if self.gain.upper > 0 else "is beaten by"
        if self.gain.lower > 0:
            verdict = (
                "beats" if self.beats_rival else "was better in the only quarter that can be judged than"
            )
        return (
            f"{name[0].upper()}{name[1:]} {verdict} {rival}: AUC {whole.value:.3f} ({whole.lower:.3f} to {whole.upper:.3f})"
            f" within quarters, {compared}, n = {self.n_observations:,} observations of {self.n_accounts:,} accounts."
            f"{as_well}"
        )

    @property
    def why_no_champion(self) -> str:
        """What keeps it from the alias `champion`; empty where nothing does."""
        if self.beats_rival:
            return ""
        if self.gain is None:
            return "nothing could be compared"
        if self.gain.lower > 0:
            return f"only one quarter could be judged, and {FEWEST_QUARTERS} are needed"
        return f"the interval of its gain over {label(self.rival)} reaches below zero"

    def overall(self) -> dict[str, dict[str, float] | None]:
        """AUC by model as {value, lower, upper, n}."""
        return {
            name: summary(e) for name, e in self.discrimination.estimates.items() if name != PLAIN_FORWARD
        }

    def as_dict(self) -> dict[str, Any]:
        """The model block of a review."""
        by_quarter = {
            name: {q.quarter: q for q in self.discrimination.by_quarter(name)}
            for name in (self.main, "recency")
        }
        history = [
            {
                "quarter": quarter,
                "n_observations": own.n,
                self.main: _interval(own),
                "recency": _interval(by_quarter["recency"][quarter]),
            }
            for quarter, own in sorted(by_quarter[self.main].items())
        ]
        return {
            "name": self.main,
            "sentence": self.sentence,
            "overall": self.overall(),
            "rival": self.rival,
            "difference": None if self.gain is None else summary(self.gain),
            "plain_forward": summary(self.discrimination.estimates.get(PLAIN_FORWARD)),
            "n_accounts": self.n_accounts,
            "history": history,
        }


def label(model: str) -> str:
    """A model for people."""
    return LABELS.get(model, model)


def summary(estimate: Estimate | None) -> dict[str, float] | None:
    """{value, lower, upper, n} of an estimate."""
    return None if estimate is None else {**estimate.brief(), "n": estimate.n_observations}


def _interval(auc: QuarterAuc) -> dict[str, float]:
    return {"value": auc.value, "lower": auc.lower, "upper": auc.upper}


def evaluate(
    predictions: pd.DataFrame,
    main: str,
    seed: int,
    known_at: pd.Timestamp | None = None,
    n_resamples: int = 300,
) -> Evaluation:
    """Judge the predictions whose outcome was known at a date (all of them without one).

    The same rows and the same seed give the same intervals, whoever asks: a training and a review must not differ.
    """
    rng = np.random.default_rng(seed)
    frame = predictions if known_at is None else predictions[predictions["known_from"] <= known_at]
    names = [main, *(name for name in (*BASELINES, PLAIN_FORWARD) if name != main)]
    account = np.unique(frame["account_id"].to_numpy(dtype=str), return_inverse=True)[1].astype(np.int64)
    found = quarterly_auc(
        {name: frame[name].to_numpy(float) for name in names},
        frame["retained"].to_numpy(bool),
        frame["quarter"].to_numpy(dtype=str),
        account,
        rng,
        n_resamples,
    )
    recency, base = found.estimates["recency"], found.estimates["base_rate"]
    rival = (
        "recency" if recency is not None and base is not None and recency.value >= base.value else "base_rate"
    )
    return Evaluation(main, found, rival, found.difference(main, rival), len(frame), len(np.unique(account)))
