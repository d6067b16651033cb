"""How much an effect could owe to what nobody measured: the E-value, and negative controls."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.arrays import Flags
from models.comparison import Comparison
from models.effects import difference_in, enough
from models.estimates import Estimate, in_points
from models.milestones import number
from models.strata import is_amount


@dataclass(frozen=True)
class EValue:
    """The risk ratio by which an unmeasured cause would have to go with both, reaching and outcome, to explain an effect away.

    value: the effect; limit: the end of its interval that is nearer to no effect, 1 where the interval holds that.
    """

    value: float
    limit: float

    def as_dict(self) -> dict[str, float]:
        """The record as JSON writes it."""
        return asdict(self)


def e_value(ratio: Estimate) -> EValue:
    """The E-value of a risk ratio, RR + sqrt(RR (RR - 1)), of its inverse below 1. VanderWeele & Ding 2017."""
    nearer = ratio.lower if ratio.value >= 1 else ratio.upper
    held = ratio.lower <= 1 <= ratio.upper
    return EValue(_e_value(ratio.value), 1.0 if held else _e_value(nearer))


def _e_value(ratio: float) -> float:
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))


@dataclass(frozen=True)
class Placebo:
    """A negative control: something dated before the window, which reaching the milestone cannot have moved.

    what: in words, such as "more than 5 seats". estimate: how much more often those had it who reached the milestone.
    """

    what: str
    estimate: Estimate

    @property
    def sentence(self) -> str:
        """What the difference, which no effect can have made, says of the two groups."""
        found = self.estimate
        points = in_points(**found.brief())
        if found.lower <= 0 <= found.upper:
            return (
                f"Placebo, {self.what} before the window: {points}, so no difference from the start is shown."
            )
        return (
            f"Placebo, {self.what} before the window: {points}. Reaching it cannot have done that: the two groups were"
            " unlike from the start."
        )

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return {"what": self.what, "sentence": self.sentence, **self.estimate.as_dict()}


def placebos(comparison: Comparison) -> tuple[Placebo, ...]:
    """The "effect" of reaching a milestone on size, and on each covariate of the adjustment set, from before its window.

    A true effect is zero. What stands there is how unlike the groups were, in the unit of the effect itself. Lipsitch,
    Tchetgen Tchetgen & Cohen 2010. Numbers are asked whether they are above the median, texts whether they are the
    commonest; what nearly everybody has, or nobody, is left out.
    """
    before = {"seats": pd.Series(comparison.seats, index=comparison.rows.index)}
    before |= {str(name): column for name, column in comparison.adjust_for.items()}
    found = []
    for name, column in before.items():
        known = column.notna().to_numpy(bool)
        if not known.any():
            continue
        what, had = _asked(name, column[known])
        rows = comparison.rows[known].assign(outcome=had)
        estimate = difference_in(rows) if enough(rows) else None
        if estimate is not None:
            found.append(Placebo(what, estimate))
    return tuple(found)


def _asked(name: str, column: "pd.Series[Any]") -> tuple[str, Flags]:
    if is_amount(column):
        median = float(np.median(column))
        unit = {"seats": " seats", "mrr": " of recurring revenue", "tenure": " days of tenure"}.get(
            name, f" {name}"
        )
        return f"more than {number(median)}{unit}", (column > median).to_numpy(bool)
    text = column.astype("string")
    counts = text.value_counts()
    commonest = min(counts[counts == counts.max()].index)
    return f"{name} {commonest}", text.eq(commonest).to_numpy(bool)
