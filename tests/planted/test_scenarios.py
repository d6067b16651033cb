"""Every scenario plants what it says: seen in thousands of accounts, without the platform's own eyes."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from features.errors import DataError, UsageError
from features.simulation.blocks import blocks
from features.simulation.direct import draw_matrix
from features.simulation.history import Columns
from features.simulation.retention import share_at
from features.simulation.scenario import Scenario, load_scenario, scenario_names
from features.simulation.simulator import Company, draw_company
from features.specs import Aggregation, FeatureSpec, Per
from features.windows import DAY_US, Grid, last, microseconds
from models import demonstration
from models.demonstration import make_company

NAMES = (
    "annual-contracts", "decay", "default", "feedback", "immortal-time", "leaky", "leaky-clean", "low-churn",
    "mix-shift", "new-feature", "null", "rare-cut", "size-confounded", "smooth", "stationary", "step", "tiny",
    "tracking-outage",
)  # fmt: skip
STARTED = FeatureSpec("started", "started", Aggregation.COUNT, last(90), events=("conversation_started",))
PER_SEAT = FeatureSpec(
    "per_seat", "per seat", Aggregation.COUNT, last(90), events=("conversation_started",), per=Per.SEAT
)


@cache
def at_day_90(name: str, accounts: int, seed: int = 3) -> pd.DataFrame:
    """Accounts at the landmark of activation: there, free to leave, their retention known."""
    frame = draw_matrix(load_scenario(name).sized(accounts), seed, [STARTED, PER_SEAT], Grid("tenure", (90,)))
    frame = frame[frame["alive"] & frame["at_risk"] & frame["retained"].notna()]
    return frame.assign(retained=frame["retained"].astype(bool))


def difference(frame: pd.DataFrame, reached: Any) -> tuple[float, float]:
    """What reaching adds to the share retained, and its standard error."""
    reached = np.asarray(reached)
    one, other = frame.loc[reached, "retained"], frame.loc[~reached, "retained"]
    error = np.sqrt(one.var() / len(one) + other.var() / len(other))
    return float(one.mean() - other.mean()), float(error)


@cache
def company(name: str, accounts: int, quarters: int | None = None) -> Company:
    return draw_company(load_scenario(name).sized(accounts, quarters), 4)


def ask(made: Company, query: str) -> list[tuple[Any, ...]]:
    database = duckdb.connect()
    for name, table in made.tables.items():
        database.register(name, table)
    return database.execute(query).fetchall()


def test_the_scenarios_are_those() -> None:
    assert tuple(scenario_names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_scenario_lives_and_has_a_truth(name: str) -> None:
    made = draw_company(load_scenario(name).sized(120, 10), 0)
    assert made.accounts.num_rows == 120
    assert made.truth["scenario"]["name"] == name
    assert Scenario.model_validate(
        {**made.truth["planted"], **{key: made.truth["scenario"][key] for key in ("name", "words")}}
    ) == load_scenario(name).sized(120, 10)


# --- what keeps accounts ---


@pytest.mark.parametrize(("name", "adoption"), [("step", 0.52), ("rare-cut", 0.12)])
def test_a_clean_step_is_exact_on_both_sides(name: str, adoption: float) -> None:
    frame, cut = at_day_90(name, 20_000), load_scenario(name).activation.at_least
    above = frame["started"] >= cut
    assert above.mean() == pytest.approx(adoption, abs=0.02)
    for side, share in ((~above, 0.70), (above, 0.85)):
        rate, n = frame.loc[side, "retained"].mean(), side.sum()
        assert abs(rate - share) < 3.5 * np.sqrt(share * (1 - share) / n)
    # No slope on either side, and the whole jump at the cut.
    for low, middle, high in ((0, 3, cut), (cut, cut + 3, 10**6)):
        beside = frame[(frame["started"] >= low) & (frame["started"] < high)]
        effect, error = difference(beside, beside["started"] >= middle)
        assert abs(effect) < 3.5 * error


def test_a_smooth_curve_has_no_step() -> None:
    curve = load_scenario("smooth").activation.retained.curve  # type: ignore[union-attr]
    assert curve is not None
    frame = at_day_90("smooth", 20_000)
    low, high = np.percentile(frame["started"], [5, 95])
    assert abs(low - curve.start.count) <= 1
    assert abs(high - curve.end.count) <= 1
    assert share_at(curve, np.array([curve.start.count, curve.end.count])) == pytest.approx([0.65, 0.90])
    for count in (0, 1, 2, 4, 6, 10, 16):
        there = frame[frame["started"] == count]
        expected = float(share_at(curve, np.array(count)))
        assert abs(there["retained"].mean() - expected) < 3.5 * np.sqrt(
            expected * (1 - expected) / len(there)
        )


def test_nothing_keeps_anybody_in_the_null_company() -> None:
    frame = at_day_90("null", 20_000)
    for cut in (5, 10, 20, 40, 80):
        effect, error = difference(frame, frame["started"] >= cut)
        assert abs(effect) < 3.5 * error, cut


def test_size_alone_makes_raw_counts_look_as_if_they_did() -> None:
    frame = at_day_90("size-confounded", 20_000)
    raw, error = difference(frame, frame["started"] >= 20)
    fair, fair_error = difference(frame, frame["per_seat"] >= frame["per_seat"].median())
    assert raw > 0.05
    assert raw > 5 * error
    assert abs(fair) < 3.5 * fair_error


def test_time_alone_makes_a_naive_effect() -> None:
    scenario = load_scenario("immortal-time").sized(20_000)
    frame = draw_matrix(scenario, 3, [STARTED], Grid("tenure", (90,)), horizon_days=90)
    known = frame[frame["as_of"] + pd.Timedelta(days=90) <= scenario.end]
    gone = 1 - known["retained"].fillna(False).astype(bool).mean()
    assert gone == pytest.approx(0.2, abs=0.02)  # a fifth by day 180
    everybody = known.assign(retained=known["retained"].fillna(False).astype(bool))
    naive, error = difference(everybody, everybody["started"] >= 10)
    assert naive > 5 * error
    there = known[known["alive"]].assign(retained=lambda f: f["retained"].astype(bool))
    fair, fair_error = difference(there, there["started"] >= 10)
    assert abs(fair) < 3.5 * fair_error


def test_few_leave_where_churn_is_low() -> None:
    frame = at_day_90("low-churn", 20_000)
    assert 1 - frame["retained"].mean() ** 0.5 == pytest.approx(0.03, abs=0.01)
    effect, error = difference(frame, frame["started"] >= 6)
    assert abs(effect - 0.04) < 3.5 * error


def test_bound_accounts_are_not_at_risk() -> None:
    scenario = load_scenario("annual-contracts").sized(2000)
    frame = draw_matrix(scenario, 3, [STARTED], Grid("tenure", (90,)))
    alive = frame[frame["alive"]]
    assert alive["at_risk"].mean() < 0.15
    bound = alive[~alive["at_risk"]]
    assert bound["retained"].dropna().all()  # of course they stay: they cannot leave


def test_setup_steps_have_the_shares_they_say() -> None:
    scenario = load_scenario("default").sized(20_000)
    for block in blocks(scenario, 3, with_records=False):
        history = block.history
        month = history.counts[:, 0, Columns(scenario).setup] > 0
        done = month[history.spans[:, 0] > 0].mean(axis=0)
        for share, step in zip(done, scenario.setup.steps.values(), strict=True):
            assert abs(share - step.share) < 4.5 * np.sqrt(step.share * (1 - step.share) / len(month))


# --- what changes on the way ---


def by_time(name: str, quarter: int, accounts: int = 20_000) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The accounts at day 90 before a quarter of the log, and from it on."""
    frame, start = at_day_90(name, accounts), load_scenario(name).quarter_start(quarter)
    return frame[frame["as_of"] < start], frame[frame["as_of"] >= start]


