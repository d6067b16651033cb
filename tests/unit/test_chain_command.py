"""`milestones chain` from files to files: what it writes, what it says, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import yaml

from features.document import parse_yaml
from reports.chain import OUTCOMES, effect_rows
from reports.forest import forest
from tests.unit.small_log import Said, run, small_log, sources

MILESTONES: dict[str, Any] = {
    "setup": {
        "kind": "once", "primary_outcome": "activation",
        "rule": {"steps": ["invite user", "login"], "window_days": 14, "at_least": 2},
    },
    "activation": {
        "kind": "once", "primary_outcome": "sharing",
        "rule": {"events": ["Create report"], "window_days": 30, "at_least": 1},
    },
    "sharing": {
        "kind": "state",
        "rule": {
            "categories": {"sharing": {"events": ["share doc"], "mature": 2}, "export": {"events": ["export csv"], "mature": 2}},
            "window_days": 60, "at_least": 1,
        },
    },
}  # fmt: skip


def workspace(folder: Path, *, revenue: bool = True) -> Path:
    """A small product with a chain of three milestones and 90 days of silence for its outcome."""
    tables = small_log(n=200)
    if revenue:
        paid = np.random.default_rng(1).lognormal(3, 1, 200).round(2)
        tables["subscriptions"] = tables["subscriptions"].assign(mrr=paid)
    root = folder / "product"
    assert run("init", root, *sources(folder / "data", tables)).code == 0
    change(root, ("milestones",), MILESTONES)
    change(root, ("not_defined",), {})
    change(root, ("data", "outcomes"), {"kind": "subscription_end", "horizon_days": 90})
    change(root, ("data", "events", "success_metrics"), {"sharing": "events_30d"})
    return root


def change(root: Path, place: tuple[str, ...], value: Any) -> None:
    """Set one key of framework.yaml."""
    path = root / "framework.yaml"
    document = found = parse_yaml(path.read_text())
    for key in place[:-1]:
        found = found[key]
    found[place[-1]] = value
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def written(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "output" / "chain.json").read_text())
    return found


def chain(root: Path, *options: str) -> Said:
    return run("chain", "-w", root, *options)


def test_it_writes_what_it_says(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    said = chain(root)
    assert said.code == 0, said.words
    found = written(root)
    assert [link["milestone"] for link in found["chain"]] == ["sharing", "activation", "setup"]
    assert found["framework"]["version"] == 1
    assert (found["schema_version"], found["expansion"]) == (1, "seats")
    assert [step["step"] for step in found["steps"]] == ["invite user", "login"]
    assert {use["category"]: use["success"] is None for use in found["categories"]} == {
        "sharing": False, "export": True,
    }  # fmt: skip
    assert any(e.get("weighted_by") == "revenue" for link in found["chain"] for e in link["effects"])
    for words in ("dormant (less is good)", "then activation", "invite user", "events_30d: ", "No success metric is declared for export"):  # fmt: skip
        assert words in said.out
    picture = matplotlib.image.imread(root / "output" / "chain.png")
    assert picture.shape[0] > picture.shape[1] / 2
    before = (root / "output" / "chain.json").read_bytes()
    assert json.loads(chain(root, "--json").out) == found
    assert (root / "output" / "chain.json").read_bytes() == before


def test_without_revenue_or_milestones_it_says_so(tmp_path: Path) -> None:
    root = workspace(tmp_path, revenue=False)
    said = chain(root)
    assert "No effect is weighted by revenue" in said.out
    assert not any("weighted_by" in e for link in written(root)["chain"] for e in link["effects"])
    change(root, ("data", "events", "success_metrics"), {})
    change(root, ("milestones",), {})
    said = chain(root)
    assert (said.code, written(root)["chain"]) == (0, [])
    assert "No milestone is defined: there is no chain." in said.out


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("data", "events", "success_metrics"), {"sharing": "event_30d"}, "success_metrics.sharing: there is no feature 'event_30d' (did you mean 'events_30d'?)"),
        (("data", "events", "success_metrics"), {"sharin": "events_30d"}, "no milestone has a category 'sharin' (did you mean 'sharing'?)"),
        (("data", "events", "success_metrics"), {"sharing": "events_365d"}, "'events_365d' looks back beyond the quarter between two closes"),
        (("data", "events", "success_metrics"), {"sharing": "events_90d_trend"}, "'events_90d_trend' looks back beyond the quarter"),
        (("data", "events", "success_metrics"), {"sharing": "days_since_last_event"}, "'days_since_last_event' looks back beyond the quarter"),
        (("data", "outcomes", "expansion"), "mrr", "'mrr' is asked for, and the subscriptions have seats"),
        (("data", "outcomes", "expansion"), "plan", "data.outcomes.expansion"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_words(
    tmp_path: Path, place: tuple[str, ...], value: Any, words: str
) -> None:
    root = workspace(tmp_path, revenue=False)
    change(root, place, value)
    said = chain(root)
    assert said.code == 1
    assert words in said.words
    assert not (root / "output" / "chain.json").exists()


def test_check_refuses_a_metric_that_the_chain_would_refuse(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    change(root, ("data", "events", "success_metrics"), {"sharing": "events_365d"})
    said = run("check", "-w", root)
    assert said.code == 1
    assert (
        "success_metrics.sharing: 'events_365d' looks back beyond the quarter between two closes"
        in said.words
    )


def test_a_metric_of_what_is_in_force_looks_back_at_nothing(tmp_path: Path) -> None:
    root = workspace(tmp_path)
    change(root, ("data", "events", "success_metrics"), {"sharing": "seats"})
    assert chain(root).code == 0
    success = written(root)["categories"][0]["success"]
    assert (success["feature"], success["unit"], success["same_behaviour"]) == ("seats", "seats", [])


# --- the picture ---


def effect(value: float, *, in_definition: bool = False) -> dict[str, Any]:
    return {
        "outcome": "retained", "value": value, "lower": value - 0.1, "upper": value + 0.1, "n_accounts": 1234,
        "in_definition": in_definition,
    }  # fmt: skip


def rows() -> list[dict[str, Any]]:
    both = [effect(0.2), {**effect(0.1), "weighted_by": "revenue"}]
    links = [
        {"milestone": "maturity", "effects": both, "missing": {"expanded": "why"}, "same_behaviour": {}},
        {
            "milestone": "setup",
            "effects": [effect(-0.3, in_definition=True)],
            "missing": {},
            "same_behaviour": {},
        },
    ]
    return effect_rows({"chain": links})


def test_the_picture_shows_every_effect_with_its_interval() -> None:
    axes = forest(rows(), "product").axes[0]
    drawn = {
        marker: [float(np.asarray(line.get_xdata())[0]) for line in axes.lines if line.get_marker() == marker]
        for marker in ("o", "D")
    }
    assert drawn == {"o": [pytest.approx(20), pytest.approx(-30)], "D": [pytest.approx(10)]}
    hollow = next(line for line in axes.lines if line.get_marker() == "D")
    assert hollow.get_markerfacecolor() == "white"
    spans = [
        tuple(np.asarray(line.get_xdata(), float).round(6))
        for line in axes.lines
        if line.get_marker() == "None"
    ]
    assert {(10.0, 30.0), (0.0, 20.0), (-40.0, -20.0)} <= set(spans)
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["maturity", "n 1,234", "not enough data yet", "setup", "n 1,234*"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [OUTCOMES["retained"], OUTCOMES["expanded"], OUTCOMES["retained"]]  # fmt: skip
    low, high = axes.get_ylim()
    assert low > high  # the last milestone of the chain stands on top


def test_a_picture_without_an_effect_says_so() -> None:
    axes = forest([], "product").axes[0]
    assert "not enough data yet" in [text.get_text() for text in axes.texts]
