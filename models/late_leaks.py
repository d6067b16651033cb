"""Backfilled rows: written later than they say, and after the outcome of the accounts they belong to was known."""

import numpy as np
import pandas as pd

from features.lateness import KINDS, has_recorded, late_rows
from models.contrast import Rates, rates
from models.leaks import Checked, Finding, Material, strictness

AT_LEAST_TIMES = 2.0  # as often late in the one class as in the other
FEWEST_ACCOUNTS = 10  # with a late row


def late_records(material: Material) -> Checked:
    """Rows recorded after the review they count in: how many, and whether being late tells who was lost."""
    lag = pd.Timedelta(days=material.framework.review.settling_lag_days)
    data = material.framework.data
    tables = [table for table in KINDS if has_recorded(data, table)]
    if not tables:
        missing = (
            "no table says when its rows were recorded, so rows written later than they say cannot be told;"
        )
        return Checked("late rows", f"nothing: {missing} map events.recorded_at where the source has it")
    found: list[Finding] = []
    looked = []
    for table in tables:
        rows = late_rows(material.log, data, material.folder, table, material.closes, lag)
        looked.append(
            f"{int(rows['n'].sum()):,} rows of {table}, {int(rows['late'].sum()):,} late by more than {lag.days} days"
        )
        found += [*_unknown_then(table, rows, lag), *_telling(table, rows, material, lag)]
    return Checked(
        "late rows", "; ".join(looked) + (f"; {material.too_few}" if material.too_few else ""), tuple(found)
    )


def _unknown_then(table: str, rows: pd.DataFrame, lag: pd.Timedelta) -> list[Finding]:
    n, unknown = int(rows["n"].sum()), int(rows["unknown"].sum())
    if not unknown:
        return []
    most = str(rows.groupby("kind")["unknown"].sum().idxmax())
    text = (
        f"{table}: {unknown:,} of {n:,} rows ({unknown / n:.1%}) were recorded more than {lag.days} days after the close they"
        f" count in, most of them {most!r}: features built today hold more than was known then"
    )
    return [Finding("recorded after the close", table, text, "note", {"n": n, "unknown": unknown})]


def _telling(table: str, rows: pd.DataFrame, material: Material, lag: pd.Timedelta) -> list[Finding]:
    """Kinds whose lateness differs between lost and kept accounts."""
    if material.too_few:
        return []
    observed = material.frame[["account", "as_of"]].assign(lost=material.lost, quarter=material.quarter)
    joined = rows.merge(observed, on=["account", "as_of"])
    tried = joined.groupby("kind")["late"].sum()
    z = strictness(int((tried > 0).sum()))
    found = []
    for kind in tried[tried > 0].index:
        own = joined[joined["kind"] == kind]
        seen = rates(
            own["late"].to_numpy(np.float64), own["n"].to_numpy(np.float64), own["lost"].to_numpy(bool),
            own["quarter"].to_numpy(np.int64), own["account"].to_numpy(np.int64),
        )  # fmt: skip
        unknown = int(own["unknown"].sum())
        if (
            abs(seen.z) > z
            and unknown
            and seen.n_accounts >= FEWEST_ACCOUNTS
            and _times(seen) >= AT_LEAST_TIMES
        ):
            found.append(_backfilled(table, str(kind), seen, unknown, lag))
    return found


def _times(seen: Rates) -> float:
    low, high = sorted((seen.lost, seen.kept))
    return high / max(low, 1e-12)


def _backfilled(table: str, kind: str, seen: Rates, unknown: int, lag: pd.Timedelta) -> Finding:
    where = kind if table == "events" else table
    text = (
        f"{where}: of the rows before a loss {seen.lost:.1%} were recorded more than {lag.days} days late, of the others"
        f" {seen.kept:.1%} ({seen.n_accounts:,} accounts), and {unknown:,} were not there when their quarter was reviewed: rows"
        " that were added once the outcome was known tell it. Use them as of recorded_at, or leave them out"
    )
    evidence = {"table": table, "late_lost": seen.lost, "late_kept": seen.kept, "z": seen.z,
                "n_accounts": seen.n_accounts, "unknown_then": unknown}  # fmt: skip
    return Finding("backfilled rows", where, text, "alarm", evidence)
