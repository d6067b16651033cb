"""The observation matrix of a simulated company without its files: what the platform would make of them, drawn directly.

    frame = draw_matrix(load_scenario("null"), seed, specs, Grid("tenure", (90,)))

equals `observe` on the company's own files, row by row, and `draw_log` their log without its events. A landmark whose
windows are whole months of tenure is read from the months that were lived, which draws no event at all: thousands of
companies can be looked at in minutes.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from features.arrays import Flags, Floats, Integers, Times
from features.errors import UsageError
from features.log import Log
from features.simulation.blocks import Block, blocks
from features.simulation.history import Columns, History
from features.simulation.plantings import MONTH_DAYS, PLANS, TERM_DAYS
from features.simulation.records import Records
from features.simulation.scenario import Scenario
from features.simulation.tables import Spells, spells_of
from features.specs import Aggregation, FeatureSpec, Group, Per, StateTest
from features.windows import DAY_US, Grid, microseconds

# columns, from, until (n, dates) -> counts (n, dates)
Counter = Callable[[list[int], Integers, Integers], Floats]


def draw_matrix(
    scenario: Scenario, seed: int, specs: Sequence[FeatureSpec], grid: Grid, horizon_days: int = 180
) -> pd.DataFrame:
    """Account x as-of date: the identity columns of `features.observations`, then a column per feature.

    Test accounts are left out, as the company's framework does. Raises UsageError for a feature that is no count, rate
    per seat or count of groups, or that looks at an event which not everybody could use; and for a scenario with leaks.
    """
    frame, _ = draw_matrix_and_log(scenario, seed, specs, grid, horizon_days)
    return frame


def draw_matrix_and_log(
    scenario: Scenario, seed: int, specs: Sequence[FeatureSpec], grid: Grid, horizon_days: int = 180
) -> tuple[pd.DataFrame, Log]:
    """What `draw_matrix` and `draw_log` give, of a company that lives once for both."""
    _refuse(scenario, specs)
    monthly = grid.origin == "tenure" and scenario.changes.outage is None and _by_months(specs, grid)
    frames, tables = [], _Tables()
    for block in blocks(scenario, seed, with_records=not monthly):
        frame = _observed(block, specs, grid, horizon_days)
        frame["account"] += tables.n_accounts
        frames.append(frame)
        tables.add(block)
    return pd.concat(frames, ignore_index=True), tables.log(scenario.end)


def draw_log(scenario: Scenario, seed: int) -> Log:
    """The log of the company as far as nothing has to be counted: its accounts and subscriptions, and no event.

    The accounts have the codes of `draw_matrix`. Whatever asks for the events fails.
    """
    tables = _Tables()
    for block in blocks(scenario, seed, with_records=False):
        tables.add(block)
    return tables.log(scenario.end)


class _Tables:
    """The accounts and subscriptions of one block after the other; test accounts are left out."""

    def __init__(self) -> None:
        self.accounts: list[pd.DataFrame] = []
        self.subscriptions: list[pd.DataFrame] = []
        self.n_accounts = 0

    def add(self, block: Block) -> None:
        people = block.history.population
        real = ~people.is_test
        self.accounts.append(
            pd.DataFrame(
                {"account_id": block.ids[real], "signed_up_at": people.signed_up[real].view("M8[us]")}
            )
        )
        self.subscriptions.append(_subscriptions(block, np.cumsum(real) - 1 + self.n_accounts))
        self.n_accounts += int(real.sum())

    def log(self, end: pd.Timestamp) -> Log:
        found = pd.concat(self.accounts, ignore_index=True)
        return Log(
            events=None, accounts=found,
            subscriptions=pd.concat(self.subscriptions, ignore_index=True), states=None, outcomes=None, eligibility=None,
            data_from=found["signed_up_at"].min().floor("D"), data_through=end, known_at=None, n_events=0, read={}, quarantined={},
            excluded={}, withheld={}, notes=(), outages=(), rejected={},
        )  # fmt: skip


def _subscriptions(block: Block, code: Integers) -> pd.DataFrame:
    """account, started_at, ended_at, plan, seats: a row a spell, of all but test accounts."""
    history = block.history
    spells = spells_of(history)
    end = pd.Series(spells.ends.view("M8[us]"))
    frame = pd.DataFrame(
        {
            "account": code[spells.account],
            "started_at": spells.starts.view("M8[us]"),
            "ended_at": end.where(end < history.scenario.end),
            "plan": np.array(PLANS)[spells.plan],
            "seats": spells.seats.astype(np.float64),
        }
    )
    return frame[~history.population.is_test[spells.account]]


def _refuse(scenario: Scenario, specs: Sequence[FeatureSpec]) -> None:
    if scenario.leaks:
        raise UsageError(f"scenario {scenario.name} has leaks, which are in its files alone: simulate it")
    for spec in specs:
        counted = {event for group in _groups(spec) for event in group.events}
        unknown, closed = sorted(counted - set(scenario.logged)), sorted(counted & scenario.limited)
        unknown += [
            test.state for group in _groups(spec) for test in group.states if test not in _settings(scenario)
        ]
        if (
            spec.aggregation not in (Aggregation.COUNT, Aggregation.GROUPS)
            or spec.per not in (None, Per.SEAT)
            or spec.trend
        ):
            raise UsageError(
                f"feature {spec.name!r} cannot be drawn directly: counts, rates per seat and groups can"
            )
        if not counted or unknown or closed or spec.window.start_days is None or spec.window.end_days > 0:
            what = repr((unknown or closed)[0]) if unknown or closed else "its window, or its events"
            raise UsageError(
                f"feature {spec.name!r} cannot be drawn directly because of {what}: simulate the files"
            )


def _groups(spec: FeatureSpec) -> tuple[Group, ...]:
    return spec.groups or ((Group(spec.events),) if spec.events else ())


def _by_months(specs: Sequence[FeatureSpec], grid: Grid) -> bool:
    """Whether every window lies on whole months of tenure."""
    days = [*grid.as_of_days, *(-d for s in specs for d in (s.window.start_days or 0, s.window.end_days))]
    return all(day % MONTH_DAYS == 0 for day in days)


def _observed(block: Block, specs: Sequence[FeatureSpec], grid: Grid, horizon_days: int) -> pd.DataFrame:
    history = block.history
    time = _dates(history, grid)
    spells = spells_of(history)
    count = _by_month(history) if block.recorded is None else by_instant(block.recorded, history)
    found = {spec.name: score(spec, history, spells, count, time) for spec in specs}
    account = np.cumsum(~history.population.is_test) - 1
    labels = _labels(history, time, horizon_days)
    identity = {
        "account": np.broadcast_to(account[:, None], time.shape),
        "as_of": time.view("M8[us]"),
        "signed_up_at": np.broadcast_to(history.population.signed_up[:, None], time.shape).view("M8[us]"),
    }
    there = (time > history.population.signed_up[:, None]) & (time <= microseconds(history.scenario.end))
    there &= ~history.population.is_test[:, None]
    frame = pd.DataFrame({name: values[there] for name, values in {**identity, **labels, **found}.items()})
    frame["retained"] = frame["retained"].astype("boolean").where(frame.pop("observable"))
    return frame


def _dates(history: History, grid: Grid) -> Integers:
    """The as-of dates, (n, dates), microseconds."""
    days = np.array(grid.as_of_days, dtype=np.int64) * DAY_US
    origin = history.population.signed_up[:, None] if grid.origin == "tenure" else 0
    return np.broadcast_to(origin + days[None, :], (len(history.population), len(days))).copy()


def score(spec: FeatureSpec, history: History, spells: Spells, count: Counter, time: Integers) -> Floats:
    """A feature at as-of dates, (n, dates); missing where seats are needed and there are none."""
    at, window = Columns(history.scenario), spec.window
    since, until = time + (window.start_days or 0) * DAY_US, time + window.end_days * DAY_US
    if spec.aggregation is Aggregation.GROUPS:
        present = [_is_present(group, history.scenario, count, since, until) for group in spec.groups]
        return np.asarray(np.sum(present, axis=0), dtype=np.float64)
    found: Floats = count([at.of[event] for event in spec.events or ()], since, until)
    if spec.per is Per.SEAT:
        seats = seats_at(spells, since)
        return np.asarray(np.divide(found, seats, out=np.full(found.shape, np.nan), where=seats > 0))
    return found


def _is_present(group: Group, scenario: Scenario, count: Counter, since: Integers, until: Integers) -> Flags:
    of, found = Columns(scenario).of, np.ones(until.shape, dtype=np.bool_)
    if group.events:
        found &= count([of[event] for event in group.events], since, until) >= group.at_least
    for test in group.states:
        # A setting stays as it was made, so that it is in force in every window that ends after.
        found &= count([of[_settings(scenario)[test]]], np.zeros_like(since), until) > 0
    return found


def _settings(scenario: Scenario) -> dict[StateTest, str]:
    """The steps that are settings, by the test of them."""
    return {StateTest(str(step.state), equals=step.value): name for name, step in scenario.settings.items()}


def _by_month(history: History) -> Counter:
    """Counts between whole months of tenure."""
    running = np.zeros(
        (history.counts.shape[0], history.counts.shape[1] + 1, history.counts.shape[2]), np.int64
    )
    np.cumsum(history.counts, axis=1, out=running[:, 1:])
    signed_up = history.population.signed_up[:, None]

    def count(columns: list[int], since: Integers, until: Integers) -> Floats:
        total = running[:, :, columns].sum(axis=2)
        months = [(edge - signed_up) // (MONTH_DAYS * DAY_US) for edge in (since, until)]
        start, stop = (np.clip(month, 0, total.shape[1] - 1) for month in months)
        rows = np.arange(len(total))[:, None]
        return np.asarray(total[rows, stop] - total[rows, start], dtype=np.float64)

    return count


def by_instant(records: Records, history: History) -> Counter:
    """Counts between any instants."""
    origin = microseconds(history.scenario.start)
    width = microseconds(history.scenario.end) - origin + 1
    rows = np.arange(len(history.population))[:, None] * width

    def keys(at: Integers) -> Integers:
        return np.asarray(rows + np.clip(at - origin, 0, width - 1))

    key = records.account * np.int64(width) + (records.at - origin)
    order = np.argsort(key, kind="stable")
    place, column = key[order], records.column[order]

    def count(columns: list[int], since: Integers, until: Integers) -> Floats:
        chosen = place[np.isin(column, columns)]
        return (np.searchsorted(chosen, keys(until)) - np.searchsorted(chosen, keys(since))).astype(
            np.float64
        )

    return count


def seats_at(spells: Spells, time: Integers) -> Floats:
    """The seats in force at each time (n, dates), the instant itself included; 0 where no spell is."""
    low = spells.starts.min()
    width = np.int64(1) << 50
    place = np.searchsorted(
        spells.account * width + (spells.starts - low),
        np.arange(len(time))[:, None] * width + np.clip(time - low, -1, width - 1),
        side="right",
    )
    place = np.maximum(place - 1, 0)
    mine = (spells.account[place] == np.arange(len(time))[:, None]) & (spells.starts[place] <= time)
    return np.where(mine & (time < spells.ends[place]), spells.seats[place], 0).astype(np.float64)


def alive_at(history: History, time: Integers) -> tuple[Flags, Integers]:
    """Who is a customer at each time (n, dates), and the instant at which that life ends."""
    people = history.population
    paid = np.where(people.trial, history.scenario.population.trial_days, 0)
    end = microseconds(history.scenario.end)
    forever = np.int64(1) << 62
    alive, until = np.zeros(time.shape, dtype=np.bool_), np.zeros(time.shape, dtype=np.int64)
    for begins, ends in ((paid, history.first_end), (history.return_day, history.second_end)):
        start = _instant(history, begins)
        stop = _instant(history, ends)
        stop = np.where(stop >= end, forever, stop)
        # Who leaves within the trial was never a customer.
        inside = (
            ((ends > begins) & (start < end))[:, None] & (start[:, None] <= time) & (stop[:, None] >= time)
        )
        alive, until = alive | inside, np.where(inside, stop[:, None], until)
    return alive, until


def _instant(history: History, day: Floats) -> Integers:
    """Days of tenure as instants; those that never come lie far ahead."""
    days = np.where(np.isfinite(day), day, 1e5)
    return history.population.signed_up + (days * DAY_US).astype(np.int64)


def _labels(history: History, time: Integers, horizon_days: int) -> dict[str, Floats | Flags | Times]:
    """alive, at_risk, retained, known_from and whether retention can be known, each (n, dates)."""
    known_from = time + horizon_days * DAY_US
    alive, until = alive_at(history, time)
    term = TERM_DAYS * DAY_US
    tenure = time - history.population.signed_up[:, None]
    to_renewal = -(-tenure // term) * term - tenure
    back = time >= _instant(history, history.return_day)[:, None]
    bound = history.population.annual[:, None] & ~back
    return {
        "alive": alive,
        "at_risk": alive & (~bound | (to_renewal < horizon_days * DAY_US)),
        "retained": ~(until < known_from),
        "known_from": known_from.view("M8[us]"),
        "observable": alive & (known_from <= microseconds(history.scenario.end)),
    }
