"""What a framework says, in words: for the terminal, for the card, and for JSON."""

from collections.abc import Mapping
from typing import Any

from features.phrases import listing
from models.framework import Framework
from models.milestones import RETAINED, CountRule, Milestone, StepsRule, number
from models.parts import words_of
from models.versions import Version
from reports import wording

Facts = dict[str, Any]
MOST_NAMED = 4  # events of a rule


def described(version: Version) -> Facts:
    """Everything a version says, as JSON writes it."""
    framework = version.framework
    return {
        "name": framework.name,
        "version": version.number,
        "hash": framework.hash,
        "file": str(version.path),
        "proposed": framework.proposed,
        "milestones": [of_milestone(framework, name) for name in framework.milestones],
        "not_defined": dict(framework.not_defined),
        "hypotheses": [h.model_dump(mode="json") for h in framework.review.hypotheses],
    }


def of_milestone(framework: Framework, name: str) -> Facts:
    """What a milestone says, what it means in words, and its hash."""
    milestone = framework.milestones[name]
    declared = milestone.model_dump(mode="json", exclude={"rule"})
    return {
        "name": name,
        "hash": milestone.hash,
        "proposed": milestone.proposed,
        "meaning": meaning(milestone, framework.data.events.labels),
        "rule": milestone.rule.words,
        "outcome_words": outcome(framework, milestone),
        **declared,
        "minimum_effect": milestone.smallest_useful_effect,
    }


def meaning(milestone: Milestone, labels: Mapping[str, str]) -> str:
    """The rule in a sentence without signs: "Conversation started at least 20 times within 90 days of signing up"."""
    rule = milestone.rule
    if isinstance(rule, CountRule):
        what = _any_of([_plain(event, labels) for event in rule.events])
        said = f"{what} at least {_times(rule.at_least)}{' per seat' if rule.per_seat else ''}"
    elif isinstance(rule, StepsRule):
        steps = listing([_plain(words_of(step), labels) for step in rule.steps], len(rule.steps))
        said = f"at least {rule.at_least} of {len(rule.steps)} steps: {steps};"
    else:
        areas = [level.words(_plain(area, labels)) for area, level in rule.categories.items()]
        said = f"at least {rule.at_least} of {len(rule.categories)} product areas used a lot: {', '.join(areas)};"
    when = (
        f"within {rule.window_days} days of signing up"
        if milestone.kind == "once"
        else f"in the {rule.window_days} days before a quarter closes"
    )
    return f"{said[0].upper()}{said[1:]} {when}"


def _any_of(names: list[str]) -> str:
    """Whichever of some events: few by name, so that what is asked of them is not lost behind a list."""
    if len(names) <= MOST_NAMED:
        return " or ".join(names)
    return f"any of {listing(names, MOST_NAMED)}"


def _times(least: float) -> str:
    return "once" if least == 1 else f"{number(least)} times"


def _plain(event: str, labels: Mapping[str, str]) -> str:
    return labels.get(event, event.replace("_", " "))


def outcome(framework: Framework, milestone: Milestone) -> str:
    """What reaching it should lead to, to follow "customers who reach it"."""
    if milestone.primary_outcome == RETAINED:
        return f"are still customers {framework.data.outcomes.horizon_days} days later"
    return f"go on to {milestone.primary_outcome}"


def lines(facts: Facts) -> list[str]:
    """The same for a terminal."""
    state = "PROPOSED: some milestone was not adopted by anybody yet" if facts["proposed"] else "adopted"
    said = [f"{facts['name']}, version {facts['version']} ({facts['hash']}), {state}: {facts['file']}"]
    for one in facts["milestones"]:
        said += ["", *_of_milestone(one)]
    if facts["not_defined"]:
        said += ["", "not defined:"]
        said += [f"  {name}: {reason}" for name, reason in facts["not_defined"].items()]
    if facts["hypotheses"]:
        said += ["", "hypotheses:"]
        for one in facts["hypotheses"]:
            about = (
                f" ({one['direction']}: {', '.join(one['features'])})"
                if one["features"]
                else f" ({one['direction']})"
            )
            said.append(f"  {one['by']}: {one['claim']}{about}")
    return said


def _of_milestone(one: Facts) -> list[str]:
    owner = one["adopted_by"] or "nobody"
    since = "PROPOSED" if one["proposed"] else f"since {wording.day(one['adopted_at'])}"
    interval = one["expected_interval"] or (None, None)
    expected = {"value": one["expected_effect"], "lower": interval[0], "upper": interval[1]}
    chosen = one["defined_on"]
    facts = {
        "means": one["meaning"],
        "rule": f"{one['rule']} ({one['kind']})",
        "outcome": f"customers who reach it {one['outcome_words']}",
        "owner": f"{owner}, {since}",
        "why": one["why"] or "not said",
        "expected": wording.difference(expected, "nothing was measured"),
        "minimum": wording.points(one["minimum_effect"], "not declared"),
        "chosen on": f"{chosen[0]} up to, without, {chosen[1]}" if chosen else "no quarter",
    }
    return [f"{one['name']} ({one['hash']})", *(f"  {key}: {value}" for key, value in facts.items())]
