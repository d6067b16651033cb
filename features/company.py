"""The months of a simulated company: counts, seats, plan and leaving, one month of tenure at a time.

All accounts go through the same month of tenure together, so each step is one operation on arrays. What a
milestone does depends only on counts *realised* in the months before, never on a hidden score: the planted
cuts are exact in the log.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features import planted
from features.arrays import Flags, Floats, Integers
from features.population import CATEGORY_SIZES, CATEGORY_STARTS, Population
from features.windows import DAY_US, microseconds

Counts = NDArray[np.int32]

MONTH = planted.MONTH_DAYS
TERM = planted.TERM_DAYS
COLUMN = {event: number for number, event in enumerate(planted.EVENTS)}
SETUP = slice(0, len(planted.SETUP_STEPS))
CATEGORY = slice(COLUMN[planted.CATEGORY_EVENTS[0]], COLUMN[planted.CATEGORY_EVENTS[-1]] + 1)

EARLY_RATE = 2.0  # conversations a month and seat before day 90, before ramp and temperament
CALM_RATE, BUSY_RATE = 2.2, 8.2  # and after it, in the two states of utilization
RESOLVED_SHARE = 0.88
RAMP = (0.5, 0.9, 1.0)
BASIC_RATE, MATURE_RATE = 2.7, 16.0  # events a month in a category, at the two levels of use
FIRST_LEVELS = (0.50, 0.39, 0.11)  # shares of categories unused, basic and mature at signup
STARTING_CHANCE, LAPSING_CHANCE = 0.07, 0.02  # a month, from unused to basic and from mature to basic
REDRAW_CHANCE = 0.06  # a month, of the state of utilization
QUIET_CHANCE, QUIET_USE = 0.04, 0.1
RETURN_CHANCE = 0.10


@dataclass(frozen=True)
class History:
    """What happened. (n, months) arrays are by month of tenure; days are counted from signup."""

    population: Population
    counts: Counts  # (n, months, events)
    spans: Floats  # days lived in the month inside the log, 0 to 30
    seats: Integers  # at the start of the month
    plan: Integers
    present: Flags  # subscribed at the start of the month
    first_end: Floats  # day of leaving, inf while staying
    return_day: Floats  # inf where none
    second_end: Floats


@dataclass(frozen=True)
class Standing:
    """Which milestones the counts so far show, at the start of a month. Flags, one an account."""

    setup: Flags
    activated: Flags
    utilized: Flags
    mature: Flags


def standing(counts: Counts, seats: Integers, month: int) -> Standing:
    """The milestones reached by the start of `month`, from the counts of the months before.

    counts: (n, months, events); seats: (n, months), at the start of each month.
    """
    none = np.zeros(len(counts), dtype=np.bool_)
    setup, activated, utilized, mature = none, none, none, none
    if month >= 1:
        setup = (counts[:, 0, SETUP] > 0).sum(axis=1) >= planted.SETUP_AT_LEAST
        utilized = (
            counts[:, month - 1, COLUMN[planted.RESOLVED]] >= planted.UTILIZATION_CUT * seats[:, month - 1]
        )
    if month >= 3:
        activated = counts[:, :3, COLUMN[planted.STARTED]].sum(axis=1) >= planted.ACTIVATION_CUT
        recent = counts[:, month - 3 : month, CATEGORY].sum(axis=1)
        by_category = np.add.reduceat(recent, CATEGORY_STARTS, axis=1)
        mature = (by_category >= planted.MATURE_CUT).sum(axis=1) >= planted.MATURITY_AT_LEAST
    return Standing(setup, activated, utilized, mature)


def hazard(effects: planted.Effects, reached: Standing, seats: Integers | Floats) -> Floats:
    """The chance to leave in a month, (n,): a step at each milestone, smooth in size."""
    chance = effects.hazard * (seats / planted.TYPICAL_SEATS) ** effects.size_exponent
    chance = chance * np.where(reached.utilized, effects.utilization_hazard_ratio, 1.0)
    return np.minimum(chance * np.where(reached.mature, effects.maturity_hazard_ratio, 1.0), 1.0)


def live(scenario: planted.Scenario, population: Population, rng: np.random.Generator) -> History:
    """Every month of every account from signup to the end of the log."""
    n = len(population.signed_up)
    log_days = (microseconds(scenario.end) - population.signed_up) / DAY_US
    months = int(np.ceil(log_days.max() / MONTH))
    counts = np.zeros((n, months, len(planted.EVENTS)), dtype=np.int32)
    spans, present = np.zeros((n, months)), np.zeros((n, months), dtype=np.bool_)
    seats, plan = np.zeros((n, months), dtype=np.int64), np.zeros((n, months), dtype=np.int64)
    now = _Accounts(scenario, population, rng)
    for month in range(months):
        now.begin(month, log_days)
        reached = standing(counts, seats, month)
        if month >= 2:
            now.expand(reached)
        seats[:, month], plan[:, month], present[:, month] = now.seats, now.plan, now.alive
        if month >= 3:
            now.utilize(month, reached)
        now.mature(reached)
        now.leave(month, reached)
        spans[:, month] = now.alive * np.clip(np.minimum(now.end, log_days) - month * MONTH, 0, MONTH)
        counts[:, month] = now.use(month, reached, spans[:, month] / MONTH)
        now.close(month)
    return History(
        population, counts, spans, seats, plan, present, now.first_end, now.return_day, now.second_end
    )


class _Accounts:
    """The state of all accounts, which the months change; every array has one entry an account."""

    def __init__(self, scenario: planted.Scenario, population: Population, rng: np.random.Generator) -> None:
        n = len(population.signed_up)
        self.effects, self.population, self.rng, self.n = scenario.effects, population, rng, n
        self.drift_at = microseconds(scenario.drift_at)
        self.alive: Flags = np.ones(n, dtype=np.bool_)
        self.busy: Flags = np.zeros(n, dtype=np.bool_)  # the state of utilization
        self.seats, self.plan = population.seats.copy(), population.plan.copy()
        # (n, 5) 0 unused, 1 basic, 2 mature
        self.level = rng.choice(3, size=(n, len(CATEGORY_SIZES)), p=FIRST_LEVELS).astype(np.int8)
        self.first_end, self.return_day, self.second_end = (np.full(n, np.inf) for _ in range(3))

    @property
    def end(self) -> Floats:
        """The day on which the stretch an account is in ends."""
        return np.where(np.isfinite(self.return_day), self.second_end, self.first_end)

    def begin(self, month: int, log_days: Floats) -> None:
        """Who returns in this month is back, and who has no more log is gone."""
        self.alive |= self.return_day == month * MONTH
        self.alive &= log_days > month * MONTH

    def expand(self, reached: Standing) -> None:
        """Change seats and plans. Expansion follows utilization; a plan follows nothing."""
        chance = self.rng.random(self.n)
        lift = np.where(reached.utilized, self.effects.expansion_lift, 1.0)
        more = self.alive & (chance < self.effects.expansion_chance * lift)
        # An annual account has bought its seats for the term.
        fewer = self.alive & (chance > 0.988) & ~self.population.annual & (self.seats > 1)
        self.seats[more] += np.maximum(1, self.seats[more] // 4)
        self.seats[fewer] -= np.maximum(1, self.seats[fewer] // 5)
        self.plan[self.alive & (self.plan < 2) & (self.rng.random(self.n) < 0.003)] += 1

    def utilize(self, month: int, reached: Standing) -> None:
        """Draw the state of utilization at day 90, and now and then again; activation raises its chance."""
        begins = self.population.signed_up + month * MONTH * DAY_US
        left = np.where(begins >= self.drift_at, self.effects.drift_left, 1.0)
        lift = (self.effects.utilization_above - self.effects.utilization_below) * left
        chance = self.effects.utilization_below + np.where(reached.activated, lift, 0.0)
        drawn = self.rng.random(self.n) < chance
        again = self.rng.random(self.n) < (1.0 if month == 3 else REDRAW_CHANCE)
        self.busy = np.where(again, drawn, self.busy)

    def mature(self, reached: Standing) -> None:
        """Move the levels of the categories; utilization raises the chance of going from basic to mature."""
        maturing = self.effects.maturing_chance * np.where(reached.utilized, self.effects.maturing_lift, 1.0)
        up = np.where(self.level == 0, STARTING_CHANCE, np.where(self.level == 1, maturing[:, None], 0.0))
        down = np.where(self.level == 2, LAPSING_CHANCE, 0.0)
        move = self.rng.random(self.level.shape)
        self.level += (move < up).astype(np.int8) - (move > 1.0 - down).astype(np.int8)

    def leave(self, month: int, reached: Standing) -> None:
        """Draw who leaves and on which day.

        An annual account decides at the start of the month before its renewal's, and leaves at the renewal:
        renewal on day 365 lies in month 12 (days 360 to 390), so month 11 (from day 330) decides.
        """
        chance = hazard(self.effects, reached, self.seats)
        back = np.isfinite(self.return_day)  # who returns pays by the month
        yearly = self.population.annual & ~back
        renewal = -(-(month + 1) * MONTH // TERM) * TERM  # the first from the next month on
        decides = renewal // MONTH == month + 1
        chance = np.where(yearly, (1 - (1 - chance) ** 12) * decides, chance)
        stays = np.isinf(self.end) & self.alive & ~self.population.is_test
        leaves = stays & (self.rng.random(self.n) < chance)
        day = np.where(yearly, renewal, (month + self.rng.uniform(0.1, 1.0, self.n)) * MONTH)
        self.first_end = np.where(leaves & ~back, day, self.first_end)
        self.second_end = np.where(leaves & back, day, self.second_end)

    def close(self, month: int) -> None:
        """Who ends in this month is gone, and one in ten of them comes back after two to seven months."""
        gone = self.alive & (self.end < (month + 1) * MONTH)
        returns = gone & np.isinf(self.return_day) & (self.rng.random(self.n) < RETURN_CHANCE)
        later = (month + self.rng.integers(3, 8, self.n)) * MONTH
        self.return_day = np.where(returns, later, self.return_day)
        self.alive &= ~gone

    def use(self, month: int, reached: Standing, lived: Floats) -> Counts:
        """The counts of one month, (n, events). lived: (n,) share of the month, 0 where nobody is there."""
        people, rng = self.population, self.rng
        # Only annual accounts know of their leaving a month ahead.
        fading = self.end < (month + 2) * MONTH
        lived = lived * np.where(fading, self.effects.leaving_use, 1.0)
        quiet = np.where(rng.random(self.n) < QUIET_CHANCE, QUIET_USE, 1.0)
        volume = lived * quiet * np.exp(people.trend * month)
        counts = np.zeros((self.n, len(planted.EVENTS)), dtype=np.int32)
        counts[:, SETUP] = self._setup_steps(month) & (lived > 0)[:, None]
        started, resolved = self._conversations(month, reached, volume)
        counts[:, COLUMN[planted.STARTED]], counts[:, COLUMN[planted.RESOLVED]] = started, resolved
        counts[:, CATEGORY] = self._category_events(volume * RAMP[min(month, 2)])
        # The twin follows its driver's realised count, so that the two stay alike month by month.
        driven = counts[:, COLUMN[planted.DRIVER]] * people.twin_ratio
        counts[:, COLUMN[planted.TWIN]] = rng.poisson(driven)
        counts[:, COLUMN[planted.UBIQUITOUS]] = rng.poisson(1.6 * lived * people.styles)
        counts[:, COLUMN[planted.NICHE]] = rng.poisson(3.0 * lived * (people.tunes & (self.plan == 2)))
        for number, (event, (_, rate)) in enumerate(planted.NOISE.items()):
            counts[:, COLUMN[event]] = rng.poisson(rate * lived * people.noise[:, number])
        return counts

    def _setup_steps(self, month: int) -> Flags:
        """Steps done in this month, (n, 7): most in the first, some late, now and then one again."""
        base = np.array(list(planted.SETUP_STEPS.values()))
        odds = np.log(base / (1 - base)) + self.population.readiness[:, None]
        chance = 1 / (1 + np.exp(-odds)) if month == 0 else 0.12 * (month < 3)
        return np.asarray(self.rng.random(odds.shape) < chance)

    def _conversations(self, month: int, reached: Standing, volume: Floats) -> tuple[Integers, Integers]:
        """Conversations started and resolved, each (n,).

        Before day 90 a Poisson count. After it the *rate* varies and the count is cut to whole conversations:
        Poisson noise is larger per seat in small accounts, and would carry more of them over a per-seat cut.
        """
        people, rng = self.population, self.rng
        if month < 3:
            lift = np.where(reached.setup, self.effects.setup_lift, 1.0)
            started = rng.poisson(volume * self.seats * EARLY_RATE * RAMP[month] * people.temperament * lift)
            return started, rng.binomial(started, RESOLVED_SHARE)
        rate = np.where(self.busy, BUSY_RATE, CALM_RATE) * people.pace * rng.lognormal(0.0, 0.2, self.n)
        expected = volume * self.seats * rate
        return expected.astype(np.int64), (expected * RESOLVED_SHARE).astype(np.int64)

    def _category_events(self, volume: Floats) -> Integers:
        """Counts of the category events, (n, category events).

        Large accounts use a *mature* category more. Basic use does not grow with seats: otherwise size alone
        would carry accounts over the mature cut.
        """
        large = np.maximum(1.0, self.seats / planted.TYPICAL_SEATS) ** 0.25
        rate = np.where(
            self.level == 2, MATURE_RATE * large[:, None], np.where(self.level == 1, BASIC_RATE, 0.03)
        )
        rate = rate * self.population.devotion * volume[:, None]
        return self.rng.poisson(np.repeat(rate, CATEGORY_SIZES, axis=1) * self.population.shares)
