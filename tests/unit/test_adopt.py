"""Adopting a cut: what becomes of the files, what is refused, and what may be expected of the cut."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from experiments import adoption
from experiments.adoption import Choice, adopt_cut, sentences
from experiments.sweep_record import Sweep, expected_at, read_sweep
from features.document import parse_yaml
from features.errors import DataError, StoreError, UsageError
from features.workspace import Workspace, held
from models import rewriting
from models.amendment import amended
from models.estimates import risk_difference
from models.framework import Framework, load_framework
from models.rewriting import spliced
from models.versions import archive, current, versions
from reports import publication
from tests.unit.small_log import run

FRAMEWORK = """\
# The framework of the desk. Ask Ann before you change it.
schema: 1
name: "desk"   # as in the contract
version: 3
data:
  sources: {events: e.parquet, accounts: a.parquet, subscriptions: s.parquet}
  mapping:
    events: {account_id: account, event: event, occurred_at: at}
    accounts: {account_id: account, signed_up_at: since}
    subscriptions: {account_id: account, started_at: since, ended_at: until, seats: seats, plan: plan, mrr: money, term_months: term}
  events:
    core:
      - open    # the one that counts
      - close
  outcomes: {kind: subscription_end, horizon_days: 180}

milestones:
  # Why thirty: see the minutes of May.
  setup:
    kind: once
    rule: {steps: [invite, connect, import], window_days: 30, at_least: 2}
    why: >-
      Going live,
      in a few words.

  # PROPOSED: nobody has adopted it yet
  # at least 20 × open within 90 days
  activation:
    kind: once
    rule:
      events: [open]   # opened by a person
      window_days: 90
      at_least: 20     # Ben wants 25

  # Sales asked for this one.
  utilization:
    kind: state
    rule: {events: [close], window_days: 30, per_seat: true, at_least: 4}
review:
  settling_lag_days: 14   # until invoices are in
