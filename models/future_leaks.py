"""Leaks of the machinery: a feature that looks at or past its as-of date, a window that overlaps the outcome's."""

import numpy as np

from features.phrases import listing
from features.plants import Movement, movements
from features.specs import FeatureSpec
from features.stamps import WEEK_DAYS, Stamp, stamps
from features.subset import draw_accounts, subset
from features.windows import Grid
from models.leaks import Checked, Finding, Material
from models.milestones import RETAINED

PLANTED_ACCOUNTS = 150
PLANTED_CLOSES = 3
STAMPED_ACCOUNTS = 300
FEWEST_ONE_SIDED = 20  # rows with activity on one side of their stamp
MOSTLY = 0.95  # of which so many must lie on the same side


def planting(material: Material) -> Checked:
    """Change everything at and after an as-of date: no feature at it may move."""
    asked = _questions(material)
    few = subset(material.log, draw_accounts(material.log, PLANTED_ACCOUNTS, material.rng), copied=True)
    moved: list[Movement] = []
    for specs, grid in asked:
        moved += movements(few, material.framework.data, specs, grid)
    names = {spec.name for specs, _ in asked for spec in specs}
    looked = (
        f"{len(names)} features and scores of {len(few.accounts)} accounts at {len(asked)} as-of dates: rows at and after"
        " the date removed, and others planted"
    )
    return Checked(
        "planting", looked, tuple(_moved(name, moved) for name in dict.fromkeys(m.feature for m in moved))
    )


def _questions(material: Material) -> list[tuple[tuple[FeatureSpec, ...], Grid]]:
    """What to ask at which single as-of date: all features at some closes, once milestones at their landmarks."""
    framework = material.framework
    states = tuple(m.rule.spec(f"milestone {name}") for name, m in framework.of_kind("state").items())
    days = np.asarray(material.grid.as_of_days)
    some = (
        np.unique(np.linspace(0, len(days) - 1, PLANTED_CLOSES + 1).round().astype(int))[1:]
        if len(days) > 1
        else [0]
    )
    found = [((*material.specs, *states), Grid("calendar", (int(days[i]),))) for i in some]
    for name, milestone in framework.of_kind("once").items():
        landmark = Grid("tenure", (milestone.rule.window_days,))
        found.append(((milestone.rule.spec(f"milestone {name}"),), landmark))
    return found


def _moved(feature: str, moved: list[Movement]) -> Finding:
    own = [movement for movement in moved if movement.feature == feature]
    changes = " or ".join(dict.fromkeys(movement.change for movement in own))
    n_moved, n = sum(m.n_moved for m in own), sum(m.n for m in own)
    return Finding(
        "looks past its date",
        feature,
        f"{feature} looks at or past its as-of date: it changed in {n_moved:,} of {n:,} observations when rows at or after"
        f" that date were {changes}. A window must end before the date: no result that rests on it can be trusted",
        "alarm",
        {"n_moved": n_moved, "n_observations": n, "changes": changes},
    )


def period_stamps(material: Material) -> Checked:
    """Rows that stand for a week or a month and bear its first day: a window that ends inside counts what follows."""
    few = subset(material.log, draw_accounts(material.log, STAMPED_ACCOUNTS, material.rng), copied=True)
    found = stamps(few)
    looked = f"{len(material.kinds)} kinds of events; {len(found)} of them are dated by week or month"
    return Checked("period stamps", looked, tuple(map(_stamped, found)))


def _stamped(stamp: Stamp) -> Finding:
    one_sided = stamp.opening + stamp.closing
    period = "week" if stamp.period_days == WEEK_DAYS else "month"
    evidence = {"day": stamp.day, "n": stamp.n, "opening": stamp.opening, "closing": stamp.closing}
    if one_sided >= FEWEST_ONE_SIDED and stamp.opening >= MOSTLY * one_sided:
        text = (
            f"{stamp.event} is dated on {stamp.day} and sums the {period} that follows ({stamp.opening:,} of {one_sided:,} rows"
            f" have other events on that side alone): a window that ends inside the {period} counts the rest of it. Date"
            f" these rows at the end of their {period}"
        )
        return Finding("cutoff inside a period", stamp.event, text, "alarm", evidence)
    text = f"{stamp.event} is dated on {stamp.day}: make sure that the date closes its {period}, and does not open it"
    return Finding("dated by period", stamp.event, text, "note", evidence)


def windows(material: Material) -> Checked:
    """Every window of a feature ends where the outcome's begins, or before."""
    framework = material.framework
    rules = tuple(m.rule.spec(f"milestone {name}") for name, m in framework.milestones.items())
    specs = (*material.specs, *rules)
    findings = [
        Finding(
            "overlaps the outcome",
            spec.name,
            f"{spec.name} counts in [t{window.start_days or 0:+d}, t{window.end_days:+d}) days, and the outcome begins at t:"
            " both see the same events. End the window at t",
            "alarm",
            {"start_days": window.start_days, "end_days": window.end_days},
        )
        for spec in specs
        for window in spec.windows
        if window.end_days > 0
    ]
    looked = f"the windows of {len(specs)} features and scores, against the outcome's [t, t+{framework.data.outcomes.horizon_days})"
    return Checked("windows", looked, (*findings, *_same_behaviour(material)))


def _same_behaviour(material: Material) -> list[Finding]:
    """What the outcome shares with features in disjoint windows: no leak, and the reason why recency predicts."""
    framework, found = material.framework, []
    outcome = framework.data.outcomes
    if outcome.kind == "silent":
        found.append(
            Finding(
                "same behaviour",
                "outcome",
                f"lost means {outcome.horizon_days} days without a core event, asked of accounts active in the"
                f" {outcome.horizon_days} days before: days since the last event predict that by right, and are no leak",
                "note",
            )
        )
    for name in framework.milestones:
        shared = framework.shares_behaviour(name)
        if shared:
            primary = framework.milestones[name].primary_outcome
            target = "the outcome" if primary == RETAINED else primary
            text = f"{name} and {target} count the same events in windows that do not meet: {listing(shared)}"
            found.append(
                Finding("same behaviour", f"milestone {name}", text, "note", {"events": list(shared)})
            )
    return found