def test_a_decayed_effect_is_gone() -> None:
    before, after = by_time("decay", 9)
    effect, error = difference(before, before["started"] >= 6)
    assert abs(effect - 0.15) < 3.5 * error
    effect, error = difference(after, after["started"] >= 6)
    assert abs(effect) < 3.5 * error
    of_a_quarter = Counter(at_day_90("decay", 6400)["as_of"].dt.to_period("Q"))
    assert all(340 < of_a_quarter[quarter] < 440 for quarter in sorted(of_a_quarter)[2:-1])


def test_the_stationary_company_stays_as_it_is() -> None:
    for part in by_time("stationary", 9):
        effect, error = difference(part, part["started"] >= 6)
        assert abs(effect - 0.15) < 3.5 * error


def test_a_mix_shift_moves_the_whole_and_no_plan() -> None:
    scenario = load_scenario("mix-shift").sized(20_000)
    frame = at_day_90("mix-shift", 20_000).sort_values("account")
    plans = np.concatenate(
        [
            b.history.population.plan[~b.history.population.is_test]
            for b in blocks(scenario, 3, with_records=False)
        ]
    )[frame["account"].to_numpy()]
    assert scenario.changes.mix is not None
    late = frame["signed_up_at"] >= scenario.quarter_start(scenario.changes.mix.quarter)
    whole = {}
    for part in (False, True):
        chosen = (late == part).to_numpy()
        whole[part] = difference(frame[chosen], frame[chosen]["started"] >= 6)[0]
        for plan, planted in enumerate((0.25, 0.10, 0.01)):
            rows = frame[chosen & (plans == plan)]
            effect, error = difference(rows, rows["started"] >= 6)
            assert abs(effect - planted) < 3.5 * error, (part, plan)
    assert whole[False] > 0.16
    assert whole[True] < 0.10


