"""framework.yaml: what it refuses and in which words, what its hash means, and that what is written loads again."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import DataError
from features.specs import Group, StateTest
from models.framework import Framework, load_framework
from models.framework_text import framework_text
from models.milestones import LevelsRule, StepsRule
from models.parts import LEVELS as LEVEL_NAMES

STEPS = {"kind": "once", "primary_outcome": "activation"}
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "name": "desk",
    "version": 3,
    "data": {
        "sources": {"events": "e.parquet", "accounts": "a.parquet", "subscriptions": "s.parquet"},
        "mapping": {
            "events": {"account_id": "account", "event": "event", "occurred_at": "at"},
            "accounts": {"account_id": "account", "signed_up_at": "since"},
            "subscriptions": {"account_id": "account", "started_at": "since", "seats": "seats"},
        },
        "events": {"core": ["open", "close"], "categories": {"inbox": ["open", "close"], "bots": ["bot"]}},
        "outcomes": {"kind": "subscription_end", "horizon_days": 180},
    },
    "milestones": {
        "setup": {**STEPS, "rule": {"steps": ["invite", "connect", "import"], "window_days": 30, "at_least": 2}},
        "activation": {
            "kind": "once",
            "rule": {"events": ["open"], "window_days": 90, "at_least": 20},
            "primary_outcome": "utilization",
            "defined_on": ["2022Q1", "2023Q1"],
            "adopted_at": "2023-04-01",
            "adopted_by": "the board",
            "expected_effect": 0.2,
            "expected_interval": [0.1, 0.3],
        },
        "utilization": {
            "kind": "state",
            "rule": {"events": ["close", "open"], "window_days": 30, "per_seat": True, "at_least": 4},
            "primary_outcome": "maturity",
        },
        "maturity": {
            "kind": "state",
            "rule": {
                "categories": {"inbox": {"events": ["open"], "mature": 20}, "bots": {"events": ["bot"], "mature": 5}},
                "window_days": 90,
                "at_least": 2,
            },
        },
    },
    "review": {"annotations": [{"date": "2023-05-01", "text": "New prices"}]},
}  # fmt: skip


def document(**changes: Any) -> dict[str, Any]:
    """The document with values laid over it at paths whose keys are joined by two underscores."""
    made = deepcopy(DOCUMENT)
    for path, value in changes.items():
        place: Any = made
        *keys, last = path.split("__")
        for key in keys:
            place = place.setdefault(key, {})
        place[last] = value
    return made


def written(folder: Path, content: Any) -> Path:
    path = folder / "framework.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def hash_of(**changes: Any) -> str:
    return Framework.model_validate(document(**changes)).hash


# --- what it refuses: where, what was found, what to do ---

MILESTONE, RULE = "milestones__activation", "milestones__activation__rule"
LEVELS = "milestones__maturity__rule__categories"
SETUP = "milestones__setup__rule"
SSO: dict[str, Any] = {"state": "sso", "equals": "on"}
REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"schema": 2}, ["schema 2", "newer version of this program", "update the program"]),
    ({"schema": 0}, ["schema", "found 0", "should be 1"]),
    ({"name": ""}, ["name", "at least 1 character"]),
    ({"version": 0}, ["version", "found 0", "greater than or equal to 1"]),
    ({"sweeps": {}}, ["sweeps", "is not a key here", "check the spelling"]),
    ({MILESTONE + "__threshold": 3}, ["milestones.activation.threshold", "check the spelling"]),
    ({MILESTONE + "__kind": "event"}, ["milestones.activation.kind", "'event'", "'once' or 'state'"]),
    ({MILESTONE + "__rule": "20 conversations"}, ["milestones.activation.rule", "20 conversations", "must hold `key: value` lines"]),
    ({MILESTONE + "__rule": {"events": ["open"], "window_days": 90}}, ["activation.rule.at_least", "add it"]),
    ({RULE + "__at_least": 0}, ["activation.rule.at_least", "found 0", "greater than 0"]),
    ({RULE + "__at_least": float("inf")}, ["activation.rule", "at_least", "found inf", "finite"]),
    ({RULE + "__window_days": 0}, ["activation.rule", "window_days", "found 0", "greater than or equal to 1"]),
    ({RULE + "__events": []}, ["activation.rule", "events", "at least 1 item"]),
    ({RULE + "__events": ["open", "open"]}, ["activation.rule", "'open' is there twice", "write every event once"]),
    ({RULE + "__per_seat": True}, ["milestones.activation", "not events per seat", "make it a state, or drop per_seat"]),
    ({"milestones__setup__rule__at_least": 4}, ["milestones.setup.rule", "at_least 4", "3 steps", "ask for fewer"]),
    (
        {"milestones__setup__rule__steps": ["invite", "connect", "invite"]},
        ["milestones.setup.rule", "'invite' is there twice", "once"],
    ),
    ({"milestones__maturity__rule__at_least": 3}, ["milestones.maturity.rule", "at_least 3", "2 categories", "ask for fewer"]),
    ({LEVELS + "__bots__mature": 0.5}, ["maturity.rule", "bots", "basic 1", "mature 0.5", "raise the other"]),
    ({LEVELS + "__bots__events": ["bot", "open"]}, ["maturity.rule: 'open' is in the categories", "'inbox'", "'bots'", "choose one"]),
    ({LEVELS + "__bots__events": ["bot", "bot"]}, ["maturity.rule.categories.bots", "'bot' is there twice", "write every event once"]),
    ({SETUP + "__steps": [{"state": "bot", "equals": value} for value in (True, "t")]}, ["setup.rule: 'bot is t' is there twice, as 'bot is true'"]),
    ({SETUP + "__steps": ["invite", SSO, {**SSO, "equals": "On"}]}, ["setup.rule: 'sso is On' is there twice", "write every test of a state once"]),
    ({SETUP + "__steps": ["invite", {"state": "sso"}]}, ["setup.rule.steps, entry 2", "'sso' needs either equals", "at_least, a number"]),
    ({SETUP + "__steps": ["invite", {"state": "sso", "equal": 1}]}, ["setup.rule.steps, entry 2, equal: is not a key here", "check the spelling"]),
    ({SETUP + "__steps": ["invite", {"equals": "on"}]}, ["setup.rule.steps, entry 2, state: is missing: add it"]),
    ({SETUP + "__steps": ["invite", {"state": "", "equals": "on"}]}, ["setup.rule.steps, entry 2", "name an attribute"]),
    ({SETUP + "__steps": ["invite", {**SSO, "equals": ["on"]}]}, ["setup.rule.steps, entry 2: equals must be one value: write"]),
    ({SETUP + "__steps": ["invite", {"state": "m", "at_least": "many"}]}, ["setup.rule.steps, entry 2, at_least: must be a number", "'many'"]),
    ({LEVELS + "__bots__mature_states": [{**SSO, "equals": {}}]}, ["bots.mature_states, entry 1: equals must be one value"]),
    ({SETUP + "__steps": [SSO]}, ["setup.rule: steps counts different steps: name at least two"]),
    ({SETUP + "__steps": ["invite", 3]}, ["setup.rule.steps, entry 2: must be a text", "found 3"]),
    ({LEVELS + "__bots": {"mature": 3}}, ["categories.bots: has nothing to be mature by", "name events, or mature_states"]),
    ({LEVELS + "__bots": {"events": ["bot"]}}, ["categories.bots: mature is missing: say from how many"]),
    ({LEVELS + "__bots": {"mature": 3, "mature_states": [SSO]}}, ["categories.bots: basic and mature count events", "leave them out"]),
    ({LEVELS + "__bots": {"basic": 3, "mature_states": [SSO]}}, ["categories.bots: basic and mature count events"]),
    ({LEVELS + "__bots__mature_states": [SSO, SSO]}, ["categories.bots: 'sso is on' is there twice"]),
    (
        {LEVELS + "__bots__mature_states": [SSO], LEVELS + "__inbox__basic_states": [SSO]},
        ["maturity.rule: 'sso is on' is in the categories", "'inbox'", "'bots'"],
    ),
    ({"milestones__utilization__rule__window_days": 120}, ["milestones.utilization", "window_days 120", "choose a shorter"]),
    ({MILESTONE + "__defined_on": ["2023Q1", "2023Q1"]}, ["activation", "defined_on ['2023Q1', '2023Q1']", "must come before"]),
    ({MILESTONE + "__defined_on": ["2023-Q1", "2023Q2"]}, ["activation.defined_on, entry 1: is not a quarter: write it as 2024Q1", "'2023-Q1'"]),
    ({MILESTONE + "__expected_interval": [0.3, 0.1]}, ["activation", "expected_interval [0.3, 0.1]", "lower end first"]),
    ({MILESTONE + "__adopted_at": "last May"}, ["activation.adopted_at", "'last May'", "write it as 2024-05-31"]),
    ({MILESTONE + "__adopted_at": "2023-02-30"}, ["activation.adopted_at", "'2023-02-30'", "write it as"]),
    ({"review__annotations": [{"date": "May", "text": "x"}]}, ["review.annotations, entry 1, date", "'May'", "write it as"]),
    ({"review__adoption_band": [0.6, 0.2]}, ["review", "adoption_band [0.6, 0.2]", "must be less"]),
    ({MILESTONE + "__primary_outcome": "renewal"}, ["milestones.activation.primary_outcome", "'renewal'", "name another milestone"]),
    ({MILESTONE + "__primary_outcome": "activation"}, ["milestones.activation.primary_outcome", "'activation'", "name another"]),
    ({"milestones__utilization__primary_outcome": "activation"}, ["utilization.primary_outcome", "'activation'", "name another state"]),
    ({"milestones__setup__rule__window_days": 90}, ["activation.rule.window_days 90", "more than the 90 days of 'setup'", "longer"]),
    (
        {"data__calendar__fiscal_year_starts_in_month": 2},
        ["milestones.maturity.rule.window_days 90", "has 89 days", "choose a shorter window"],
    ),
    ({"milestones__retained": DOCUMENT["milestones"]["maturity"]}, ["milestones.retained", "use letters"]),
    ({"milestones__../x": DOCUMENT["milestones"]["maturity"]}, ["milestones.../x", "use letters"]),
    ({"milestones__rival:x": DOCUMENT["milestones"]["maturity"]}, ["milestones.rival:x", "use letters"]),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), REFUSED, ids=lambda value: next(iter(value)))
def test_what_cannot_be_used_is_refused_with_path_value_and_remedy(
    changes: dict[str, Any], said: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "framework.yaml"
    path.write_text(yaml.safe_dump(document(**changes)), encoding="utf-8")
    with pytest.raises(DataError) as refused:
        load_framework(path)
    message = str(refused.value)
    assert str(path) in message
    for words in said:
        assert words in message
    assert "Traceback" not in message


def test_the_same_events_in_a_window_and_in_its_outcome_are_refused(tmp_path: Path) -> None:
    content = document(milestones__setup__rule__steps=["invite", "open", "import"])
    with pytest.raises(
        DataError, match="open would be counted in its window and in the window of"
    ) as refused:
        load_framework(written(tmp_path, content))
    assert "use different events, or another primary_outcome" in str(refused.value)
    # In time, not in kind: with retention as its outcome the same steps are fine.
    content["milestones"]["setup"]["primary_outcome"] = "retained"
    assert load_framework(written(tmp_path, content)).milestones["setup"].primary_outcome == "retained"


def test_the_same_state_in_a_window_and_in_its_outcome_is_refused_and_else_named(tmp_path: Path) -> None:
    five = {"state": "macros", "at_least": 5}
    later = {"steps": ["open", {"state": "macros", "at_least": 9}], "window_days": 90, "at_least": 2}
    content = document(
        milestones__setup__rule__steps=["invite", SSO, five], milestones__activation__rule=later
    )
    with pytest.raises(DataError, match="macros would be counted in its window and in the window of"):
        load_framework(written(tmp_path, content))
    content["milestones"]["setup"]["primary_outcome"] = "maturity"
    content["milestones"]["maturity"]["rule"]["categories"]["bots"]["mature_states"] = [five]
    assert load_framework(written(tmp_path, content)).shares_behaviour("setup") == ("macros",)


def test_a_state_may_lead_to_a_state_of_a_quarter(tmp_path: Path) -> None:
    content = document(
        data__calendar__fiscal_year_starts_in_month=2, milestones__maturity__rule__window_days=89
    )
    assert load_framework(written(tmp_path, content)).shortest_quarter_days == 89
    assert load_framework(written(tmp_path, DOCUMENT)).shortest_quarter_days == 90
    assert [
        Framework.model_validate(
            document(
                data__calendar__fiscal_year_starts_in_month=m, milestones__maturity__rule__window_days=80
            )
        ).shortest_quarter_days
        for m in range(1, 13)
    ] == [90, 89, 90] * 4


def test_dates_may_stand_without_quotes(tmp_path: Path) -> None:
    text = (
        yaml.safe_dump(DOCUMENT).replace("'2023-04-01'", "2023-04-01").replace("'2023-05-01'", "2023-05-01")
    )
    assert "'2023-0" not in text
    framework = load_framework(written(tmp_path, text))
    assert framework.milestones["activation"].adopted_at == "2023-04-01"


# --- what its hash means ---


def turned(value: Any) -> Any:
    """The same mapping with every key in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return value


