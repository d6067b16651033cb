"""Who reached which milestone when, by what was done: the truth, account by account.

It is counted from the deeds themselves and knows nothing of the platform's engines: theirs must come to the same.
"""

import numpy as np
import pandas as pd
import pyarrow as pa

from features.arrays import Floats, Integers
from features.quarters import Quarters
from features.simulation.direct import Counter, alive_at, by_instant, seats_at
from features.simulation.history import Columns, History
from features.simulation.plantings import ACTIVATION_DAYS, MATURITY_DAYS, SETUP_DAYS, UTILIZATION_DAYS
from features.simulation.records import Records
from features.simulation.scenario import Scenario
from features.simulation.tables import Ids, Spells
from features.windows import DAY_US, microseconds


def scores_table(history: History, ids: Ids, spells: Spells, done: Records) -> pa.Table:
    """account_id, milestone, as_of, alive, score, reached: of customers, at landmarks and at quarters' closes.

    A score is missing, and `reached` with it, where seats are needed and there were none.
    """
    scenario, count = history.scenario, by_instant(done, history)
    at = Columns(scenario)
    landmark = {
        day: (history.population.signed_up + day * DAY_US)[:, None] for day in (SETUP_DAYS, ACTIVATION_DAYS)
    }
    closes = np.broadcast_to(_closes(scenario), (len(ids), scenario.quarters))
    parts = [
        ("setup", landmark[SETUP_DAYS], _steps(at, count, landmark[SETUP_DAYS]), scenario.setup.at_least),
        (
            "activation",
            landmark[ACTIVATION_DAYS],
            _between(count, [at.started], landmark[ACTIVATION_DAYS], ACTIVATION_DAYS),
            scenario.activation.at_least,
        ),
        ("utilization", closes, _per_seat(at, count, closes, spells), scenario.utilization.at_least),
        ("maturity", closes, _mature(scenario, at, count, closes), scenario.maturity.at_least),
    ]
    return pa.concat_tables([_rows(history, ids, *part) for part in parts])


def _rows(history: History, ids: Ids, name: str, time: Integers, score: Floats, at_least: float) -> pa.Table:
    people = history.population
    there = (time > people.signed_up[:, None]) & (time <= microseconds(history.scenario.end))
    there &= ~people.is_test[:, None]
    account = np.nonzero(there)[0]
    value = score[there]
    missing = np.isnan(value)
    return pa.table(
        {
            "account_id": pa.DictionaryArray.from_arrays(account.astype(np.int32), pa.array(ids)),
            "milestone": pa.DictionaryArray.from_arrays(np.zeros(len(account), np.int8), pa.array([name])),
            "as_of": pa.array(time[there].view("M8[us]")),
            "alive": pa.array(alive_at(history, time)[0][there]),
            "score": pa.array(value, mask=missing),
            "reached": pa.array(value >= at_least, mask=missing),
        }
    )


def _closes(scenario: Scenario) -> Integers:
    """The first instant after each quarter of the log."""
    closes = Quarters().starts(scenario.start, scenario.end)
    return pd.DatetimeIndex(closes).as_unit("us").asi8


def _between(count: Counter, columns: list[int], time: Integers, days: int) -> Floats:
    return count(columns, time - days * DAY_US, time)


def _steps(at: Columns, count: Counter, time: Integers) -> Floats:
    steps = range(at.setup.start, at.setup.stop)
    done = [_between(count, [step], time, SETUP_DAYS) > 0 for step in steps]
    return np.asarray(np.sum(done, axis=0), dtype=np.float64)


def _per_seat(at: Columns, count: Counter, time: Integers, spells: Spells) -> Floats:
    resolved = _between(count, [at.resolved], time, UTILIZATION_DAYS)
    seats = seats_at(spells, time - UTILIZATION_DAYS * DAY_US)
    return np.asarray(np.divide(resolved, seats, out=np.full(resolved.shape, np.nan), where=seats > 0))


def _mature(scenario: Scenario, at: Columns, count: Counter, time: Integers) -> Floats:
    found = np.zeros(time.shape)
    for events in scenario.maturity.categories.values():
        uses = _between(count, [at.of[event] for event in events], time, MATURITY_DAYS)
        found += uses >= scenario.maturity.mature
    return found