def test_the_pushed_reach_the_cut_and_gain_nothing() -> None:
    scenario, parts = load_scenario("feedback").sized(20_000), []
    for block in blocks(scenario, 3, with_records=False):
        history = block.history
        started = history.counts[:, :3, Columns(scenario).started].sum(axis=1)
        parts.append(
            pd.DataFrame(
                {
                    "started": started,
                    "pushed": history.pushed,
                    "contacted": history.contacted,
                    "held_out": history.held_out,
                    "signed_up": history.population.signed_up,
                    "retained": history.first_end >= 270,
                }
            )[(history.first_end >= 90) & (history.log_days >= 270)]
        )
    frame = pd.concat(parts)
    assert frame.loc[frame["pushed"], "started"].min() >= 6
    assert frame["held_out"].sum() / (frame["contacted"] | frame["held_out"]).sum() == pytest.approx(
        0.2, abs=0.02
    )
    begins = microseconds(scenario.quarter_start(8)) - 60 * DAY_US
    assert frame.loc[frame["contacted"], "signed_up"].min() >= begins
    pushed = frame.loc[frame["pushed"], "retained"]
    assert abs(pushed.mean() - 0.70) < 3.5 * np.sqrt(0.21 / len(pushed))
    natural = frame.loc[(frame["started"] >= 6) & ~frame["pushed"], "retained"]
    assert abs(natural.mean() - 0.85) < 3.5 * np.sqrt(0.1275 / len(natural))


def test_who_was_pushed_stands_in_the_states() -> None:
    made = company("feedback", 1500)
    rows = ask(
        made,
        "select value, count(*), min(valid_from - signed_up_at) = max(valid_from - signed_up_at)"
        " from states join accounts using (account_id) where attribute = 'activation_push' group by 1 order by 1",
    )
    realised = made.truth["realised"]
    assert rows == [("contacted", realised["n_contacted"], True), ("held_out", realised["n_held_out"], True)]
    assert made.truth["push"]["works"] == 0


def test_a_new_feature_is_used_from_its_launch_on_and_keeps_accounts() -> None:
    made = company("new-feature", 6000)
    launch = made.truth["features"]["launched"]["copilot_answer_sent"]
    assert launch == "2023-07-01"
    first = ask(made, "select min(occurred_at) from events where event = 'copilot_answer_sent'")[0][0]
    assert pd.Timestamp(launch) <= first < pd.Timestamp(launch) + pd.Timedelta(days=31)
    assert ask(made, "select feature, plan, launched_at::date::text from eligibility order by 1") == [
        ("copilot_answer_sent", None, launch),
        ("custom_sla_rule_edited", "enterprise", None),
    ]
    # Monthly accounts there on a day: those who used it in the month before leave a third as often in the next.
    rows = ask(
        made,
        """
        with there as (
            select account_id, max(coalesce(ended_at, timestamp '2999-01-01')) as ended_at from subscriptions
            where term_months = 1 group by 1 having min(started_at) < '2024-03-01' and max(coalesce(ended_at, timestamp '2999-01-01')) >= '2024-05-01'
        ), used as (
            select account_id, count(*) filter (event = 'copilot_answer_sent') as n from there join events using (account_id)
            where occurred_at >= '2024-04-01' and occurred_at < '2024-05-01' group by 1
        )
        select (n >= 4)::int, avg((ended_at < '2024-07-01')::int), count(*) from there join used using (account_id)
        group by 1 order by 1
        """,
    )
    (_, without, few), (_, with_it, many) = rows
    assert with_it < 0.6 * without
    assert without - with_it > 3 * np.sqrt(without * (1 - without) / few + with_it * (1 - with_it) / many)


