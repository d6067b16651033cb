"""A company block of accounts by block: what is lived, and what was recorded of it, from one seed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from features.simulation.company import live
from features.simulation.history import History
from features.simulation.population import draw_population
from features.simulation.records import HOUR, Records, records_of, tracked, working_times
from features.simulation.scenario import Scenario
from features.simulation.tables import Ids
from features.windows import microseconds

BLOCK_ACCOUNTS = 4096


@dataclass(frozen=True)
class Block:
    """Some accounts. `done` is what they did, `recorded` what tracking kept of it; None where nobody asked when."""

    ids: Ids
    history: History
    done: Records | None
    recorded: Records | None
    rng: np.random.Generator  # for what the tables add

    @property
    def share(self) -> float:
        """How far the company is with this block, 0 to 1."""
        return int(self.ids[-1][1:]) / self.history.scenario.accounts


def blocks(scenario: Scenario, seed: int, *, with_records: bool = True) -> Iterator[Block]:
    """The blocks in the order of signup; without records nothing of the rest changes, and no event is drawn."""
    rng = np.random.default_rng(seed)
    n, start = scenario.accounts, microseconds(scenario.start)
    span = microseconds(scenario.signups_end) - start - HOUR
    signed_up = np.sort(working_times(np.full(n, start), np.full(n, span), np.ones(n), rng))
    firsts = range(0, n, BLOCK_ACCOUNTS)
    for first, own in zip(firsts, rng.spawn(len(firsts)), strict=True):
        lives, times, tables = own.spawn(3)
        population = draw_population(scenario, signed_up[first : first + BLOCK_ACCOUNTS], lives)
        history = live(scenario, population, lives)
        done = records_of(history, times) if with_records else None
        ids = np.array([f"A{number:06d}" for number in range(first + 1, first + len(population) + 1)])
        yield Block(ids, history, done, None if done is None else tracked(scenario, done), tables)