def test_order_comments_and_version_have_no_meaning(tmp_path: Path) -> None:
    plain = load_framework(written(tmp_path, DOCUMENT))
    text = "# a comment\n" + yaml.safe_dump(turned(DOCUMENT), sort_keys=False).replace("\n", "  # why\n")
    assert load_framework(written(tmp_path, text)).hash == plain.hash
    assert hash_of(version=4) == plain.hash
    assert hash_of(milestones__activation__rule__at_least=20.0) == plain.hash
    # A default that is written out says nothing new.
    assert hash_of(review__settling_lag_days=14) == plain.hash
    assert len(plain.hash) == 12


def test_a_framework_of_events_alone_keeps_the_hash_it_always_had() -> None:
    assert hash_of() == "c2f98aab3895"


@pytest.mark.parametrize(
    "changes",
    [
        {"milestones__setup__rule__steps": ["invite", "connect", SSO]},
        {LEVELS + "__bots__mature_states": [SSO]},
        {LEVELS + "__bots__basic_states": [SSO]},
        {"milestones__activation__rule__at_least": 21},
        {"milestones__activation__rule__window_days": 91},
        {"milestones__activation__rule__events": ["close"]},
        {"milestones__activation__primary_outcome": "retained"},
        {"milestones__activation__adopted_by": "nobody"},
        {"milestones__activation__expected_effect": 0.21},
        {"milestones__activation__defined_on": ["2022Q1", "2023Q2"]},
        {"data__outcomes__horizon_days": 90},
        {"data__events__core": ["open"]},
        {"review__settling_lag_days": 15},
        {"not_defined": {"renewal": "no data"}},
        {"name": "bench"},
    ],
)
def test_a_change_of_meaning_changes_the_hash(changes: dict[str, Any]) -> None:
    assert hash_of(**changes) != hash_of()


