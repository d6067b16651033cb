"""Quarters, calendar or fiscal, always half-open: [start, next start). All arithmetic is pandas Period's."""

import re
from dataclasses import dataclass

import pandas as pd

from features.errors import UsageError

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True)
class Quarters:
    """The quarters of a year that starts in month `first_month` (1 to 12; a fiscal year bears its last year's name)."""

    first_month: int = 1

    @property
    def frequency(self) -> str:
        """The name pandas has for these quarters, such as Q-DEC."""
        return f"Q-{MONTHS[(self.first_month - 2) % 12]}"

    def of(self, times: "pd.Series[pd.Timestamp]") -> "pd.Series[str]":
        """The quarter each time lies in, as text such as 2024Q3."""
        # Few distinct days carry many rows: name each day once.
        days = times.dt.floor("D")
        names = {day: self.containing(day) for day in days.dropna().unique()}
        return days.map(names)

    def closed_by(self, closes: "pd.Series[pd.Timestamp]") -> "pd.Series[str]":
        """The quarter that each close ends: 2024-10-01 00:00 closes 2024Q3."""
        return self.of(closes - pd.Timedelta(1, "us"))

    def containing(self, time: pd.Timestamp) -> str:
        """The quarter one time lies in."""
        return str(pd.Period(time, self.frequency))

    def start(self, quarter: str) -> pd.Timestamp:
        """The first instant of a quarter."""
        return self._period(quarter).start_time

    def end(self, quarter: str) -> pd.Timestamp:
        """The first instant after a quarter."""
        return (self._period(quarter) + 1).start_time

    def shift(self, quarter: str, by: int) -> str:
        """The quarter `by` quarters later (earlier where negative)."""
        return str(self._period(quarter) + by)

    def distance(self, earlier: str, later: str) -> int:
        """How many quarters lie from one to the other."""
        return int(self._period(later).ordinal - self._period(earlier).ordinal)

    def starts(self, after: pd.Timestamp, through: pd.Timestamp) -> list[pd.Timestamp]:
        """The starts of quarters in (after, through]: the as-of dates of a log."""
        first, final = pd.Period(after, self.frequency), pd.Period(through, self.frequency)
        periods = pd.period_range(first, final, freq=self.frequency)
        return [period.start_time for period in periods if after < period.start_time <= through]

    def closed(self, after: pd.Timestamp, through: pd.Timestamp) -> list[str]:
        """The quarters that end in (after, through]."""
        return [self.shift(self.containing(start), -1) for start in self.starts(after, through)]

    def _period(self, quarter: str) -> pd.Period:
        if not re.fullmatch(r"\d{4}Q[1-4]", quarter):
            raise UsageError(f"{quarter!r} is not a quarter: write it as 2024Q3")
        return pd.Period(quarter, self.frequency)
