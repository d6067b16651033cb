"""The months of a simulated company: counts, seats, plan and leaving, one month of tenure at a time.

All accounts go through the same month of tenure together, so each step is one operation on arrays. What a
milestone does depends only on counts *realised* in the months before, never on a hidden score: the planted
cuts are exact in the log.
"""

import numpy as np

from features.arrays import Flags, Floats, Integers
from features.simulation.history import Columns, Counts, History, Standing, days_in_log, standing
from features.simulation.plantings import MONTH_DAYS, PLANS, TERM_DAYS, TYPICAL_SEATS, Levels
from features.simulation.population import Population, log_odds
from features.simulation.retention import loyalty
from features.simulation.scenario import Scenario
from features.windows import DAY_US, microseconds

BASIC_RATE, MATURE_RATE = 2.7, 16.0  # events a month in a category, at the two levels of use
REDRAW_CHANCE = 0.06  # a month, of the state of utilization
QUIET_CHANCE, QUIET_USE = 0.04, 0.1
FEWER_SEATS_CHANCE, UPGRADE_CHANCE = 0.012, 0.003
LATE_STEP_CHANCE = 0.12  # a month, of a step in the second and third month; nobody comes late to a niche one
PUSHED_OVER = 3.0  # conversations beyond the cut, of who was pushed
SHORTEST_DORMANCY, LONGEST_DORMANCY = 2, 4  # months


def hazard(scenario: Scenario, chance: Floats | float, reached: Standing, seats: Integers | Floats) -> Floats:
    """The chance to leave in a month, (n,), of those who would leave with `chance`: a step at each milestone, smooth in size."""
    chance = chance * (seats / TYPICAL_SEATS) ** scenario.leaving.size_exponent
    chance = chance * np.where(reached.utilized, scenario.utilization.hazard_ratio, 1.0)
    return np.minimum(chance * np.where(reached.mature, scenario.maturity.hazard_ratio, 1.0), 1.0)


def live(scenario: Scenario, population: Population, rng: np.random.Generator) -> History:
    """Every month of every account from signup to the end of the log."""
    n = len(population)
    log_days = days_in_log(scenario, population)
    months = int(np.ceil(log_days.max() / MONTH_DAYS))
    counts = np.zeros((n, months, len(scenario.columns)), dtype=np.int32)
    spans, present = np.zeros((n, months)), np.zeros((n, months), dtype=np.bool_)
    seats, plan = np.zeros((n, months), dtype=np.int64), np.zeros((n, months), dtype=np.int64)
    now = _Accounts(scenario, population, rng)
    for month in range(months):
        now.begin(month, log_days)
        reached = standing(scenario, counts, seats, month)
        if month >= 2:
            now.expand(reached)
        seats[:, month], plan[:, month], present[:, month] = now.seats, now.plan, now.alive
        if month == 3:
            now.settle(counts, reached)
        if month >= 3:
            now.utilize(month)
        now.mature(reached)
        now.leave(month, reached, counts)
        spans[:, month] = now.alive * np.clip(
            np.minimum(now.end, log_days) - month * MONTH_DAYS, 0, MONTH_DAYS
        )
        counts[:, month] = now.use(month, reached, spans[:, month] / MONTH_DAYS, counts)
        now.close(month)
    return History(
        scenario, population, counts, spans, seats, plan, present, now.first_end, now.return_day,
        now.second_end, now.contacted, now.held_out, now.pushed,
    )  # fmt: skip