# --- what a milestone expects of itself ---


def test_half_of_what_was_expected_is_useful() -> None:
    milestone = Framework.model_validate(DOCUMENT).milestones["activation"]
    assert milestone.smallest_useful_effect == pytest.approx(0.1)
    declared = Framework.model_validate(document(milestones__activation__minimum_effect=0.0))
    assert declared.milestones["activation"].smallest_useful_effect == 0.0
    harmful = Framework.model_validate(document(milestones__activation__expected_effect=-0.2))
    assert harmful.milestones["activation"].smallest_useful_effect == 0.0
    assert Framework.model_validate(DOCUMENT).milestones["setup"].smallest_useful_effect is None


def test_the_quarters_it_was_chosen_on_are_half_open() -> None:
    milestone = Framework.model_validate(DOCUMENT).milestones["activation"]
    quarters = ["2021Q4", "2022Q1", "2022Q4", "2023Q1"]
    assert [milestone.defined_in(q) for q in quarters] == [False, True, True, False]


def test_a_framework_is_proposed_while_one_milestone_is() -> None:
    assert Framework.model_validate(DOCUMENT).proposed
    adopted = {f"milestones__{name}__adopted_at": "2023-04-01" for name in DOCUMENT["milestones"]}
    assert not Framework.model_validate(document(**adopted)).proposed


