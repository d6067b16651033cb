"""The simulated company: what is planted must be in the log, and nothing else."""

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from features.simulation.company import live
from features.simulation.history import standing
from features.simulation.population import draw_population
from features.simulation.records import strictly_increasing
from features.simulation.scenario import load_scenario
from features.simulation.simulator import Company, draw_company, simulate
from features.windows import microseconds

Rows = list[tuple[Any, ...]]
FILES = (
    "events.parquet", "accounts.parquet", "subscriptions.parquet", "states.parquet", "eligibility.parquet",
    "truth.parquet", "truth.json",
)  # fmt: skip


class Log:
    """A company that answers SQL."""

    def __init__(self, company: Company) -> None:
        self.truth = company.truth
        self.database = duckdb.connect()
        for name, table in company.tables.items():
            self.database.register(name, table)

    def ask(self, query: str) -> Rows:
        return self.database.execute(query).fetchall()

    def one(self, query: str) -> Any:
        return self.ask(query)[0][0]


def log_of(name: str, n_accounts: int, n_quarters: int) -> Log:
    log = Log(draw_company(load_scenario(name).sized(n_accounts, n_quarters), 11))
    # The first stretch of an account: touching spells belong together, a gap ends it.
    log.ask("""
        create table stretches as
        with spells as (
            select *, lag(ended_at) over (partition by account_id order by started_at) as left_at
            from subscriptions
        ), numbered as (
            select *, sum((left_at is not null and left_at < started_at)::int)
                over (partition by account_id order by started_at) as stretch from spells
        )
        select account_id, max(coalesce(ended_at, timestamp '2999-01-01')) as ended_at
        from numbered where stretch = 0 group by account_id
    """)
    log.ask(
        "create view customers as select * from accounts join stretches using (account_id) where not is_test"
    )
    # What was done: setup steps that are settings stand in the states.
    settings = " union all ".join(
        f"select account_id, '{name}', valid_from from states where attribute = '{step['state']}'"
        for name, step in log.truth["milestones"]["setup"]["steps"].items()
        if "state" in step
    )
    log.ask(f"create view deeds as select account_id, event, occurred_at from events union all {settings}")
    # Customers there at a landmark: a life that is no trial goes on.
    for name, day in (("setup", 30), ("activation", 90)):
        log.ask(f"""
            create view there_{name} as select account_id, signed_up_at, signed_up_at + interval {day} day as landmark
            from accounts where not is_test and signed_up_at + interval {day} day <= '{log.truth["log"]["to"]}'
            and exists (select 1 from subscriptions s where s.account_id = accounts.account_id and not trial
            and started_at <= signed_up_at + interval {day} day
            and (ended_at is null or ended_at >= signed_up_at + interval {day} day))
        """)
    return log


@pytest.fixture(scope="module")
def small() -> Log:
    return log_of("default", 500, 8)


@pytest.fixture(scope="module")
def planted() -> Log:
    return log_of("default", 3000, 9)


@pytest.fixture(scope="module")
def null() -> Log:
    return log_of("null", 3000, 9)


# What a log must be, whatever is planted


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for folder, seed in (("first", 1), ("second", 1), ("other", 2)):
        simulate(load_scenario("default").sized(40, 4), seed, tmp_path / folder)
    for name in FILES:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    assert (tmp_path / "first" / FILES[0]).read_bytes() != (tmp_path / "other" / FILES[0]).read_bytes()


def test_files_appear_whole_and_alone(tmp_path: Path) -> None:
    scenario = load_scenario("default").sized(30, 4)
    company, truth = draw_company(scenario, 0), simulate(scenario, 0, tmp_path)
    assert company.truth == truth
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    assert json.loads((tmp_path / "truth.json").read_text()) == company.truth
    written = (
        duckdb.connect()
        .execute(f"select count(*), max(occurred_at) from '{tmp_path}/events.parquet'")
        .fetchone()
    )
    assert written == (company.events.num_rows, company.events["occurred_at"][-1].as_py())