class _Accounts:
    """The state of all accounts, which the months change; every array has one entry an account."""

    def __init__(self, scenario: Scenario, population: Population, rng: np.random.Generator) -> None:
        n = len(population)
        self.scenario, self.population, self.rng, self.n = scenario, population, rng, n
        self.at = Columns(scenario)
        self.alive: Flags = np.ones(n, dtype=np.bool_)
        self.busy: Flags = np.zeros(n, dtype=np.bool_)  # the state of utilization
        self.awake_from = np.zeros(n)  # the month in which dormancy is over
        self.seats, self.plan = population.seats.copy(), population.plan.copy()
        # (n, categories) 0 unused, 1 basic, 2 mature
        levels = (n, len(self.at.category_sizes))
        self.level = rng.choice(3, size=levels, p=scenario.maturity.first_levels).astype(np.int8)
        self.first_end = np.where(population.trial_lost, float(scenario.population.trial_days), np.inf)
        self.return_day, self.second_end = np.full(n, np.inf), np.full(n, np.inf)
        self.contacted, self.held_out, self.pushed = (np.zeros(n, dtype=np.bool_) for _ in range(3))
        self.gain: Floats = np.zeros(n)  # of activation's effects, from day 90 on
        self.chance = np.full(n, scenario.leaving.hazard)  # to leave in a month, before milestones and size

    @property
    def end(self) -> Floats:
        """The day on which the stretch an account is in ends."""
        return np.where(np.isfinite(self.return_day), self.second_end, self.first_end)

    def begin(self, month: int, log_days: Floats) -> None:
        """Who returns in this month is back, and who has no more log is gone."""
        self.alive |= self.return_day == month * MONTH_DAYS
        self.alive &= log_days > month * MONTH_DAYS

    def expand(self, reached: Standing) -> None:
        """Change seats and plans. Expansion follows utilization; a plan follows nothing."""
        chance = self.rng.random(self.n)
        more = self.alive & (chance < _level(self.scenario.utilization.expanding, reached.utilized))
        # An annual account has bought its seats for the term.
        fewer = self.alive & (chance > 1 - FEWER_SEATS_CHANCE) & ~self.population.annual & (self.seats > 1)
        self.seats[more] += np.maximum(1, self.seats[more] // 4)
        self.seats[fewer] -= np.maximum(1, self.seats[fewer] // 5)
        self.plan[self.alive & (self.plan < 2) & (self.rng.random(self.n) < UPGRADE_CHANCE)] += 1

    def settle(self, counts: Counts, reached: Standing) -> None:
        """At day 90: how much of activation's effects an account has, for good."""
        drift, push = self.scenario.changes.drift, self.scenario.changes.push
        self.gain = reached.activated.astype(np.float64) * np.where(
            self.pushed, push.works if push else 1.0, 1.0
        )
        if drift:
            landmark = self.population.signed_up + 3 * MONTH_DAYS * DAY_US
            late = landmark >= microseconds(self.scenario.quarter_start(drift.quarter))
            self.gain = self.gain * np.where(late, drift.left, 1.0)
        started = counts[:, :3, self.at.started].sum(axis=1)
        self.chance = loyalty(self.scenario, started, self.gain, self.population.plan)

    def utilize(self, month: int) -> None:
        """Draw the state of utilization at day 90, and now and then again, and who goes dormant; activation changes both."""
        busy, leaving = self.scenario.activation.busy, self.scenario.leaving
        drawn = self.rng.random(self.n) < busy.below + (busy.above - busy.below) * self.gain
        again = self.rng.random(self.n) < (1.0 if month == 3 else REDRAW_CHANCE)
        self.busy = np.where(again, drawn, self.busy)
        ratio = 1 + (self.scenario.activation.dormancy_ratio - 1) * self.gain
        falls = (self.rng.random(self.n) < leaving.dormancy * ratio) & (self.awake_from <= month)
        sleeps = self.rng.integers(SHORTEST_DORMANCY, LONGEST_DORMANCY + 1, self.n)
        self.awake_from = np.where(falls, month + sleeps, self.awake_from)

    def mature(self, reached: Standing) -> None:
        """Move the levels of the categories; utilization raises the chance of going from basic to mature."""
        maturing, levels = (
            _level(self.scenario.utilization.maturing, reached.utilized),
            self.scenario.maturity,
        )
        up = np.where(self.level == 0, levels.starting, np.where(self.level == 1, maturing[:, None], 0.0))
        down = np.where(self.level == 2, levels.lapsing, 0.0)
        move = self.rng.random(self.level.shape)
        self.level += (move < up).astype(np.int8) - (move > 1.0 - down).astype(np.int8)

    def leave(self, month: int, reached: Standing, counts: Counts) -> None:
        """Draw who leaves and on which day.

        An annual account decides at the start of the month before its renewal's, and leaves at the renewal:
        renewal on day 365 lies in month 12 (days 360 to 390), so month 11 (from day 330) decides.
        """
        chance = hazard(self.scenario, self.chance * self._drivers(month, counts), reached, self.seats)
        back = np.isfinite(self.return_day)  # who returns pays by the month
        yearly = self.population.annual & ~back
        renewal = -(-(month + 1) * MONTH_DAYS // TERM_DAYS) * TERM_DAYS  # the first from the next month on
        decides = renewal // MONTH_DAYS == month + 1
        chance = np.where(yearly, (1 - (1 - chance) ** 12) * decides, chance)
        stays = np.isinf(self.end) & self.alive & ~self.population.is_test
        leaves = stays & (self.rng.random(self.n) < chance)
        day = np.where(yearly, renewal, (month + self.rng.uniform(0.1, 1.0, self.n)) * MONTH_DAYS)
        self.first_end = np.where(leaves & ~back, day, self.first_end)
        self.second_end = np.where(leaves & back, day, self.second_end)

    def _drivers(self, month: int, counts: Counts) -> Floats:
        """The ratio of the hazard by what was used in the month before, (n,)."""
        ratio = np.ones(self.n)
        for name, usage in self.scenario.events.items():
            if usage.hazard_ratio != 1 and month:
                used = counts[:, month - 1, self.at.of[name]] >= usage.at_least
                ratio *= np.where(used, usage.hazard_ratio, 1.0)
        return ratio

    def close(self, month: int) -> None:
        """Who ends in this month is gone, and some of them come back after two to seven months."""
        gone = self.alive & (self.end < (month + 1) * MONTH_DAYS)
        returns = self.rng.random(self.n) < self.scenario.leaving.return_share
        later = (month + self.rng.integers(3, 8, self.n)) * MONTH_DAYS
        self.return_day = np.where(gone & np.isinf(self.return_day) & returns, later, self.return_day)
        self.alive &= ~gone

    def use(self, month: int, reached: Standing, lived: Floats, counts: Counts) -> Counts:
        """The counts of one month, (n, columns). lived: (n,) share of the month, 0 where nobody is there."""
        people, rng, at = self.population, self.rng, self.at
        # Only annual accounts know of their leaving a month ahead.
        fading = self.end < (month + 2) * MONTH_DAYS
        lived = lived * np.where(fading, self.scenario.leaving.use_left, 1.0) * (self.awake_from <= month)
        quiet = np.where(rng.random(self.n) < QUIET_CHANCE, QUIET_USE, 1.0)
        volume = lived * quiet * np.exp(people.trend * month)
        used = np.zeros((self.n, len(self.scenario.columns)), dtype=np.int32)
        used[:, at.setup] = self._setup_steps(month) & (lived > 0)[:, None]
        used[:, at.started], used[:, at.resolved] = self._conversations(month, reached, volume, counts)
        used[:, at.categories] = self._category_events(
            volume * self.scenario.conversations.ramp[min(month, 2)]
        )
        for number, (event, usage) in enumerate(self.scenario.events.items()):
            if usage.follows is not None:
                # A twin follows its realised count, so that the two stay alike month by month.
                rate = used[:, at.of[usage.follows]] * people.twin_ratio
            else:
                rate = usage.rate * lived * people.uses[:, number] * self._open_to(event, month)
            used[:, at.of[event]] = rng.poisson(rate)
        used[:, at.signed_up] = month == 0
        return used

    def _open_to(self, event: str, month: int) -> Flags:
        """Who can use an event in this month: it is launched, and in their plan. A launch counts from the next whole month."""
        usage = self.scenario.events[event]
        can = np.ones(self.n, dtype=np.bool_)
        if usage.plan is not None:
            can &= self.plan == PLANS.index(usage.plan)
        if usage.launched_quarter is not None:
            begins = self.population.signed_up + month * MONTH_DAYS * DAY_US
            can &= begins >= microseconds(self.scenario.quarter_start(usage.launched_quarter))
        return can

    def _setup_steps(self, month: int) -> Flags:
        """Steps done in this month, (n, steps): most in the first, some late, now and then one again."""
        base = np.array([step.share for step in self.scenario.setup.steps.values()])
        drawn = self.rng.random((self.n, len(base)))
        if month == 0:
            odds = log_odds(base) + self.population.readiness[:, None]
            return np.asarray(drawn < 1 / (1 + np.exp(-odds)))
        return np.asarray(drawn < np.minimum(base, LATE_STEP_CHANCE) * (month < 3))

    def _conversations(
        self, month: int, reached: Standing, volume: Floats, counts: Counts
    ) -> tuple[Integers, Integers]:
        """Conversations started and resolved, each (n,).

        Before day 90 a Poisson count. After it the *rate* varies and the count is cut to whole conversations:
        Poisson noise is larger per seat in small accounts, and would carry more of them over a per-seat cut.
        """
        people, rng, talk = self.population, self.rng, self.scenario.conversations
        if month < 3:
            lift = np.where(reached.setup, self.scenario.setup.conversations_ratio, 1.0)
            started = rng.poisson(
                volume * self.seats * talk.early * talk.ramp[month] * people.temperament * lift
            )
            if month == 2:
                started = self._pushed(started, counts)
            return started, rng.binomial(started, talk.resolved_share)
        rate = np.where(self.busy, talk.busy, talk.calm) * people.pace * rng.lognormal(0.0, 0.2, self.n)
        expected = volume * self.seats * rate
        return expected.astype(np.int64), (expected * talk.resolved_share).astype(np.int64)

    def _pushed(self, started: Integers, counts: Counts) -> Integers:
        """Conversations of the third month, after teams contacted who was short of the cut at day 60."""
        push = self.scenario.changes.push
        if push is None:
            return started
        begins = microseconds(self.scenario.quarter_start(push.quarter))
        before = counts[:, :2, self.at.started].sum(axis=1)
        short = self.alive & (before < self.scenario.activation.at_least)
        short &= self.population.signed_up + 2 * MONTH_DAYS * DAY_US >= begins
        self.held_out = short & (self.rng.random(self.n) < push.holdout)
        self.contacted = short & ~self.held_out
        total = before + started
        complies = self.rng.random(self.n) < push.complies
        self.pushed = self.contacted & complies & (total < self.scenario.activation.at_least)
        more = self.scenario.activation.at_least - before + self.rng.poisson(PUSHED_OVER, self.n)
        return np.where(self.pushed, more, started)

    def _category_events(self, volume: Floats) -> Integers:
        """Counts of the category events, (n, category events).

        Large accounts use a *mature* category more. Basic use does not grow with seats: otherwise size alone
        would carry accounts over the mature cut.
        """
        large = np.maximum(1.0, self.seats / TYPICAL_SEATS) ** 0.25
        mature, basic = MATURE_RATE * large[:, None], np.where(self.level == 1, BASIC_RATE, 0.03)
        rate = np.where(self.level == 2, mature, basic) * self.population.devotion * volume[:, None]
        return self.rng.poisson(np.repeat(rate, self.at.category_sizes, axis=1) * self.population.shares)


def _level(levels: Levels, reached: Flags) -> Floats:
    return np.where(reached, levels.above, levels.below)