def test_an_outage_hides_what_was_done_and_what_was_gained_by_it_stays() -> None:
    made, whole = company("tracking-outage", 300), company("default", 300)
    outage = made.truth["outage"]
    assert (outage["from"], outage["to"], outage["events"]) == ("2023-10-21", "2023-11-25", "all")
    hidden = f"occurred_at >= '{outage['from']}' and occurred_at < '{outage['to']}'"
    assert ask(made, f"select count(*) from events where {hidden}") == [(0,)]
    assert ask(whole, f"select count(*) > 1000 from events where {hidden}") == [(True,)]
    assert ask(made, "select count(*) from events") == ask(
        whole, f"select count(*) from events where not ({hidden})"
    )
    assert made.scores.equals(whole.scores)
    assert made.subscriptions.equals(whole.subscriptions)


# --- leaks ---


def test_the_leaks_are_what_they_say() -> None:
    made, clean = company("leaky", 300), company("leaky-clean", 300)
    assert [leak["leak"] for leak in made.truth["leaks"]] == [
        "weekly_sums",
        "backfilled_rows",
        "set_after_churn",
    ]
    assert clean.truth["leaks"] == []
    weekly = ask(
        made,
        "select count(*), min(isodow(occurred_at)), max(isodow(occurred_at)), max((occurred_at::time)::text) from events where event = 'weekly_usage'",
    )
    assert weekly[0][0] > 5000
    assert weekly[0][1:] == (1, 1, "00:00:00")
    late = "select count(*) from events where recorded_at > occurred_at + interval 1 day and event = 'conversation_started'"
    assert ask(made, late)[0][0] > 200
    assert ask(clean, late)[0][0] == 0
    ((filled,),) = ask(
        made,
        "select count(*) from accounts where churn_reason is not null and account_id not in"
        " (select account_id from subscriptions where ended_at is not null)",
    )
    assert filled == 0
    assert "churn_reason" not in clean.accounts.column_names
    rest = "select count(*) from events where event <> 'weekly_usage' and recorded_at <= occurred_at + interval 1 day"
    assert ask(made, rest) == ask(clean, rest)


# --- a scenario is data ---


