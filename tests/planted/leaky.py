"""Companies into which one leak is planted, and their clean twins: what a leak audit must tell apart."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from features.intake import open_log
from features.simulation.scenario import load_scenario
from features.simulation.simulator import Company, draw_company
from models.demonstration import adopted_framework
from models.framework import Framework
from models.future_leaks import planting
from models.leak_audit import CHECKS, Check, audit
from models.leaks import Checked, Finding

Tables = dict[str, pd.DataFrame]
SOUND_ENGINE = tuple(check for check in CHECKS if check is not planting)  # it takes half of the time
Plant = Callable[[Tables, np.random.Generator], None]


@cache
def company(seed: int) -> Company:
    """700 accounts over 12 quarters."""
    return draw_company(load_scenario("default").sized(accounts=700), seed)


def audited(
    folder: Path,
    seed: int,
    plant: Plant | None = None,
    checks: Sequence[Check] = SOUND_ENGINE,
    **changes: Any,
) -> tuple[Checked, ...]:
    """The audit of a company after `plant` changed its tables; `changes` are keys of the framework's data half."""
    made = company(seed)
    tables = {name: table.to_pandas() for name, table in made.tables.items()}
    tables["events"] = tables["events"].astype(
        {"account_id": "string", "event": "string", "user_id": "string"}
    )
    if plant:
        plant(tables, np.random.default_rng(seed))
    (folder / "data").mkdir(parents=True)
    for name, table in tables.items():
        table.to_parquet(folder / "data" / f"{name}.parquet", index=False)
    framework = _framework(made, tables, changes)
    return audit(framework, open_log(framework.data, folder), folder, 0, lambda _what, _share: None, checks)


def _framework(made: Company, tables: Tables, changes: dict[str, Any]) -> Framework:
    framework = adopted_framework(load_scenario("default"), made.columns)
    content = framework.model_dump(by_alias=True)
    content["data"] |= changes
    if "recorded_at" in tables["events"]:
        content["data"]["mapping"]["events"]["recorded_at"] = "recorded_at"
    return Framework.model_validate(content)


def alarms(checked: tuple[Checked, ...]) -> list[Finding]:
    """Every alarm of an audit."""
    return [finding for one in checked for finding in one.alarms]


def notes(checked: tuple[Checked, ...], kind: str) -> list[Finding]:
    """The notes of one kind."""
    return [f for one in checked for f in one.findings if f.severity == "note" and f.kind == kind]


def ends(tables: Tables) -> "pd.Series[pd.Timestamp]":
    """The first end of each account that left, by account_id."""
    spells = tables["subscriptions"].sort_values("started_at")
    final = spells.groupby("account_id").tail(1).set_index("account_id")["ended_at"]
    return final.dropna()


def add_events(tables: Tables, account_id: Any, event: str, occurred_at: Any, **more: Any) -> None:
    """More rows of events; those before their account's signup are left out."""
    rows = pd.DataFrame({"account_id": account_id, "event": event, "occurred_at": occurred_at, **more})
    signed_up = tables["accounts"].set_index("account_id")["signed_up_at"]
    rows = rows[rows["occurred_at"].to_numpy() >= signed_up.loc[rows["account_id"]].to_numpy()]
    tables["events"] = pd.concat([tables["events"], rows], ignore_index=True)


def recorded_soon(tables: Tables, rng: np.random.Generator) -> None:
    """Say of every event that it came into the system some ten minutes after it happened."""
    delay = pd.to_timedelta(rng.exponential(600, len(tables["events"])), unit="s")
    tables["events"]["recorded_at"] = tables["events"]["occurred_at"] + delay


def with_feature(event: str) -> dict[str, Any]:
    """The features of the company with one more event among them, few of the rest."""
    return {"features": {"windows_days": [30, 90], "event_windows_days": [30, 90], "events": [event]}}
