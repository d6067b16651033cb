"""A planted-truth company: an event log whose thresholds, confounders, leaks and drifts are known.

    simulate(load_scenario("default"), seed=0, folder=Path("build/company"))

writes events, accounts, subscriptions, states and eligibility as Parquet, truth.json with all that was planted, and
truth.parquet with who reached which milestone when. The same scenario and seed give the same bytes. Accounts are
lived and written block by block, so that a large company needs no more memory than a small one.
"""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.progress import ProgressCallback
from features.simulation.blocks import Block, blocks
from features.simulation.leaks import with_account_leaks, with_event_leaks
from features.simulation.realised import Realised
from features.simulation.scenario import Scenario
from features.simulation.scores import scores_table
from features.simulation.tables import (
    accounts_table,
    eligibility_table,
    events_table,
    spells_of,
    states_table,
    subscriptions_table,
)
from features.simulation.truth import truth_of
from features.workspace import discard, set_aside

TABLES = ("events", "accounts", "subscriptions", "states", "eligibility")


@dataclass(frozen=True)
class Company:
    """Arrow tables with the columns of the input contract, and the truth behind them.

    - events: account_id, event, occurred_at, user_id [, recorded_at], in the order of time
    - accounts: account_id, signed_up_at, industry, country, is_test
    - subscriptions: account_id, started_at, ended_at, plan, seats, mrr, term_months, renews_at, trial
    - states: account_id, attribute, value, valid_from
    - eligibility: feature, plan, launched_at; None where everybody can always use everything
    - scores: account_id, milestone, as_of, score, reached: who reached what, by what was done
    """

    events: pa.Table
    accounts: pa.Table
    subscriptions: pa.Table
    states: pa.Table
    eligibility: pa.Table | None
    scores: pa.Table
    truth: dict[str, Any]

    @property
    def columns(self) -> dict[str, list[str]]:
        """The columns of each table."""
        return {name: table.column_names for name, table in self.tables.items()}

    @property
    def tables(self) -> dict[str, pa.Table]:
        """The tables that there are, by name."""
        found = {name: getattr(self, name) for name in TABLES}
        return {name: table for name, table in found.items() if table is not None}


def draw_company(scenario: Scenario, seed: int) -> Company:
    """The company of a scenario in memory; the rows are those that `simulate` writes."""
    realised, parts = Realised(scenario), []
    for block in blocks(scenario, seed):
        parts.append(_tables(block))
        realised.add(block, len(parts[-1]["events"]))
    tables = {
        name: pa.concat_tables([part[name] for part in parts]).unify_dictionaries() for name in parts[0]
    }
    return Company(
        **tables, eligibility=eligibility_table(scenario), truth=truth_of(scenario, seed, realised)
    )


def simulate(
    scenario: Scenario, seed: int, folder: Path, progress: ProgressCallback | None = None
) -> dict[str, Any]:
    """Write a company into a folder, and return its truth. Each file appears whole or not at all.

    `progress` is called with the stage and the share done. Raises StoreError when the folder cannot be written.
    """
    realised = Realised(scenario)
    with ExitStack() as files:
        writers: dict[str, pq.ParquetWriter] = {}
        for block in blocks(scenario, seed):
            tables = _tables(block)
            for name, table in tables.items():
                if name not in writers:
                    path = files.enter_context(set_aside(folder / _file(name)))
                    writer = pq.ParquetWriter(path, table.schema, compression="zstd", **_encoding(table))
                    writers[name] = files.enter_context(writer)
                writers[name].write_table(table)
            realised.add(block, len(tables["events"]))
            if progress:
                progress("living the accounts", 0.95 * block.share)
    _write_eligibility(scenario, folder)
    truth = truth_of(scenario, seed, realised)
    with set_aside(folder / "truth.json") as path:
        path.write_text(json.dumps(truth, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return truth


def columns_in(folder: Path) -> dict[str, list[str]]:
    """The columns of each table of a company that was written into a folder."""
    found = {name: folder / f"{name}.parquet" for name in TABLES}
    return {name: pq.read_schema(path).names for name, path in found.items() if path.is_file()}


def _tables(block: Block) -> dict[str, pa.Table]:
    history, ids, rng = block.history, block.ids, block.rng
    if block.done is None or block.recorded is None:
        raise ValueError("a block without records has no tables")
    spells = spells_of(history)
    events = events_table(history, ids, block.recorded, rng)
    accounts = accounts_table(history, ids, rng)
    return {
        "events": with_event_leaks(events, history, ids, rng),
        "accounts": with_account_leaks(accounts, history, rng),
        "subscriptions": subscriptions_table(history, ids, spells),
        "states": states_table(history, ids, block.done),
        "scores": scores_table(history, ids, spells, block.done),
    }


def _file(name: str) -> str:
    return "truth.parquet" if name == "scores" else f"{name}.parquet"


def _write_eligibility(scenario: Scenario, folder: Path) -> None:
    table = eligibility_table(scenario)
    if table is None:
        discard(folder / "eligibility.parquet")  # of a company that was there before
        return
    with set_aside(folder / "eligibility.parquet") as path:
        pq.write_table(table, path, compression="zstd")


def _encoding(table: pa.Table) -> dict[str, Any]:
    """Texts by dictionary, times by their differences: in the order of time these are small."""
    times = [field.name for field in table.schema if pa.types.is_timestamp(field.type)]
    return {
        "use_dictionary": [name for name in table.column_names if name not in times],
        "column_encoding": dict.fromkeys(times, "DELTA_BINARY_PACKED"),
    }