def test_a_scenario_of_ones_own_says_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "based_on: step\nwords: Mine.\nactivation: {retained: {step: {below: 0.5, above: 0.9}}}\n"
    )
    mine = load_scenario(str(path))
    assert mine.name == "mine"
    assert mine.activation.retained is not None
    assert mine.activation.retained.step is not None
    assert mine.activation.retained.step.below == 0.5
    assert mine.activation.at_least == 6  # of step
    assert mine.setup == load_scenario("null").setup


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("based_on: stepp\n", "based_on 'stepp': choose one of annual-contracts, decay"),
        ("based_on: step\nacounts: 5\n", "acounts: is not a key here"),
        ("based_on: step\naccounts: 0\n", "accounts: .*greater than or equal to 1.*found 0"),
        ("based_on: step\nquarters: 3\n", "quarters: .*greater than or equal to 4"),
        ("based_on: step\nfirst_quarter: 2022-Q1\n", "first_quarter: is not a quarter: write it as 2022Q1 .*found '2022-Q1'"),
        ("based_on: step\nfirst_quarter: 9000Q1\n", "choose a year between 1971 and 2100"),
        ("based_on: step\nleaving: {hazard: 1.5}\n", "leaving.hazard: .*less than or equal to 1.*1.5"),
        ("based_on: step\nsetup: {at_least: 9}\n", "setup: at_least 9 cannot be reached with 7 steps"),
        ("based_on: step\npopulation: {plans: {essential: 0.9}}\n", "population: plans .* together they make 1"),
        ("based_on: step\nleaks: [backfilled_rows]\n", "can be seen only where recorded is true"),
        ("based_on: step\nevents: {email_channel_used: {users: 1, rate: 1}}\n", "'email_channel_used' has two meanings"),
        ("based_on: step\nevents: {t: {users: 1, rate: 1, follows: x}}\n", "events.t.follows 'x': name an event"),
        ("based_on: step\nactivation: {retained: {curve: {start: {count: 1, retained: 0.5}, end: {count: 9, retained: 0.6}}}}\n",
         "activation.retained: give step or curve, one of the two"),
        ("words: alone\n", "mine.yaml: begin with `based_on: default`"),
        ("based_on: step\nchanges: {outage: {quarter: 2, day: 0, days: 9, events: [conversation_start]}}\n",
         r"changes.outage.events: no event is called 'conversation_start' \(did you mean 'conversation_started'\?\)"),
        ("based_on: step\nmaturity: {at_least: 9}\n", "maturity: at_least 9 cannot be reached with 5 categories"),
        ("based_on: step\nmaturity: {basic: 50}\n", "maturity: basic 50 must not be more than mature 20"),
        ("based_on: step\nmaturity: {categories: {reporting: null, empty: {}}}\n", "maturity.categories.reporting: must hold"),
        ("based_on: step\nmaturity: {first_levels: [1, 1, 0]}\n", "first_levels .* together they make 1"),
        ("based_on: step\nsetup: {steps: {connect_email: {state: bot}}}\n", "setup: two steps are the same setting"),
        ("based_on: step\nconversations: {early: 1.0e+20}\n", "conversations.early: .*less than or equal to 10000"),
        ("[1, 2]\n", "must hold `key: value` lines"),
    ],
)  # fmt: skip
def test_a_scenario_without_meaning_cannot_be_built(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises((DataError, UsageError), match=message):
        load_scenario(str(path))


def test_changes_beyond_the_log_are_no_truth() -> None:
    scenario = load_scenario("decay").sized(100)  # its drift begins with the tenth quarter
    assert draw_company(scenario, 0).truth["drift"]["from"] == "2024-04-01"
    assert draw_company(scenario.sized(quarters=8), 0).truth["drift"] is None


def test_a_scenario_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--scenario decya \(did you mean 'decay'\?\): choose one of"):
        load_scenario("decya")
    with pytest.raises(UsageError, match="choose one of"):
        load_scenario("de\0cay")
    with pytest.raises(DataError, match=r"mine\.yaml"):
        load_scenario(str(tmp_path / "mine.yaml"))


@pytest.mark.parametrize(("accounts", "quarters"), [(0, None), (None, 3), (None, 41), (2_000_000, None)])
def test_a_company_of_no_size_is_refused(accounts: int | None, quarters: int | None) -> None:
    with pytest.raises(UsageError, match="choose 1 to 1,000,000 accounts and 4 to 40 quarters"):
        load_scenario("default").sized(accounts, quarters)


def test_a_company_takes_no_frameworks_place_unasked(tmp_path: Path) -> None:
    def make(**options: bool) -> None:
        make_company(tmp_path, "tiny", 50, 4, 0, lambda _stage, _share: None, **options)

    make()
    written = (tmp_path / "framework.yaml").read_bytes()
    with pytest.raises(UsageError, match="is there already: choose another folder, or --force"):
        make()
    make(force=True)
    assert (tmp_path / "framework.yaml").read_bytes() == written
    (tmp_path / "versions").mkdir()
    with pytest.raises(UsageError, match="holds earlier versions of another framework"):
        make(force=True)


def test_what_cannot_be_a_framework_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demonstration, "_milestones", lambda _scenario: {"setup": {"kind": "twice"}})
    with pytest.raises(DataError, match="the framework of the scenario tiny cannot be used"):
        make_company(tmp_path / "w", "tiny", 50, 4, 0, lambda _stage, _share: None)
    assert not (tmp_path / "w").exists()