# --- steps and levels that test states ---

WITH_STATES = {
    SETUP + "__steps": ["invite", {"state": "macros", "at_least": 1500}, {"state": "sso", "equals": True}, {"state": "tags", "equals": 2}],
    LEVELS: {
        "inbox": {"events": ["open"], "basic": 2, "mature": 20, "basic_states": [SSO]},
        "bots": {"events": ["bot"], "mature": 5, "mature_states": [{"state": "bots", "at_least": 2}]},
        "apps": {"basic_states": [{"state": "apps", "at_least": 1}], "mature_states": [{"state": "apps", "at_least": 3}]},
        "hours": {"mature_states": [{"state": "hours", "equals": "on"}]},
    },
}  # fmt: skip


def test_steps_that_test_states_read_well() -> None:
    setup = Framework.model_validate(document(**WITH_STATES)).milestones["setup"].rule
    words = "at least 2 of 4 steps (invite, at least 1,500 macros, sso is true, tags is 2) within 30 days"
    assert setup.words == words
    assert setup.all_events == {"invite"}
    assert [test.state for test in setup.state_tests] == ["macros", "sso", "tags"]
    assert isinstance(setup, StepsRule)
    steps = setup.step_specs("setup")
    assert list(steps) == ["invite", "at least 1,500 macros", "sso is true", "tags is 2"]
    assert tuple(group for spec in steps.values() for group in spec.groups) == setup.spec("setup").groups


