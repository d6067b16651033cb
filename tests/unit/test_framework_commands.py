"""`framework show`, `diff` and `card`: what they say of a small product, and which accounts a change moves."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from features.workspace import Workspace
from models.framework import Framework
from models.milestones import Milestone
from models.versions import Version, current
from reports.card import FLATTERED, NOT_REVIEWED, TOO_LITTLE, evidence, render_card
from reports.comparison import changes, moved
from reports.description import described, lines, meaning
from tests.spec.drawn import data_for, table
from tests.spec.test_status import ACCOUNTS, EVENTS, LIVES
from tests.unit.small_log import run
from tests.unit.test_framework import DOCUMENT, document

MILESTONES: dict[str, Any] = {
    "activation": {
        "kind": "once",
        "rule": {"events": ["go"], "window_days": 90, "at_least": 2},
        "adopted_at": "2024-05-01",
        "adopted_by": "<Ann> & Ben",
        "why": "First value",
        "expected_effect": 0.2,
        "expected_interval": [0.1, 0.3],
    },
    "deep": {"kind": "state", "rule": {"events": ["go"], "window_days": 30, "at_least": 1}},
}


def laid(folder: Path) -> Workspace:
    """The drawn log of the status as a workspace of two versions: activation at 2, before that at 3."""
    tables = {"accounts": table(ACCOUNTS), "events": table(EVENTS), "subscriptions": table(LIVES)}
    data = data_for(folder, tables, outcomes={"kind": "subscription_end", "horizon_days": 90})
    place = Workspace(folder)
    content = {"schema": 1, "name": "drawn", "version": 2, "data": data.model_dump(mode="json"), "milestones": MILESTONES, "not_defined": {"setup": "no steps"}}  # fmt: skip
    hypothesis = {"claim": "Who goes stays", "by": "Sales", "features": ["events_*"]}
    content["review"] = {"hypotheses": [hypothesis]}
    place.framework.write_text(yaml.safe_dump(content))
    higher = {**MILESTONES["activation"], "rule": {"events": ["go"], "window_days": 90, "at_least": 3}}
    place.versions.mkdir()
    first = {**content, "version": 1, "milestones": {**MILESTONES, "activation": higher}}
    place.version(1).write_text(yaml.safe_dump(first))
    return place


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return laid(tmp_path)


def test_show_says_what_each_milestone_is(place: Workspace) -> None:
    said = run("framework", "show", "-w", place.root).out
    framework = current(place).framework
    for words in (
        f"drawn, version 2 ({framework.hash}), PROPOSED",
        f"activation ({framework.milestones['activation'].hash})",
        "means: Go at least 2 times within 90 days of signing up",
        "rule: at least 2 × go within 90 days (once)",
        "outcome: customers who reach it are still customers 90 days later",
        "owner: <Ann> & Ben, since 1 May 2024",
        "why: First value",
        "expected: +20.0 points (10.0 to 30.0)",
        "minimum: +10.0 points",
        "owner: nobody, PROPOSED",
        "setup: no steps",
        "Sales: Who goes stays (positive: events_*)",
    ):
        assert words in said
    assert "at least 3 × go" in run("framework", "show", "1", "-w", place.root).out
    assert json.loads(run("framework", "show", "-w", place.root, "--json").out)["version"] == 2


@pytest.mark.parametrize(
    ("milestone", "words"),
    [
        ("setup", "At least 2 of 3 steps: invite, connect, import; within 30 days of signing up"),
        ("activation", "Open at least 20 times within 90 days of signing up"),
        ("utilization", "Close or open at least 4 times per seat in the 30 days before a quarter closes"),
        (
            "maturity",
            "At least 2 of 2 product areas used a lot: inbox, bots; in the 90 days before a quarter closes",
        ),
    ],
)
def test_a_rule_is_a_sentence(milestone: str, words: str) -> None:
    assert meaning(Framework.model_validate(DOCUMENT).milestones[milestone], {}) == words


def test_a_step_that_is_a_state_is_in_the_sentence() -> None:
    rule = {"steps": ["invite", {"state": "sso", "equals": "on"}], "window_days": 30, "at_least": 2}
    milestone = Milestone.model_validate({"kind": "once", "rule": rule})
    assert meaning(milestone, {}) == "At least 2 of 2 steps: invite, sso is on; within 30 days of signing up"


def test_a_long_list_of_events_does_not_hide_what_is_asked_of_them() -> None:
    rule = {"events": [*"abcdef"], "window_days": 90, "at_least": 60}
    milestone = Milestone.model_validate({"kind": "once", "rule": rule})
    assert (
        meaning(milestone, {})
        == "Any of a, b, c, d and 2 more at least 60 times within 90 days of signing up"
    )


def test_areas_that_ask_for_a_state_say_so() -> None:
    areas = {"automation": {"events": ["bot"], "mature": 5, "mature_states": [{"state": "bot", "equals": "live"}]}, "rest": {"events": ["x"], "mature": 2}}  # fmt: skip
    rule = {"categories": areas, "window_days": 90, "at_least": 2}
    milestone = Milestone.model_validate({"kind": "state", "rule": rule})
    assert "automation (with bot is live), rest" in meaning(milestone, {})
    assert "automation (with bot is live), rest" in milestone.rule.words


def test_a_sentence_uses_the_labels_of_events() -> None:
    rule = {"events": ["open"], "window_days": 30, "at_least": 1}
    milestone = Milestone.model_validate({"kind": "once", "rule": rule})
    assert (
        meaning(milestone, {"open": "a ticket is opened"})
        == "A ticket is opened at least once within 30 days of signing up"
    )


def version(number: int, **laid_over: Any) -> Version:
    return Version(Framework.model_validate(document(version=number, **laid_over)), Path(f"{number}.yaml"))


PATH = "milestones__activation__"


@pytest.mark.parametrize(
    ("laid_over", "said"),
    [
        ({}, []),
        ({PATH + "rule__at_least": 25}, ["activation: threshold: 20 -> 25"]),
        ({PATH + "primary_outcome": "retained"}, ["activation: outcome: utilization -> retained"]),
        ({PATH + "adopted_by": "Ann"}, ["activation: owner: the board -> Ann"]),
        ({PATH + "rule__events": ["bot"]}, ["activation: events: [open] -> [bot]"]),
        ({PATH + "minimum_effect": 0.05}, ["activation: minimum_effect: nothing -> 0.05"]),
        ({"data__outcomes__horizon_days": 90}, ["data.outcomes.horizon_days: 180 -> 90"]),
        ({"review__settling_lag_days": 7}, ["review.settling_lag_days: 14 -> 7"]),
    ],
)
def test_what_changed_is_said(laid_over: dict[str, Any], said: list[str]) -> None:
    assert changes(version(3), version(4, **laid_over)) == said


def test_milestones_come_and_go() -> None:
    rule = {"events": ["bot"], "window_days": 30, "at_least": 1}
    wider = version(4, milestones__bots={"kind": "state", "rule": rule})
    assert changes(version(3), wider) == ["bots: added, at least 1 × bot within 30 days"]
    assert changes(wider, version(3)) == ["bots: removed"]


def test_whom_a_change_moves_is_counted(place: Workspace) -> None:
    one = Version(Framework.model_validate(yaml.safe_load(place.version(1).read_text())), place.version(1))
    rows = {(r["milestone"], r["quarter"]): r for r in moved(place, one, current(place))}
    # At the last close six are customers: early, quick and slow reach 2 and nobody 3, never and the clock neither, and
    # `before` is not knowable. The leaver is no customer any more.
    newest = rows["activation", "2024Q3"]
    assert {key: newest[key] for key in ("both", "only_a", "only_b", "neither", "not_comparable")} == {
        "both": 0, "only_a": 0, "only_b": 3, "neither": 2, "not_comparable": 1,
    }  # fmt: skip
    assert rows["activation", "all"]["only_a"] == 0
    # 2024Q1: early and quick, and the leaver, of whom the close is the last; 2024Q2: early, quick, slow.
    assert rows["activation", "all"]["only_b"] == 3 + 3 + 3
    assert rows["deep", "all"]["only_a"] == rows["deep", "all"]["only_b"] == 0
    back = {(r["milestone"], r["quarter"]): r for r in moved(place, current(place), one)}
    assert back["activation", "2024Q3"]["only_a"] == 3


def test_accounts_that_one_version_leaves_out_are_not_comparable(place: Workspace) -> None:
    document = yaml.safe_load(place.framework.read_text())
    document["version"] = 5
    document["data"]["exclusions"] = [{"column": "account_id", "equals": "early", "reason": "our own"}]
    draft = place.root / "draft.yaml"
    draft.write_text(yaml.safe_dump(document))
    other = Version(Framework.model_validate(document), draft)
    rows = {(r["milestone"], r["quarter"]): r for r in moved(place, current(place), other)}
    assert rows["activation", "2024Q3"]["both"] == 2
    assert rows["activation", "2024Q3"]["not_comparable"] == 2  # early, and the one that is not knowable


def test_the_diff_command_says_both(place: Workspace) -> None:
    said = run("framework", "diff", "1", "2", "-w", place.root)
    assert said.code == 0, said.words
    assert "activation: threshold: 3 -> 2" in said.out
    assert "only b" in said.out
    found = json.loads(run("framework", "diff", "1", str(place.framework), "-w", place.root, "--json").out)
    assert found["changes"] == ["activation: threshold: 3 -> 2"]
    assert found["b"]["hash"] == current(place).framework.hash
    assert run("framework", "diff", "1", "9", "-w", place.root).code == 2


# --- the card ---


def reviewed(rule: str = "at least 2 × go within 90 days", **effects: float) -> dict[str, Any]:
    rows = [{"primary": True, "method": "crude", "measure": m, "value": v} for m, v in effects.items()]
    rows.append({"primary": False, "method": "naive", "measure": "risk_difference", "value": 0.9})
    return {"quarter": "2024Q3", "milestones": [{"name": "activation", "rule": rule, "effects": rows}]}


def said_of(place: Workspace, *sources: dict[str, Any]) -> str:
    facts = described(current(place))["milestones"][0]
    return evidence(current(place), facts, *(source["milestones"] for source in sources))


@pytest.mark.parametrize(
    ("effects", "said"),
    [
        ({"risk_difference": 0.28, "risk_ratio": 0.74 / 0.46}, "Of 100 customers who reach it, 74 are still customers 90 days later; of 100 who do not, 46."),
        ({"risk_difference": -0.1, "risk_ratio": 0.8}, "Of 100 customers who reach it, 40 are still customers 90 days later; of 100 who do not, 50."),
        ({"risk_difference": 0.28}, "Of every 100 customers who reach it, 28 more are still customers 90 days later than of 100 who do not."),
        ({"risk_difference": -0.2}, "Of every 100 customers who reach it, 20 fewer are still customers 90 days later than of 100 who do not."),
        ({"risk_difference": 0.0, "risk_ratio": 1.0}, "Of every 100 customers who reach it, as many are still customers 90 days later as of 100 who do not."),
        ({}, NOT_REVIEWED),
    ],
)  # fmt: skip
def test_evidence_is_in_everyday_words(place: Workspace, effects: dict[str, Any], said: str) -> None:
    assert said_of(place, reviewed(**effects)) == said


def test_evidence_is_of_the_very_rule_that_is_in_force(place: Workspace) -> None:
    other = reviewed(rule="at least 3 × go within 90 days", risk_difference=0.2)
    assert said_of(place) == said_of(place, other) == NOT_REVIEWED
    assert "10 more" in said_of(place, other, reviewed(risk_difference=0.1))


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("hold", "than of 100 who do not."),
        ("watch", "than of 100 who do not. It is being watched: this may be changing."),
        ("retire", "than of 100 who do not. It no longer tells much, and may be given up."),
        ("insufficient_data", TOO_LITTLE),
    ],
)
def test_the_card_does_not_hide_what_the_review_thinks(place: Workspace, verdict: str, said: str) -> None:
    review = reviewed(risk_difference=0.28)
    review["milestones"][0]["verdict"] = verdict
    assert said_of(place, review).endswith(said)


def test_the_card_says_of_whom_the_threshold_was_chosen(place: Workspace) -> None:
    review = reviewed(risk_difference=0.28)
    assert FLATTERED not in said_of(place, review)
    review["milestones"][0]["effects"][0]["in_definition"] = True
    assert said_of(place, review).endswith(f"of 100 who do not. {FLATTERED}")


def test_evidence_counts_customers_and_not_their_revenue(place: Workspace) -> None:
    review = reviewed(risk_difference=0.28)
    weighted = {
        "primary": True,
        "method": "crude",
        "measure": "risk_difference",
        "value": 0.9,
        "weighted_by": "revenue",
    }
    review["milestones"][0]["effects"].append(weighted)
    assert "28 more" in said_of(place, review)


def test_what_the_review_does_not_tell_the_chain_may(place: Workspace) -> None:
    rule = "at least 1 × go within 30 days"
    effects = [{"primary": True, "method": "crude", "measure": "risk_difference", "value": 0.12}]
    place.output.mkdir()
    chain = place.output / "chain.json"
    chain.write_text(json.dumps({"chain": [{"milestone": "deep", "rule": rule, "effects": effects}]}))
    assert run("framework", "card", "-w", place.root).code == 0
    assert "12 more are still customers" in place.card.read_text(encoding="utf-8")
    chain.write_text(json.dumps({"chain": 3}))
    assert "chain.json is damaged" in run("framework", "card", "-w", place.root).words


def test_the_card_is_for_everybody(place: Workspace) -> None:
    folder = place.review("2024Q2")
    folder.mkdir(parents=True)
    (folder / "review.json").write_text(json.dumps(reviewed(risk_difference=0.28, risk_ratio=0.74 / 0.46)))
    said = run("framework", "card", "-w", place.root)
    assert said.code == 0, said.words
    page = place.card.read_text(encoding="utf-8")
    assert "&lt;Ann&gt; &amp; Ben" in page
    assert "<Ann>" not in page
    for words in (
        "Go at least 2 times within 90 days of signing up.", "since 1 May 2024", "First value", "PROPOSED", "no steps",
        "3 of 6 customers are there; of 1 it cannot be known", "1 of 6 customers are there", "end of 2024Q3",
        "Of 100 customers who reach it, 74 are still customers", "Not yet reviewed.", "reviewed for 2024Q3",
    ):  # fmt: skip
        assert words in page, words
    assert not {"p-value", "interval", "confidence", "<script", "http"} & set(page.lower().split())
    assert "size: A4 portrait" in page


def test_the_card_of_a_log_without_a_closed_quarter(place: Workspace) -> None:
    assert "No quarter has closed yet." in render_card(current(place), [], None)


def test_a_damaged_review_is_told(place: Workspace) -> None:
    folder = place.review("2024Q2")
    folder.mkdir(parents=True)
    (folder / "review.json").write_text('{"milestones": 3}')
    said = run("framework", "card", "-w", place.root)
    assert said.code == 1
    assert "review.json is damaged" in said.words


def test_lines_leave_out_what_is_not_there() -> None:
    said = lines(described(version(3)))
    assert "hypotheses:" not in said
    assert "not defined:" not in said
