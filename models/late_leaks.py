"""Backfilled rows: written later than they say, and after the loss of the accounts they belong to.

That rows are late more often before a loss is no leak by itself: where data come in by a monthly batch they are late for
as long as the account lives, and whoever uses that batch may be lost more often. Rows that were added because an
account was lost are recorded after its loss, most of them.
"""

from typing import Any

import numpy as np
import pandas as pd

from features.attributes import times_of
from features.lateness import KINDS, has_recorded, late_rows
from features.outcomes import Labels
from models.contrast import rates, share_of
from models.leaks import Checked, Finding, Material, strictness

AT_LEAST_TIMES = 2.0  # as often late in the one class as in the other, beyond chance
MOST = 0.5  # of the late rows before a loss: recorded after it, beyond chance
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
    looked, losses = [], _losses(material)
    for table in tables:
        rows = late_rows(material.log, data, material.folder, table, material.closes, lag, losses)
        looked.append(
            f"{int(rows['n'].sum()):,} rows of {table}, {int(rows['late'].sum()):,} late by more than {lag.days} days"
        )
        found += [*_unknown_then(table, rows, lag), *_telling(table, rows, material, lag)]
    return Checked(
        "late rows", "; ".join(looked) + (f"; {material.too_few}" if material.too_few else ""), tuple(found)
    )


def _losses(material: Material) -> pd.DataFrame:
    """account, as_of and lost_at of the observations that end in a loss; a silent one is over with the horizon."""
    lost = material.frame[material.lost]
    lives = Labels.of(material.log, material.framework.data).lives
    at = (
        lost["known_from"].to_numpy("datetime64[us]")
        if lives is None
        else lives.end_of_life(lost["account"].to_numpy(np.int64), times_of(lost["as_of"]))
    )
    return lost[["account", "as_of"]].assign(lost_at=at)


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
        where = str(kind) if table == "events" else table
        found += [_late(table, where, own, lost_first, z, lag) for lost_first in (True, False)]
    return [finding for finding in found if finding]


def _late(
    table: str, where: str, rows: pd.DataFrame, lost_first: bool, z: float, lag: pd.Timedelta
) -> Finding | None:
    """What to say where the rows of one class, the lost or the kept, are late far more often."""
    late, n = rows["late"].to_numpy(np.float64), rows["n"].to_numpy(np.float64)
    lost, account = rows["lost"].to_numpy(bool), rows["account"].to_numpy(np.int64)
    seen = rates(late, n, lost == lost_first, rows["quarter"].to_numpy(np.int64), account, AT_LEAST_TIMES)
    if seen.z <= z or seen.n_accounts < FEWEST_ACCOUNTS:
        return None
    rate = (seen.lost, seen.kept) if lost_first else (seen.kept, seen.lost)
    text = (
        f"{where}: of the rows before a loss {rate[0]:.1%} were recorded more than {lag.days} days late, of the others of"
        f" their quarters {rate[1]:.1%} ({seen.n_accounts:,} accounts)"
    )
    evidence = {"table": table, "late_lost": rate[0], "late_kept": rate[1], "times": seen.times, "z": seen.z,
                "n_accounts": seen.n_accounts}  # fmt: skip
    own = lost & (late > 0)
    after, sure = (
        share_of(rows["after_loss"].to_numpy(np.float64)[own], late[own], account[own], z)
        if lost_first
        else (0.0, 0.0)
    )
    return _judged(where, text, evidence | {"after_loss": after, "after_loss_lower": sure})


def _judged(where: str, text: str, evidence: dict[str, Any]) -> Finding:
    after = evidence["after_loss"]
    if evidence["after_loss_lower"] > MOST:
        remedy = (
            f"{after:.0%} of those before a loss came after that loss: rows that were added once the outcome was known tell"
            " it. Use them as of recorded_at, or leave them out"
        )
        return Finding("backfilled rows", where, f"{text}. {remedy}", "alarm", evidence)
    rest = (
        "most of them before that loss, so that the outcome did not write them"
        if after
        else "no loss came before them"
    )
    return Finding("late more often", where, f"{text}; {rest}", "note", evidence)