def test_a_level_is_its_count_and_its_states() -> None:
    rule = Framework.model_validate(document(**WITH_STATES)).milestones["maturity"].rule
    assert isinstance(rule, LevelsRule)
    on, two, hours = StateTest("sso", "on"), StateTest("bots", at_least=2), StateTest("hours", "on")
    one, three = (StateTest("apps", at_least=n) for n in (1, 3))
    groups = {
        level: [group for spec in rule.category_specs("maturity", level).values() for group in spec.groups]
        for level in LEVEL_NAMES
    }
    alone = Group((), states=(hours,))  # one level: basic is mature
    assert groups == {
        "basic": [Group(("open",), 2, (on,)), Group(("bot",)), Group((), states=(one,)), alone],
        "mature": [Group(("open",), 20), Group(("bot",), 5, (two,)), Group((), states=(three,)), alone],
    }
    assert rule.spec("maturity").groups == tuple(groups["mature"])
    assert [test.state for test in rule.state_tests] == ["sso", "bots", "apps", "apps", "hours"]


def test_states_in_rules_load_back(tmp_path: Path) -> None:
    framework = Framework.model_validate(document(**WITH_STATES))
    again = load_framework(written(tmp_path, framework_text(framework, {})))
    assert again == framework
    assert again.hash == framework.hash


# --- same behaviour ---


def test_events_that_a_milestone_shares_with_its_outcome_are_named() -> None:
    framework = Framework.model_validate(DOCUMENT)
    assert framework.shares_behaviour("setup") == ()
    assert framework.shares_behaviour("activation") == ("open",)
    assert framework.shares_behaviour("utilization") == ("open",)
    assert framework.shares_behaviour("maturity") == ()  # a subscription that ends counts no event