"""
scores = np.repeat([5.0, 10.0, 20.0, 30.0], 100)
OUTCOME = np.concatenate([np.arange(100) < good for good in (30, 40, 70, 75)])


def grid() -> pd.DataFrame:
    rows = []
    for cut in (10.0, 20.0, 30.0):
        reached = scores >= cut
        rates = OUTCOME[reached].mean(), OUTCOME[~reached].mean()
        rows.append({"candidate": "activation", "cut": cut, "n_reached": int(reached.sum()), "rate_reached": rates[0], "rate_not": rates[1]})  # fmt: skip
    return pd.DataFrame(rows)


def effect(name: str, value: float, half: float) -> dict[str, Any]:
    bounds = {"value": value, "lower": value - half, "upper": value + half}
    return {"name": name, **bounds, "n_observations": 400, "n_accounts": 400}


def record(**changes: Any) -> dict[str, Any]:
    best = risk_difference(scores >= 20, OUTCOME)
    assert best is not None
    return {
        "milestone": "activation", "framework": {"version": 3, "hash": "set below"}, "definition": "set below", "code_version": "0.1.0", "seed": 5,
        "exploratory": False, "feature": "activation", "event": ["open"], "window_days": 90, "per_seat": False,
        "n_accounts": 400, "verdict": "threshold", "sentence": "A step is supported.", "best_cut": 20.0,
        "operating_cut": {"value": 20.0, "reason": "round"}, "plateau": [20.0, 20.0], "p_corrected": 0.001,
        "effects": [effect("out_of_sample", 0.3, 0.12), {**effect("best", best.value, 0), **best.brief()}],
        "grid_file": "grid.parquet", "defined_on": ["2023Q1", "2024Q1"], **changes,
    }  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path)
    made.framework.write_text(FRAMEWORK, encoding="utf-8")
    swept(made)
    return made


def swept(place: Workspace, **changes: Any) -> Path:
    """A sweep of activation as `sweep` leaves it."""
    found = record(**changes)
    framework = load_framework(place.framework)
    found["framework"] = {"version": framework.version, "hash": framework.hash}
    if "definition" not in changes:
        found["definition"] = framework.definition("activation")
    folder = place.sweep(found["milestone"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(found))
    grid().assign(candidate=found["feature"]).to_parquet(folder / "grid.parquet")
    return folder / "sweep.json"


def chosen(sweep: str = "activation", **changes: Any) -> Choice:
    return Choice(
        **{"sweep": sweep, "by": "the board", "why": "A habit by then.", "on": "2024-05-31", **changes}
    )


def test_the_choice_becomes_the_next_version(place: Workspace) -> None:
    before = place.framework.read_bytes()
    old = load_framework(place.framework)
    adopt_cut(place, chosen())
    after = load_framework(place.framework)
    milestone = after.milestones["activation"]
    assert after.version == 4
    assert (milestone.adopted_by, milestone.why, milestone.adopted_at) == (
        "the board",
        "A habit by then.",
        "2024-05-31",
    )
    assert milestone.defined_on == ("2023Q1", "2024Q1")
    assert (milestone.expected_effect, milestone.expected_interval) == (0.3, (0.18, 0.42))
    assert milestone.minimum_effect == 0.15
    assert place.version(3).read_bytes() == before
    assert [one.number for one in versions(place)] == [3, 4]
    others = {"setup", "utilization"}
    assert {n: after.milestones[n] for n in others} == {n: old.milestones[n] for n in others}
    assert after.data == old.data


def test_what_people_wrote_stays_and_only_the_milestone_changes(place: Workspace) -> None:
    adopt_cut(place, chosen(threshold=25))
    text = place.framework.read_text(encoding="utf-8")
    removed = [line for line in FRAMEWORK.splitlines() if line not in text.splitlines()]
    assert removed == [
        "version: 3",
        "  # PROPOSED: nobody has adopted it yet",
        "  # at least 20 × open within 90 days",
        "      at_least: 20     # Ben wants 25",
    ]
    assert "  # adopted 2024-05-31\n  # at least 25 × open within 90 days\n  activation:" in text
    assert "at_least: 25     # Ben wants 25" in text
    assert text.index("# Sales asked for this one.") > text.index("A habit by then.")


@pytest.mark.parametrize("style", [">-", "|", "|+"])
def test_a_reason_written_as_a_block_keeps_what_follows_it(place: Workspace, style: str) -> None:
    written = FRAMEWORK.replace(">-", style)
    text, after = amended(place.framework, written, "setup", 4, {"why": "Short.", "rule": {"at_least": 3}})
    assert after.milestones["setup"].why == "Short."
    assert after.milestones["setup"].rule.at_least == 3
    assert "# PROPOSED: nobody has adopted it yet" in text
    assert "# Why thirty: see the minutes of May." in text


def test_the_decision_is_on_record_beside_what_people_wrote(place: Workspace) -> None:
    old = load_framework(place.framework).hash
    place.decisions.write_text(
        "# the meeting of May\n2024Q1: {activation: {decision: keep, by: review}}  # all agreed\n"
    )
    adopt_cut(place, chosen())
    text = place.decisions.read_text()
    assert "# the meeting of May" in text
    assert "# all agreed" in text
    entry = yaml.safe_load(text)["adoptions"][0]
    now = load_framework(place.framework)
    assert entry["from"] == {"version": 3, "hash": old}
    assert entry["to"] == {"version": 4, "hash": now.hash}
    said = {
        "decision": "adopt",
        "milestone": "activation",
        "threshold": 20,
        "by": "the board",
        "why": "A habit by then.",
    }
    assert {key: entry[key] for key in said} == said
    assert str(entry["date"]) == "2024-05-31"
    assert entry["sweep"] == {"verdict": "threshold", "operating_cut": 20.0, "plateau": [20.0, 20.0], "p_corrected": 0.001, "seed": 5, "code_version": "0.1.0", "definition": now.definition("activation")}  # fmt: skip


@pytest.mark.parametrize("text", ["", "# the meeting writes here\n", "adoptions:\n"])
def test_decisions_without_any_take_the_first(place: Workspace, text: str) -> None:
    place.decisions.write_text(text)
    adopt_cut(place, chosen())
    assert text.partition("adoptions")[0] in place.decisions.read_text()
    assert len(yaml.safe_load(place.decisions.read_text())["adoptions"]) == 1


@pytest.mark.parametrize("text", ["adoptions: soon\n", "adoptions: [soon]\n", "a: b: c\n", "- a\n"])
def test_decisions_that_hold_something_else_are_told(place: Workspace, text: str) -> None:
    place.decisions.write_text(text)
    with pytest.raises(DataError, match=r"decisions\.yaml"):
        adopt_cut(place, chosen())
    assert place.decisions.read_text() == text
    assert current(place).number == 3


@pytest.mark.parametrize(
    "change",
    [{"from": "x"}, {"from": None}, {"to": 3}, {"sweep": None}, {"threshold": float("nan")}, {"by": None}],
)
def test_what_is_no_adoption_is_passed_over(place: Workspace, change: dict[str, Any]) -> None:
    adopt_cut(place, chosen())
    document = yaml.safe_load(place.decisions.read_text())
    document["adoptions"] = [{**document["adoptions"][0], **change}, {"from": "x"}]
    place.decisions.write_text(yaml.safe_dump(document))
    made = adopt_cut(place, chosen())
    assert not made["already"]
    assert "NaN" not in json.dumps(made)
    assert len(yaml.safe_load(place.decisions.read_text())["adoptions"]) == 3


def test_of_two_at_once_the_second_is_judged_by_what_the_first_made(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    both_inside = Barrier(2)

    def together(*given: Any) -> Path:
        with suppress(BrokenBarrierError):  # who is alone waits in vain
            both_inside.wait(0.5)
        return archive(*given)

    monkeypatch.setattr(adoption, "archive", together)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda cut: adopt_cut(place, chosen(threshold=cut)), (20, 30)))
    assert both_inside.broken
    assert sorted(one["to"]["version"] for one in made) == [4, 5]
    entries = yaml.safe_load(place.decisions.read_text())["adoptions"]
    assert sorted(entry["threshold"] for entry in entries) == [20, 30]
    assert load_framework(place.framework).milestones["activation"].rule.at_least == entries[1]["threshold"]


def test_another_that_does_not_come_to_an_end_is_told(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "_WAIT_SECONDS", 0)
    with held(place.adopting), pytest.raises(StoreError, match="another `adopt` has been at it"):
        adopt_cut(place, chosen())
    assert adopt_cut(place, chosen())["to"]["version"] == 4


def test_a_review_reads_the_decisions_beside_the_adoptions(place: Workspace) -> None:
    place.decisions.write_text("2024Q1: {activation: {decision: keep}}\n")
    adopt_cut(place, chosen())
    decided = publication._decisions(place, load_framework(place.framework), ["2024Q1"])
    assert decided is not None
    assert decided["2024Q1"] == {"activation": {"decision": "keep"}}


def test_a_second_adoption_follows_the_first(place: Workspace) -> None:
    adopt_cut(place, chosen())
    adopt_cut(place, chosen(threshold=30))  # of the same sweep: its threshold is all that changed
    entries = yaml.safe_load(place.decisions.read_text())["adoptions"]
    assert [(e["from"]["version"], e["to"]["version"], e["threshold"]) for e in entries] == [
        (3, 4, 20),
        (4, 5, 30),
    ]
    assert [one.number for one in versions(place)] == [3, 4, 5]


@pytest.mark.parametrize("killed_at", ["archive", "record_adoption", "write_text"])
def test_a_run_that_is_killed_leaves_the_version_in_force_and_may_be_repeated(
    place: Workspace, killed_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(adoption, killed_at, killed)
        with pytest.raises(KeyboardInterrupt):
            adopt_cut(place, chosen(on="2024-05-30"))
    assert place.framework.read_text(encoding="utf-8") == FRAMEWORK
    assert current(place).number == 3
    adopt_cut(place, chosen())
    assert current(place).number == 4
    entries = yaml.safe_load(place.decisions.read_text())["adoptions"]
    assert [str(entry["date"]) for entry in entries] == ["2024-05-31"]
    assert entries[0]["to"]["hash"] == load_framework(place.framework).hash


def test_repeating_it_changes_nothing(place: Workspace) -> None:
    adopt_cut(place, chosen())
    files = [place.framework, place.decisions, place.version(3)]
    before = [path.read_bytes() for path in files]
    assert adopt_cut(place, chosen(on="2024-06-30"))["already"]
    assert [path.read_bytes() for path in files] == before


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"sweep": "renewal"}, r"there is no sweep of 'renewal'; there are those of activation: run `milestones sweep"),
    ({"definition": "0123456789ab"}, {}, r"it swept version 3 .*, the data, activation or its outcome is defined in another way: .*sweep activation .*again"),
    ({"exploratory": True}, {}, "is an exploratory sweep"),
    ({"operating_cut": None, "verdict": "none"}, {}, r"supports no cut \(none\): give --threshold, and say in --why"),
    ({}, {"threshold": 31}, "--threshold 31: outside what was achievable, 10 to 30"),
    ({}, {"threshold": 9.5}, "--threshold 9.5: outside what was achievable, 10 to 30"),
    ({}, {"threshold": float("nan")}, "outside what was achievable"),
]  # fmt: skip


@pytest.mark.parametrize(("sweep", "choice", "words"), REFUSED)
def test_what_the_sweep_does_not_bear_is_refused(
    place: Workspace, sweep: dict[str, Any], choice: dict[str, Any], words: str
) -> None:
    swept(place, **sweep)
    with pytest.raises((UsageError, DataError), match=words):
        adopt_cut(place, chosen(**choice))
    assert place.framework.read_text(encoding="utf-8") == FRAMEWORK
    assert not place.versions.exists()
    assert not place.decisions.exists()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"by": " "}, "--by is empty"),
        ({"why": ""}, "--why is empty"),
        ({"on": "May"}, "--on May: is not a day"),
        ({"on": "2999-01-01"}, "--on 2999-01-01: is still to come"),
    ],
)
def test_a_choice_without_a_name_a_reason_or_a_day_is_refused(choice: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        chosen(**choice)


def test_a_sweep_of_another_program_is_damaged(place: Workspace) -> None:
    path = swept(place)
    found = json.loads(path.read_text())
    del found["exploratory"]
    path.write_text(json.dumps(found))
    with pytest.raises(DataError, match="is damaged, or was not made by this program"):
        adopt_cut(place, chosen())


DAMAGED: list[dict[str, Any]] = [
    {"n_accounts": 0},
    {"n_accounts": 300},  # all of them reach the lowest cut
    {"effects": [effect("out_of_sample", float("nan"), 0.1)]},
    {"effects": [effect("out_of_sample", 0.3, float("inf"))]},
    {"effects": [effect("out_of_sample", 0.3, -0.1)]},
    {"p_corrected": float("nan")},
    {"p_corrected": 1.5},
    {"operating_cut": {"value": float("nan")}},
    {"operating_cut": {"value": 31}},
    {"plateau": [20, float("inf")]},
    {"plateau": [30, 20]},
    {"best_cut": float("nan")},
    {"window_days": 0},
]


@pytest.mark.parametrize("changes", DAMAGED)
def test_numbers_that_no_sweep_writes_are_damage(place: Workspace, changes: dict[str, Any]) -> None:
    swept(place, **changes)
    said = run("adopt", "activation", "-w", place.root, "--by", "Ann", "--why", "Because", "--json")
    assert said.code == 1
    assert "is damaged, or was not made by this program: run `milestones sweep" in said.words
    assert "--threshold" not in said.words
    assert place.framework.read_text(encoding="utf-8") == FRAMEWORK


@pytest.mark.parametrize("rate", [float("nan"), 1.5, "many"])
def test_a_grid_that_no_sweep_writes_is_damaged(place: Workspace, rate: Any) -> None:
    grid().assign(rate_reached=rate).to_parquet(place.sweep("activation") / "grid.parquet")
    with pytest.raises(DataError, match=r"grid\.parquet is damaged"):
        adopt_cut(place, chosen(threshold=30))


def test_a_sweep_of_another_milestone_is_refused_by_name(place: Workspace) -> None:
    path = swept(place)
    path.write_text(json.dumps({**json.loads(path.read_text()), "milestone": "setup"}))
    with pytest.raises(DataError, match=r"sweep\.json is of setup, not of activation"):
        adopt_cut(place, chosen())
    path.write_text(json.dumps({**json.loads(path.read_text()), "milestone": "renewal"}))
    with pytest.raises(
        DataError, match=r"is of 'renewal', and .*no such milestone \(it has setup, activation"
    ):
        adopt_cut(place, chosen(str(path)))


def test_a_sweep_may_be_named_by_its_path(place: Workspace) -> None:
    assert (
        adopt_cut(place, chosen(str(place.sweep("activation") / "sweep.json")))["milestone"] == "activation"
    )


def test_what_is_supported_nowhere_may_be_adopted_with_a_threshold(place: Workspace) -> None:
    swept(place, operating_cut=None, verdict="insufficient_data", best_cut=None, plateau=None, effects=[])
    made = adopt_cut(place, chosen(threshold=20))
    milestone = load_framework(place.framework).milestones["activation"]
    assert (made["expected_effect"], milestone.expected_effect, milestone.minimum_effect) == (
        None,
        None,
        None,
    )
    assert "no effect" in " ".join(adoption.sentences(made, place)).lower()


def test_a_cut_outside_the_plateau_is_allowed_and_said(place: Workspace) -> None:
    made = adopt_cut(place, chosen(threshold=30))
    assert made["outside_plateau"]
    assert "It lies outside the plateau, 20 to 20" in " ".join(adoption.sentences(made, place))


def test_what_the_winner_counts_is_adopted_with_its_cut(place: Workspace) -> None:
    swept(place, feature="close in 60 days", event=["close"], window_days=60)
    adopt_cut(place, chosen())
    rule = load_framework(place.framework).milestones["activation"].rule
    assert rule.model_dump() == {"events": ("close",), "window_days": 60, "per_seat": False, "at_least": 20.0}
    assert "# opened by a person" in place.framework.read_text(encoding="utf-8")


# --- what may be expected ---


def test_at_the_best_cut_the_held_out_effect_is_expected() -> None:
    sweep = Sweep.model_validate(record())
    assert expected_at(sweep, grid(), 20.0) == sweep.effect("out_of_sample")


@pytest.mark.parametrize(("cut", "as_at"), [(30.0, 30.0), (10.0, 10.0), (25.0, 30.0)])
def test_another_cut_shares_of_the_best_ones_optimism_what_the_splits_share(cut: float, as_at: float) -> None:
    sweep = Sweep.model_validate(record())
    best, here = (risk_difference(scores >= c, OUTCOME) for c in (20.0, as_at))
    assert best is not None
    assert here is not None
    expected = expected_at(sweep, grid(), cut)
    assert expected is not None
    splits = scores >= as_at, scores >= 20.0
    alike = np.corrcoef(*splits)[0, 1]
    errors = [1 / np.sqrt(split.mean() * (1 - split.mean())) for split in splits]
    optimism = best.value - 0.3
    assert expected.value == pytest.approx(here.value - alike * errors[0] / errors[1] * optimism)
    assert optimism > 0.01
    stretch = 1 + alike * (0.24 / (best.upper - best.lower) - 1)
    assert stretch != pytest.approx(1)
    assert expected.upper - expected.value == pytest.approx(stretch * (here.upper - here.value))
    assert expected.value - expected.lower == pytest.approx(stretch * (here.value - here.lower))


def test_what_was_held_out_is_never_surer_than_what_is_expected_of_another_cut() -> None:
    best = risk_difference(scores >= 20, OUTCOME)
    here = risk_difference(scores >= 30, OUTCOME)
    assert best is not None
    assert here is not None
    sure = [effect("out_of_sample", 0.3, 0.01), {**effect("best", best.value, 0), **best.brief()}]
    expected = expected_at(Sweep.model_validate(record(effects=sure)), grid(), 30.0)
    assert expected is not None
    assert expected.upper - expected.lower == pytest.approx(here.upper - here.lower)


def test_a_cut_that_stays_keeps_the_quarters_it_was_chosen_on(place: Workspace) -> None:
    known = "at_least: 20     # Ben wants 25\n    defined_on: [2022Q1, 2022Q4]\n    expected_effect: 0.21\n"
    place.framework.write_text(
        FRAMEWORK.replace("at_least: 20     # Ben wants 25\n", known), encoding="utf-8"
    )
    swept(place)
    adopt_cut(place, chosen())
    milestone = load_framework(place.framework).milestones["activation"]
    assert (milestone.defined_on, milestone.expected_effect) == (("2022Q1", "2022Q4"), 0.21)
    assert (milestone.adopted_by, milestone.smallest_useful_effect) == ("the board", 0.105)
    adopt_cut(place, chosen(threshold=30))
    milestone = load_framework(place.framework).milestones["activation"]
    assert milestone.defined_on == ("2023Q1", "2024Q1")


def test_a_count_is_whole_and_harm_is_told(place: Workspace) -> None:
    swept(
        place,
        plateau=None,
        verdict="none",
        effects=[effect("out_of_sample", -0.3, 0.1), effect("best", 0.2, 0.1)],
    )
    made = adopt_cut(place, chosen(threshold=24.5))
    assert made["threshold"] == 25
    said = " ".join(sentences(made, place))
    assert "The sweep supports no cut (none): this one is a convention." in said
    assert "not expected to do better" in said


def test_of_a_state_the_effect_over_all_its_dates_is_expected() -> None:
    sweep = Sweep.model_validate(record())
    best = sweep.effect("best")
    assert best is not None
    measured = grid().assign(
        all_dates_value=[np.nan, 0.5, 0.45], all_dates_lower=[np.nan, 0.4, 0.35], all_dates_upper=[np.nan, 0.6, 0.55],
        all_dates_n_observations=[np.nan, 900, 900], all_dates_n_accounts=[np.nan, 400, 400],
    )  # fmt: skip
    for cut in (10.0, 15.0, 20.0):  # the first that was measured is 20, the best
        expected = expected_at(sweep, measured, cut)
        assert expected is not None
        assert (expected.n_observations, expected.n_accounts) == (900, 400)
        if cut == 20:
            assert expected.value == pytest.approx(0.5 - (best.value - 0.3))


def test_the_least_worth_having_can_be_declared(place: Workspace) -> None:
    adopt_cut(place, chosen(minimum_effect=0.05))
    assert load_framework(place.framework).milestones["activation"].minimum_effect == 0.05


# --- lines that nobody changed ---


def indented(text: str, by: int) -> str:
    """A text whose lines are indented by 2, indented otherwise."""
    depths = [len(line) - len(line.lstrip()) for line in text.split("\n")]
    lines = zip(depths, text.split("\n"), strict=True)
    return "\n".join(" " * (depth // 2 * by) + line.lstrip() for depth, line in lines)


@pytest.mark.parametrize("ends", [("", "\n"), ("", "\r\n"), ("\ufeff", "\r\n"), ("\ufeff", "\n")])
@pytest.mark.parametrize("by", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("key", ["activation:", '"activation":  # the habit'])
def test_every_other_line_stays_to_the_byte(
    place: Workspace, ends: tuple[str, str], by: int, key: str
) -> None:
    mark, newline = ends
    written = indented(FRAMEWORK.replace("activation:", key), by)
    place.framework.write_bytes((mark + written.replace("\n", newline)).encode())
    place.decisions.write_bytes(
        f"{mark}2024Q1:\n    activation: {{by: me}}  # all\n".replace("\n", newline).encode()
    )
    adopt_cut(place, chosen(threshold=25))
    before, after = (
        path.read_bytes().decode().split(newline) for path in (place.version(3), place.framework)
    )
    kept = [line for line in before if line in after]
    assert [line.split("#")[0].strip() or line.strip() for line in before if line not in kept] == [
        "version: 3",
        "# PROPOSED: nobody has adopted it yet",
        "# at least 20 × open within 90 days",
        "at_least: 20",
    ]
    assert [line for line in after if line in kept] == kept
    assert f"{' ' * by}# adopted 2024-05-31" in after
    assert f"{' ' * by}# at least 25 × open within 90 days" in after
    decided = place.decisions.read_bytes().decode()
    assert decided.startswith(
        f"{mark}2024Q1:{newline}    activation: {{by: me}}  # all{newline}adoptions:{newline}"
    )
    both = (place.framework.read_bytes().decode(), decided)
    assert all("\n" not in text.replace(newline, "") for text in both)


@pytest.mark.parametrize("quarters", [None, ["2021Q1", "2022Q1"]])
def test_comments_that_a_change_would_take_along_stay(place: Workspace, quarters: list[str] | None) -> None:
    own = "4}\n    defined_on:\n      - 2022Q1\n      - 2022Q3\n  # what comes after\nreview:"
    written = FRAMEWORK.replace("per_seat: true, at_least: 4}\nreview:", f"per_seat: true, at_least: {own}")
    text, after = amended(place.framework, written, "utilization", 4, {"defined_on": quarters})
    assert after.milestones["utilization"].defined_on == (quarters and tuple(quarters))
    assert "  # what comes after\nreview:" in text


def test_what_is_indented_in_two_ways_stays(place: Workspace) -> None:
    top, rest = FRAMEWORK.split("milestones:")
    written = f"{indented(top, 4)}milestones:{indented(rest, 3)}"
    text, _ = amended(
        place.framework, written, "activation", 4, {"adopted_by": "B", "rule": {"at_least": 25}}
    )
    assert [line for line in written.split("\n") if line not in text.split("\n")] == [
        "version: 3",
        "   # at least 20 × open within 90 days",
        "         at_least: 20     # Ben wants 25",
    ]
    assert "\n      adopted_by: B\n" in text


def test_a_mark_before_what_changes_stays(place: Workspace) -> None:
    written = "\ufeffversion: 3\n" + FRAMEWORK.replace("version: 3\n", "")
    text, _ = amended(place.framework, written, "activation", 4, {"adopted_by": "B"})
    assert text.startswith("\ufeffversion: 4\n")


def test_lines_that_a_rendering_breaks_otherwise_stay() -> None:
    text = "a: [1,\n  2]\nb: 1\nc: x\n"
    assert spliced(text, "a: [1, 2]\nb: 1\nc: x\n", "a: [1, 2]\nb: 2\nc: x\n") == "a: [1,\n  2]\nb: 2\nc: x\n"
    assert spliced(text, "a: [1, 2]\nb: 1\nc: x\n", "a: [1, 3]\nb: 1\nc: x\n") == "a: [1, 3]\nb: 1\nc: x\n"


def test_where_lines_cannot_be_told_apart_the_rendering_is_written(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "spliced", lambda *_: "version: [")
    text, after = amended(place.framework, FRAMEWORK, "activation", 4, {"rule": {"at_least": 25}})
    assert Framework.model_validate(parse_yaml(text)) == after
    assert "# Sales asked for this one." in text


def test_a_file_whose_meaning_would_change_is_refused(place: Workspace) -> None:
    shared = FRAMEWORK.replace("rule: {steps", "rule: &rule {steps")
    both = shared.replace("  # Sales asked for this one.\n", "  again:\n    kind: once\n    rule: *rule\n")
    with pytest.raises(DataError, match="cannot be changed without changing its meaning"):
        amended(place.framework, both, "setup", 4, {"rule": {"at_least": 1}})


def test_the_command_says_what_it_did(place: Workspace) -> None:
    said = run(
        "adopt", "activation", "-w", place.root, "--by", "Ann", "--why", "Because", "--on", "2024-05-31"
    )
    assert said.code == 0, said.words
    assert "activation >= 20 adopted by Ann" in said.out
    assert "Expected out of sample: +30.0 points; the least worth having: 15.0." in said.out
    again = run("adopt", "activation", "-w", place.root, "--by", "Ann", "--why", "Because")
    assert "adopted already" in again.out
    assert run("adopt", "activation", "-w", place.root, "--by", "", "--why", "Because").code == 2
    assert read_sweep(place, "activation")[1].seed == 5