def test_progress_tells_of_every_block(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    scenario = load_scenario("null").sized(9000, 4)
    simulate(scenario, 0, tmp_path, lambda stage, share: told.append((stage, share)))
    shares = [share for _, share in told]
    assert {stage for stage, _ in told} == {"living the accounts"}
    assert shares == sorted(shares)
    assert len(shares) == 3  # a block each


def test_every_event_lies_in_a_spell_of_its_account(small: Log) -> None:
    assert small.truth["realised"]["n_returned"] > 0  # so that there are gaps to keep free of events
    inside = small.one("""
        select count(*) from events e join subscriptions s on e.account_id = s.account_id
        and e.occurred_at >= s.started_at and (s.ended_at is null or e.occurred_at < s.ended_at)
    """)
    assert inside == small.truth["realised"]["n_events"]


def test_the_log_keeps_to_its_quarters_and_signups(small: Log) -> None:
    log = small.truth["log"]
    assert log == {"from": "2022-01-01", "to": "2024-01-01"}
    assert small.one(f"select min(signed_up_at) >= '{log['from']}' from accounts")
    assert small.one(f"select max(occurred_at) < '{log['to']}' from events")
    assert small.one(f"select max(ended_at) < '{log['to']}' from subscriptions")
    assert small.one("""
        select count(*) from accounts a
        where signed_up_at <> (select min(started_at) from subscriptions s where s.account_id = a.account_id)
    """) == 0  # fmt: skip


def test_no_row_is_there_twice(small: Log) -> None:
    twice = "select count(*) - count(distinct (account_id, event, occurred_at, user_id)) from events"
    assert small.one(twice) == 0


def test_equal_instants_are_moved_apart() -> None:
    assert strictly_increasing(np.array([5, 5, 6, 9, 9])).tolist() == [5, 6, 7, 9, 10]


def test_spells_touch_or_have_real_gaps(small: Log) -> None:
    small.ask("""
        create or replace table steps as
        select *, lag(ended_at) over before as left_at, lag((seats, plan, trial)) over before as was,
            lag(renews_at) over before as due
        from subscriptions window before as (partition by account_id order by started_at)
    """)
    assert small.one("select min(started_at - left_at) from steps").days == 0
    gaps = small.one("select count(*) from steps where started_at > left_at + interval 30 day")
    assert gaps == small.truth["realised"]["n_returned"]
    assert small.one("select count(*) from steps where started_at > left_at") == gaps
    assert small.one("""
        select count(*) from steps
        where started_at = left_at and (seats, plan, trial) = was and due is distinct from left_at
    """) == 0  # fmt: skip
    assert small.one("select count(*) from subscriptions where ended_at <= started_at") == 0


def test_annual_accounts_leave_at_a_renewal_only(small: Log) -> None:
    assert (
        small.one("select count(*) from subscriptions where term_months = 12 and ended_at > renews_at") == 0
    )
    assert (
        small.one("select count(*) from subscriptions where term_months = 1 and renews_at is not null") == 0
    )
    leavers = small.ask("""
        select ended_at = renews_at from subscriptions s
        where term_months = 12 and ended_at is not null and not exists
        (select 1 from subscriptions t where t.account_id = s.account_id and t.started_at = s.ended_at)
    """)
    assert len(leavers) > 3
    assert all(at_renewal for (at_renewal,) in leavers)


def test_users_are_bounded_by_seats(small: Log) -> None:
    assert small.one("""
        select max(users - most) from
        (select account_id, count(distinct user_id) as users from events group by 1) join
        (select account_id, max(seats) as most from subscriptions group by 1) using (account_id)
    """) <= 0  # fmt: skip
    assert (
        small.one(
            "select max(users) from (select count(distinct user_id) as users from events group by account_id)"
        )
        > 5
    )


def test_prices_rise_on_the_annotated_day(small: Log) -> None:
    day = small.truth["annotations"][0]["date"]
    per_seat = "select distinct round(mrr / seats) from subscriptions where plan = 'essential' and term_months = 1 and not trial"
    assert small.ask(f"{per_seat} and started_at < '{day}'") == [(29,)]
    assert small.ask(f"{per_seat} and started_at >= '{day}'") == [(31,)]


def test_work_is_done_in_working_hours(small: Log) -> None:
    assert small.one("select avg((isodow(occurred_at) >= 6)::int) from events") < 0.12
    assert small.one("select avg((hour(occurred_at) between 8 and 18)::int) from events") > 0.75
    assert small.one("select count(distinct occurred_at::time) from events") > 10_000


def test_a_few_accounts_hold_much_of_the_volume(planted: Log) -> None:
    top = planted.one("""
        select sum(n) filter (place <= 30) / sum(n) from
        (select count(*) as n, row_number() over (order by count(*) desc) as place
        from events group by account_id)
    """)
    assert 0.12 < top < 0.35


def test_about_one_account_in_a_hundred_is_a_test(planted: Log) -> None:
    assert 0.004 < planted.one("select avg(is_test::int) from accounts") < 0.02
    assert planted.one("""
        select count(*) from accounts join stretches using (account_id)
        where is_test and ended_at < '2999-01-01'
    """) == 0  # fmt: skip


def test_adoption_is_spread(planted: Log) -> None:
    rows = planted.ask("""
        with recent as (select * from customers where ended_at > '2024-04-01' and signed_up_at < '2023-10-01')
        select event, count(distinct account_id) / (select count(*) from recent)
        from events join recent using (account_id) where occurred_at >= '2024-01-01' group by 1
    """)
    adoption: dict[str, float] = dict(rows)
    features = planted.truth["features"]
    assert 0.90 < adoption[features["ubiquitous"][0]] < 0.99
    niche = next(iter(features["niche"]))
    assert 0.015 < adoption[niche] < 0.055
    categories = planted.truth["milestones"]["maturity"]["categories"].values()
    others = [event for category in categories for event in category["events"]]
    others += set(features["null"]) - {niche, *features["ubiquitous"]}
    assert min(adoption[event] for event in others) > 0.10
    assert max(adoption[event] for event in others) < 0.80


# The truth speaks of the log


def test_the_truth_names_the_events_of_the_log(planted: Log) -> None:
    truth = planted.truth
    events = {event for (event,) in planted.ask("select distinct event from events")}
    assert set(truth["events"]) == events
    assert 28 <= len(events) <= 32
    milestones = truth["milestones"]
    named = {
        milestones["activation"]["event"],
        milestones["utilization"]["event"],
        *(name for name, step in milestones["setup"]["steps"].items() if "state" not in step),
        "signed_up",
    }
    named |= {
        event for category in milestones["maturity"]["categories"].values() for event in category["events"]
    }
    assert named | set(truth["features"]["null"]) == events


def test_the_truth_counts_what_is_in_the_log(planted: Log) -> None:
    truth, milestones = planted.truth["realised"], planted.truth["milestones"]
    assert truth["n_events"] == planted.one("select count(*) from events")
    assert truth["n_accounts"] == planted.one("select count(*) from accounts")
    assert truth["n_test_accounts"] == planted.one("select count(*) filter (is_test) from accounts")
    assert truth["n_left"] == planted.one("select count(*) from stretches where ended_at < '2999-01-01'")
    setup = ", ".join(f"'{step}'" for step in milestones["setup"]["steps"])
    scores = {
        "setup": (
            f"count(distinct event) filter (event in ({setup}) and occurred_at < landmark)",
            "at_least",
        ),
        "activation": ("count(*) filter (event = 'conversation_started' and occurred_at < landmark)", "cut"),
    }
    for name, (score, cut) in scores.items():
        counted = planted.ask(
            f"select {score} from there_{name} left join deeds using (account_id) group by account_id"
        )
        reached = sum(n >= milestones[name][cut] for (n,) in counted)
        assert truth[name] == {"reached": reached, "of": len(counted)}


def test_milestones_have_the_base_rates_of_a_real_company(planted: Log) -> None:
    realised = planted.truth["realised"]
    rate = {name: realised[name]["reached"] / realised[name]["of"] for name in planted.truth["milestones"]}
    assert 0.45 < rate["setup"] < 0.60
    assert 0.35 < rate["activation"] < 0.50
    assert 0.30 < rate["utilization"] < 0.60
    assert 0.20 < rate["maturity"] < 0.45
    assert 0.15 < realised["yearly_leaving_rate"] < 0.30
    assert realised["twin_correlation"]["app_card_viewed"] == pytest.approx(0.95, abs=0.01)


# The chain


def at_landmark(log: Log) -> Rows:
    """Customers alive at day 90: (conversations, utilized 30 days on, setup steps, landmark)."""
    milestones, end = log.truth["milestones"], log.truth["log"]["to"]
    setup = ", ".join(f"'{step}'" for step in milestones["setup"]["steps"])
    return log.ask(f"""
        with alive as (
            select account_id, signed_up_at, signed_up_at + interval 90 day as landmark, ended_at
            from customers where ended_at >= signed_up_at + interval 90 day
            and signed_up_at + interval 90 day <= '{end}'
        ), counted as (
            select account_id, landmark, ended_at,
                count(*) filter (event = 'conversation_started' and occurred_at < landmark) as started,
                count(*) filter (event = 'conversation_resolved' and occurred_at >= landmark
                                 and occurred_at < landmark + interval 30 day) as resolved,
                count(distinct event) filter (event in ({setup})
                                              and occurred_at < signed_up_at + interval 30 day) as steps
            from alive left join deeds using (account_id) group by all
        )
        select started, case when least(c.ended_at, '{end}') >= landmark + interval 30 day
            then (resolved >= {milestones["utilization"]["cut"]} * seats)::int end,
            steps, landmark::date::text
        from counted c left join subscriptions s on c.account_id = s.account_id
            and s.started_at <= landmark and (s.ended_at is null or s.ended_at > landmark)
    """)


def difference(below: list[int], above: list[int]) -> tuple[float, float]:
    """Difference of two shares and its standard error."""
    low, high = np.mean(below), np.mean(above)
    error = np.sqrt(low * (1 - low) / len(below) + high * (1 - high) / len(above))
    return float(high - low), float(error)


def utilized(rows: Rows, low: int, high: int) -> list[int]:
    return [row[1] for row in rows if low <= row[0] < high and row[1] is not None]


def test_utilization_jumps_exactly_at_the_cut_of_activation(planted: Log) -> None:
    rows = [row for row in at_landmark(planted) if row[3] < planted.truth["drift"]["from"]]
    cut = planted.truth["milestones"]["activation"]["cut"]
    across, error = difference(utilized(rows, cut - 7, cut), utilized(rows, cut, cut + 9))
    assert across > 0.15
    assert across > 3 * error
    for low, middle, high in ((cut - 12, cut - 6, cut), (cut, cut + 8, cut + 20)):
        beside, its_error = difference(utilized(rows, low, middle), utilized(rows, middle, high))
        assert across - beside > 2 * np.hypot(error, its_error)
        assert abs(beside) < 3 * its_error


def test_activation_works_half_after_the_drift(planted: Log) -> None:
    rows, drift = at_landmark(planted), planted.truth["drift"]
    cut = planted.truth["milestones"]["activation"]["cut"]
    early = [row for row in rows if row[3] < drift["from"]]
    late = [row for row in rows if row[3] >= drift["from"]]
    before, error = difference(utilized(early, 0, cut), utilized(early, cut, 10**6))
    after, its_error = difference(utilized(late, 0, cut), utilized(late, cut, 10**6))
    # A state is not the month's count: a busy month falls short now and then, a calm one gets there.
    assert before == pytest.approx(drift["effect_before"], abs=0.12)
    assert after == pytest.approx(before / 2, abs=0.08)
    assert before - after > 2 * np.hypot(error, its_error)


def test_activation_jumps_at_the_fifth_setup_step(planted: Log) -> None:
    rows = at_landmark(planted)
    cut = planted.truth["milestones"]["activation"]["cut"]
    by_steps = {steps: [int(row[0] >= cut) for row in rows if row[2] == steps] for steps in range(3, 8)}
    at_least = planted.truth["milestones"]["setup"]["at_least"]
    for steps in range(4, 8):
        jump, error = difference(by_steps[steps - 1], by_steps[steps])
        assert (jump > 3 * error) == (steps == at_least), steps


def mature_at(log: Log, day: int, horizon: int) -> Rows:
    """Customers alive at a day of tenure: (mature, utilized, mature a horizon later, alive by then)."""
    milestones, end = log.truth["milestones"], log.truth["log"]["to"]
    categories = milestones["maturity"]["categories"].values()

    def mature(of_day: int) -> str:
        window = f"age < interval {of_day} day and age >= interval {of_day - 90} day"
        return " + ".join(
            f"(count(*) filter (event in {tuple(item['events'])} and {window}) >= {item['mature']})::int"
            for item in categories
        )

    return log.ask(f"""
        with aged as (
            select account_id, signed_up_at, ended_at, event, occurred_at - signed_up_at as age
            from customers join events using (account_id)
            where ended_at >= signed_up_at + interval {day} day
            and signed_up_at + interval {day + horizon} day <= '{end}'
        ), counted as (
            select account_id, ended_at >= signed_up_at + interval {day + horizon} day as stays,
                signed_up_at + interval {day - 30} day as month, {mature(day)} as now,
                {mature(day + horizon)} as later,
                count(*) filter (event = 'conversation_resolved' and age < interval {day} day
                                 and age >= interval {day - 30} day) as resolved
            from aged group by all
        )
        select (now >= 3)::int, (resolved >= {milestones["utilization"]["cut"]} * seats)::int,
            (later >= 3)::int, stays::int
        from counted c join subscriptions s on c.account_id = s.account_id
            and s.started_at <= month and (s.ended_at is null or s.ended_at > month)
    """)


def staying(log: Log) -> tuple[float, float]:
    """What maturity adds to the share that stays 90 days, over disjoint spans of tenure, with its error."""
    rows = [row for day in (120, 210, 300, 390) for row in mature_at(log, day, horizon=90)]
    return difference([row[3] for row in rows if not row[0]], [row[3] for row in rows if row[0]])


def maturing(log: Log) -> tuple[float, float]:
    """What utilization at day 240 adds to the share that matures by day 390, with its error."""
    yet = [row for row in mature_at(log, day=240, horizon=150) if not row[0] and row[3]]
    return difference([row[2] for row in yet if not row[1]], [row[2] for row in yet if row[1]])


def test_the_utilized_mature_and_the_mature_stay(planted: Log) -> None:
    effect, error = maturing(planted)
    assert effect > max(0.12, 3 * error)
    effect, error = staying(planted)
    assert effect > max(0.02, 3 * error)


def test_nothing_is_planted_in_the_null_company(null: Log) -> None:
    assert [null.truth[key] for key in ("drift", "confounder", "mix_shift", "outage", "push")] == [None] * 5
    assert not any(milestone["works"] for milestone in null.truth["milestones"].values())
    rows = at_landmark(null)
    cut = null.truth["milestones"]["activation"]["cut"]
    steps = [[int(row[0] >= cut) for row in rows if (row[2] >= 5) == reached] for reached in (False, True)]
    effects = {
        "setup": difference(steps[0], steps[1]),
        "activation": difference(utilized(rows, 0, cut), utilized(rows, cut, 10**6)),
        "utilization": maturing(null),
        "maturity": staying(null),
    }
    for name, (effect, error) in effects.items():
        assert abs(effect) < 2.5 * error, name


def test_a_cut_per_seat_is_as_easy_for_small_accounts() -> None:
    scenario, rng = load_scenario("null").sized(quarters=4), np.random.default_rng(5)
    signed_up = np.full(20_000, microseconds(scenario.start))
    history = live(scenario, draw_population(scenario, signed_up, rng), rng)
    reached, there = (
        standing(scenario, history.counts, history.seats, month=4).utilized,
        history.present[:, 4],
    )
    seats = history.seats[:, 3]
    small, large = reached[there & (seats == 1)], reached[there & (seats >= 4)]
    effect, error = difference(small.tolist(), large.tolist())
    assert error < 0.01
    assert abs(effect) < 2.5 * error


def test_leavers_use_less_only_at_the_end(planted: Log) -> None:
    used = planted.ask("""
        select count(*) filter (days between 0 and 7), count(*) filter (days between 38 and 45),
            count(*) filter (days between 68 and 75)
        from (
            select datediff('day', occurred_at, ended_at) as days
            from customers join events using (account_id)
            join (select account_id from subscriptions group by 1 having max(term_months) = 1)
            using (account_id) where ended_at < '2999-01-01' and ended_at > signed_up_at + interval 200 day
        )
    """)[0]
    assert used[0] < 0.6 * used[1]
    assert 0.8 < used[1] / used[2] < 1.25


def leaving_ratio(log: Log) -> tuple[float, float]:
    """Logarithm of the leaving rate of accounts with one seat over those with six or more, and its error."""
    (few, few_days), (many, many_days) = log.ask(f"""
        select count(*) filter (ended_at < '2999-01-01'),
            sum(epoch(least(ended_at, '{log.truth["log"]["to"]}') - signed_up_at)) / 86400
        from customers join
        (select account_id, arg_min(seats, started_at) as seats from subscriptions group by 1)
        using (account_id)
        where seats = 1 or seats >= 6 group by seats >= 6 order by seats >= 6
    """)
    return float(np.log(few / few_days * many_days / many)), float(np.sqrt(1 / few + 1 / many))


def test_size_keeps_accounts_in_the_size_company_and_not_in_the_null_company(null: Log) -> None:
    size = log_of("size-confounded", 3000, 9)
    assert not any(milestone["works"] for milestone in size.truth["milestones"].values())
    ratio, error = leaving_ratio(size)
    assert ratio > 3 * error
    ratio, error = leaving_ratio(null)
    assert abs(ratio) < 2.5 * error


# What cannot be built


def test_the_smallest_company_has_a_truth() -> None:
    for seed in range(3):
        company = draw_company(load_scenario("null").sized(1, 4), seed)
        assert company.accounts.num_rows == 1
        json.dumps(company.truth, allow_nan=False)
