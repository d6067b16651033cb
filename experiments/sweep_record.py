"""sweep.json and its grid as an earlier sweep wrote them, and what to expect of a cut that is adopted from them."""

import math
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from pydantic import Field, ValidationError, model_validator

from features.errors import DataError, UsageError
from features.workspace import Workspace
from models.decisions import Cited, Recorded
from models.estimates import Estimate, risk_difference

NUMBERS = ("cut", "n_reached", "rate_reached", "rate_not")  # of the grid


class Operating(Recorded):
    """The operating cut of a sweep."""

    value: float


class NamedEffect(Recorded):
    """An effect of a sweep, by its name."""

    name: str
    value: float
    lower: float
    upper: float
    n_observations: int
    n_accounts: int

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.lower > self.upper:
            raise ValueError(f"{self.name}: lower {self.lower} is above upper {self.upper}")
        return self

    @property
    def estimate(self) -> Estimate:
        """The number with its interval."""
        return Estimate(
            "risk_difference", self.value, self.lower, self.upper, self.n_observations, self.n_accounts
        )


class Sweep(Recorded):
    """What adopting needs of sweep.json."""

    milestone: str
    framework: Cited
    definition: str
    code_version: str
    seed: int
    exploratory: bool
    feature: str
    event: list[str]
    window_days: int = Field(ge=1)
    per_seat: bool
    n_accounts: int = Field(ge=0)
    verdict: str
    sentence: str
    best_cut: float | None
    operating_cut: Operating | None
    plateau: tuple[float, float] | None
    p_corrected: float | None = Field(ge=0, le=1)
    effects: tuple[NamedEffect, ...]
    grid_file: str
    defined_on: tuple[str, str] | None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.plateau is not None and self.plateau[0] > self.plateau[1]:
            raise ValueError(f"plateau: {self.plateau[0]} is above {self.plateau[1]}")
        return self

    def effect(self, name: str) -> Estimate | None:
        """The effect of that name, None where it could not be estimated."""
        return next((one.estimate for one in self.effects if one.name == name), None)


def read_sweep(place: Workspace, asked: str) -> tuple[Path, Sweep]:
    """A sweep by its milestone, or by the path of its sweep.json. Raises UsageError where there is none."""
    own = place.sweep(asked) / "sweep.json"
    path = own if own.is_file() else Path(asked)
    if not path.is_file():
        there = sorted(found.parent.name for found in place.output.glob("sweeps/*/sweep.json"))
        raise UsageError(
            f"there is no sweep of {asked!r}; there are those of {', '.join(there) or 'nothing'}: run `milestones sweep"
            f" -w {place.root}`, or give the path of a sweep.json"
        )
    try:
        sweep = Sweep.model_validate(place.read_json(path, "sweep"))
    except ValidationError as error:
        raise place.damaged(path, "sweep") from error
    if path == own and sweep.milestone != asked:
        raise DataError(
            f"{path} is of {sweep.milestone}, not of {asked}: run `milestones sweep {asked} -w {place.root}` again"
        )
    return path, sweep


def cuts_of(path: Path, sweep: Sweep, place: Workspace) -> pd.DataFrame:
    """The cuts of the candidate that won, ascending. Raises DataError where they cannot be those of this sweep."""
    grid = place.read_table(path.parent / sweep.grid_file, f"sweep {sweep.milestone}")
    damaged = place.damaged(path.parent / sweep.grid_file, f"sweep {sweep.milestone}")
    if not {"candidate", *NUMBERS} <= set(grid) or not all(is_numeric_dtype(grid[one]) for one in NUMBERS):
        raise damaged
    found = grid[grid["candidate"] == sweep.feature].sort_values("cut", ignore_index=True)
    rates = found[["rate_reached", "rate_not"]].to_numpy(np.float64)
    # Somebody is on either side of every cut.
    split = found["n_reached"].between(1, sweep.n_accounts - 1).all()
    if not (np.isfinite(found["cut"]).all() and split and ((rates >= 0) & (rates <= 1)).all()):
        raise damaged
    return found


def expected_at(sweep: Sweep, grid: pd.DataFrame, cut: float) -> Estimate | None:
    """What to expect of a cut: the effect over all accounts, less the part of the best cut's optimism that it shares.

    The optimism is by how much the best cut's effect over all accounts exceeds the held-out one, of accounts each judged
    at the cut that the other folds chose. Another cut shares it as far as the two splits go together: wholly where they
    are one, not at all where they are far apart, because it was not chosen for its own luck (docs/decisions/0012).
    Of a state the effect is that over all its dates, as a review measures it. None where nothing was held out.
    """
    held_out, best = sweep.effect("out_of_sample"), sweep.effect("best")
    if held_out is None or best is None or sweep.best_cut is None:
        return held_out
    here = _over_all_dates(grid, cut)
    if here is None and cut == sweep.best_cut:
        return held_out
    here = here or _in_sample(sweep, grid, cut)
    if here is None:
        return None
    share = [_row(grid, at)["n_reached"] / sweep.n_accounts for at in (cut, sweep.best_cut)]
    alike = _correlation(*share)
    # The error of an effect is that of a mean over the smaller group, mostly: 1 / sqrt(p (1 - p)) of the accounts.
    scale = math.sqrt(share[1] * (1 - share[1]) / (share[0] * (1 - share[0])))
    value = float(np.clip(here.value - alike * scale * (best.value - held_out.value), -1.0, 1.0))
    # The folds' choice made the held-out interval wider than that of the best cut; so it does here, as far as it is it.
    stretch = 1 + alike * (
        max((held_out.upper - held_out.lower) / max(best.upper - best.lower, 1e-9), 1.0) - 1
    )
    lower = max(value - stretch * (here.value - here.lower), -1.0)
    upper = min(value + stretch * (here.upper - here.value), 1.0)
    return Estimate("risk_difference", value, lower, upper, here.n_observations, here.n_accounts)


def _correlation(one: float, other: float) -> float:
    """Of two splits of which one lies within the other, by the shares of accounts that reach each."""
    low, high = sorted((one, other))
    return math.sqrt(low * (1 - high) / (high * (1 - low)))


def _row(grid: pd.DataFrame, cut: float) -> pd.Series:
    """The first cut tried that is not below this one."""
    return grid.iloc[int(np.searchsorted(grid["cut"].to_numpy(), cut))]


def _over_all_dates(grid: pd.DataFrame, cut: float) -> Estimate | None:
    """The effect at the first cut measured so that is not below this one; None of a milestone that is reached once."""
    if "all_dates_value" not in grid:
        return None
    measured = grid[grid["all_dates_value"].notna() & (grid["cut"] >= cut)]
    if measured.empty:
        return None
    row = measured.iloc[0]
    value, lower, upper = (float(row[f"all_dates_{key}"]) for key in ("value", "lower", "upper"))
    n_rows, n_accounts = (int(row[f"all_dates_{key}"]) for key in ("n_observations", "n_accounts"))
    return Estimate("risk_difference", value, lower, upper, n_rows, n_accounts)


def _in_sample(sweep: Sweep, grid: pd.DataFrame, cut: float) -> Estimate | None:
    """The effect at a cut over all accounts."""
    row = _row(grid, cut)
    n = (int(row["n_reached"]), sweep.n_accounts - int(row["n_reached"]))
    good = (round(row["rate_reached"] * n[0]), round(row["rate_not"] * n[1]))
    reached = np.repeat([True, False], n)
    outcome = np.repeat([True, False, True, False], [good[0], n[0] - good[0], good[1], n[1] - good[1]])
    return risk_difference(reached, outcome)
