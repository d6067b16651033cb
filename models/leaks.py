"""What a leak audit works on and what it says: the material, the findings, and how sure an alarm has to be.

An alarm is a finding, not a failure: somebody has to look at it. A note is worth knowing and asks for nothing.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.arrays import Flags, Integers
from features.catalogue import catalogue_of
from features.log import Log
from features.observations import Question, observe, quarterly
from features.profile import profile_events
from features.progress import ProgressCallback
from features.specs import Aggregation, FeatureSpec
from features.subset import draw_accounts, subset
from features.windows import Grid, last
from models.contrast import Strata
from models.effects import FEWEST_OF_A_CLASS
from models.framework import Framework
from models.retention import learnable

Severity: TypeAlias = Literal["alarm", "note"]

FALSE_ALARMS = 0.01  # at most this share of checks raises one by chance, whatever number of things it tries
MOST_ACCOUNTS = 5000
MOST_KINDS = 200  # of events, the widest used
SEEN_DAYS = 90
SEEN = "_seen:"  # prefix of a column that says how often a kind of event happened


@dataclass(frozen=True)
class Finding:
    """One thing the audit saw: `kind` is the check's word for it, `where` the column, event or feature."""

    kind: str
    where: str
    sentence: str
    severity: Severity
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """One check: what it looked at, in words, and what it found."""

    check: str
    looked_at: str
    findings: tuple[Finding, ...] = ()

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The findings that somebody has to look at."""
        return tuple(finding for finding in self.findings if finding.severity == "alarm")


@dataclass(frozen=True, eq=False)
class Material:
    """What every check reads: a log of at most MOST_ACCOUNTS accounts, and the observations a model would learn from.

    frame: learnable observations with account, as_of, retained, a column per feature, and one per kind of event with
    its count in the last SEEN_DAYS days.
    """

    framework: Framework
    folder: Path
    log: Log
    specs: tuple[FeatureSpec, ...]
    kinds: tuple[str, ...]
    frame: pd.DataFrame
    rng: np.random.Generator
    tell: ProgressCallback

    @property
    def grid(self) -> Grid:
        """The closes of the log's quarters."""
        return quarterly(self.log, self.framework.data)

    @property
    def closes(self) -> list[pd.Timestamp]:
        """The same as times."""
        return [pd.Timestamp(day, unit="D") for day in self.grid.as_of_days]

    @property
    def lost(self) -> Flags:
        """Whether each observation ends in a loss, (n,)."""
        return ~self.frame["retained"].to_numpy(bool)

    @property
    def quarter(self) -> Integers:
        """Code of each observation's as-of date, (n,)."""
        return np.unique(self.frame["as_of"], return_inverse=True)[1].astype(np.int64)

    @property
    def account(self) -> Integers:
        """Code of each observation's account, (n,)."""
        return self.frame["account"].to_numpy(np.int64)

    @property
    def too_few(self) -> str:
        """Why outcomes cannot be compared; empty where they can."""
        return too_few(self.lost, self.account)


def too_few(lost: Flags, account: Integers) -> str:
    """What to say where there are too few accounts of a class; empty where there are enough."""
    n_lost, n_kept = len(np.unique(account[lost])), len(np.unique(account[~lost]))
    if min(n_lost, n_kept) >= FEWEST_OF_A_CLASS:
        return ""
    return f"insufficient data: {n_lost:,} lost and {n_kept:,} kept accounts, and {FEWEST_OF_A_CLASS} of each are needed"


def gather(
    framework: Framework, log: Log, folder: Path, rng: np.random.Generator, tell: ProgressCallback
) -> Material:
    """Draw the accounts, and observe them at every close. `folder` is what relative sources start from."""
    data = framework.data
    specs = catalogue_of(log, data)
    kinds = tuple(profile_events(log)["event"].head(MOST_KINDS))
    few = subset(log, draw_accounts(log, MOST_ACCOUNTS, rng))
    seen = [
        FeatureSpec(f"{SEEN}{kind}", kind, Aggregation.COUNT, last(SEEN_DAYS), events=(kind,))
        for kind in kinds
    ]
    question = Question((*specs, *seen), quarterly(few, data), alive_only=True)
    frame = learnable(observe(few, data, question))
    return Material(framework, folder, few, specs, kinds, frame, rng, tell)


def strictness(n_tried: int) -> float:
    """The z that a figure must be away from its limit, so that all tried together stay within FALSE_ALARMS."""
    return float(norm.isf(FALSE_ALARMS / (2 * max(n_tried, 1))))


def within(material: Material, rows: Flags, stratum: Integers) -> Strata:
    """Some of the observations for comparison inside strata, (n,) codes; the kept are the ones ranked high."""
    codes = np.unique(stratum[rows], return_inverse=True)[1].astype(np.int64)
    return Strata(~material.lost[rows], codes, material.account[rows])