def test_silence_is_the_absence_of_core_events() -> None:
    silent = {"kind": "silent", "horizon_days": 90}
    framework = Framework.model_validate(document(data__outcomes=silent))
    assert framework.shares_behaviour("maturity") == ("open",)
    every = Framework.model_validate(document(data__outcomes=silent, data__events__core=[]))
    assert every.shares_behaviour("maturity") == ("bot", "open")
    assert every.shares_behaviour("activation") == ("open",)  # its outcome is the next link


# --- what is written loads again ---


def test_what_init_writes_loads_to_the_same_hash(tmp_path: Path) -> None:
    framework = Framework.model_validate(DOCUMENT)
    notes = {
        key: ["a note\nof two lines", "# and: more"] for key in ("data", "events", "outcomes", "milestones")
    }
    again = load_framework(written(tmp_path, framework_text(framework, notes)))
    assert again == framework
    assert again.hash == framework.hash
    empty = framework.model_copy(update={"milestones": {}, "not_defined": {"setup": "no steps: none"}})
    assert load_framework(written(tmp_path, framework_text(empty, {}))) == empty


NEXT_LINE = "\x85"  # YAML reads this one as a line feed unless it is escaped
HOSTILE = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters=NEXT_LINE), min_size=1, max_size=40),
    st.sampled_from([
        "yes", "no", "null", "~", "1e3", "0x1F", "2024-01-01", "a: b", "- a", "# no comment", "a #b", "'", '"', "{a}",
        "[a", "&a", "*a", "!a", "%a", "@a", "`", "|", ">", "?", ":", "a\nb", " a", "a ", "\ta", "...", "---", "\\n",
        "=", "<<", "1_000", "12:30:45", "a\r\nb", "\u2028", "é" * 200, "\ufeff",
    ]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_hostile_names_load_back_equal(
    tmp_path_factory: pytest.TempPathFactory, event: str, category: str, words: str, source: str
) -> None:
    content = document(
        name=words,
        data__events__core=[event],
        data__events__categories={category: [event]},
        data__events__labels={event: words},
        data__sources__events="data/" + source.replace("\0", ""),  # no system takes a null in a path
        milestones__activation__rule__events=[event],
        milestones__activation__why=words,
        milestones__activation__adopted_by=words,
        milestones__maturity__rule__categories={
            category: {"events": [event], "mature": 2},
            category + "2": {"events": [event + "2"], "mature": 3},
        },
        not_defined={"setup": words},
        review__annotations=[{"date": "2024-01-01", "text": words, "affects": [event]}],
    )
    content["data"]["features"] = {"events": [event]}
    framework = Framework.model_validate(content)
    text = framework_text(framework, {"events": [words, event], "data": [source]})
    path = written(tmp_path_factory.getbasetemp(), text)
    assert load_framework(path) == framework


def test_the_next_line_character_loads_back(tmp_path: Path) -> None:
    framework = Framework.model_validate(document(not_defined={"setup": f"a{NEXT_LINE}b"}))
    assert load_framework(written(tmp_path, framework_text(framework, {}))) == framework


def test_what_a_sweep_depends_on_is_not_moved_by_other_milestones() -> None:
    framework = Framework.model_validate(DOCUMENT)
    before = {name: framework.definition(name) for name in framework.milestones}

    def after(name: str, **changes: Any) -> dict[str, str]:
        milestone = framework.milestones[name]
        rule = milestone.rule.model_copy(update=changes)
        milestones = {**framework.milestones, name: milestone.model_copy(update={"rule": rule, "why": "new"})}
        changed = framework.model_copy(update={"milestones": milestones})
        return {name: changed.definition(name) for name in changed.milestones}

    for name in framework.milestones:
        leads = {n for n, m in framework.milestones.items() if m.primary_outcome == name}
        moved = after(name, at_least=17)
        assert {
            n for n in before if moved[n] != before[n]
        } == leads  # a sweep tries every threshold of its own
        moved = after(name, window_days=framework.milestones[name].rule.window_days - 1)
        assert {n for n in before if moved[n] != before[n]} == leads | {name}
