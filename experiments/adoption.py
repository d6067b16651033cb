"""Adopting a cut: a person's choice from a sweep becomes the next version of the framework."""

import math
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.sweep_record import Sweep, cuts_of, expected_at, read_sweep
from features.errors import DataError, StoreError, UsageError
from features.workspace import Workspace, held, write_text
from models.amendment import amended
from models.decisions import Adoption, adoptions, record_adoption
from models.estimates import Estimate
from models.framework import Framework
from models.milestones import CountRule, number
from models.rewriting import as_day, read_verbatim
from models.versions import Version, archive, current, versions

_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Choice:
    """What a person chose. on: the day, as 2024-05-31; without a threshold the sweep's operating cut is meant."""

    sweep: str
    by: str
    why: str
    on: str
    threshold: float | None = None
    minimum_effect: float | None = None

    def __post_init__(self) -> None:
        for option, text in (("--by", self.by), ("--why", self.why)):
            if not text.strip():
                raise UsageError(f"{option} is empty: a framework says who adopted a milestone, and why")
        try:
            day = as_day(self.on)
        except ValueError as error:
            raise UsageError(f"--on {self.on}: is not a day: write it as 2024-05-31") from error
        if day > date.today():
            raise UsageError(f"--on {self.on}: is still to come: give the day on which it was decided")


def adopt_cut(place: Workspace, choice: Choice) -> dict[str, Any]:
    """Archive the framework, record the decision, and write the next version; returns what was decided.

    Each file gets its name in one step, and the framework comes last: a run that is killed leaves the version in
    force, and adopting again completes it. Of two at once the second is judged by what the first made. Raises
    UsageError or DataError where the sweep does not bear the choice, StoreError where another does not come to an end.
    """
    with held(place.adopting, _WAIT_SECONDS) as alone:
        if not alone:
            raise StoreError(
                f"{place.root}: another `adopt` has been at it for {_WAIT_SECONDS} seconds: end it, or wait for it"
            )
        return _adopt(place, choice)


def _adopt(place: Workspace, choice: Choice) -> dict[str, Any]:
    path, sweep = read_sweep(place, choice.sweep)
    known, now = versions(place), current(place)
    done = _already(place, sweep, choice, now)
    if done is not None:
        return {**done.as_dict(), "already": True}
    _require_of_this(path, sweep, now, place)
    grid = cuts_of(path, sweep, place)
    cut = _cut(path, sweep, choice, grid, place)
    expected = expected_at(sweep, grid, cut)
    changes = _changes(now.framework, sweep, choice, cut, expected)
    text, after = amended(now.path, read_verbatim(now.path), sweep.milestone, known[-1].number + 1, changes)
    entry = _entry(sweep, choice, cut, now, after)
    archive(place, now)
    record_adoption(place.decisions, entry)
    write_text(place.framework, text)
    return {**entry.as_dict(), "already": False}


def _already(place: Workspace, sweep: Sweep, choice: Choice, now: Version) -> Adoption | None:
    """The same decision, where it is in force: repeating it changes nothing."""
    for one in adoptions(place.decisions):
        same = (one.milestone, one.by, one.why) == (sweep.milestone, choice.by, choice.why)
        same = same and choice.threshold in (None, one.threshold)
        if same and one.sweep.definition == sweep.definition and one.to.hash == now.framework.hash:
            return one
    return None


def _require_of_this(path: Path, sweep: Sweep, now: Version, place: Workspace) -> None:
    if sweep.exploratory:
        raise UsageError(
            f"{path} is an exploratory sweep, of something else than the framework says: change framework.yaml and run"
            f" `milestones sweep {sweep.milestone} -w {place.root}`"
        )
    name = sweep.milestone
    if name not in now.framework.milestones:
        raise DataError(
            f"{path} is of {name!r}, and {now.path}, {now.words}, has no such milestone (it has"
            f" {', '.join(now.framework.milestones) or 'none'}): adopt from a sweep of one of these"
        )
    if sweep.definition != now.framework.definition(name):
        raise DataError(
            f"{path} is of another framework: it swept version {sweep.framework.version} ({sweep.framework.hash}), and in"
            f" {now.path}, {now.words}, the data, {name} or its outcome is defined in another way: run `milestones sweep"
            f" {name} -w {place.root}` again"
        )


def _cut(path: Path, sweep: Sweep, choice: Choice, grid: pd.DataFrame, place: Workspace) -> float:
    if choice.threshold is None and sweep.operating_cut is None:
        raise UsageError(
            f"the sweep of {sweep.milestone} supports no cut ({sweep.verdict}): give --threshold, and say in --why what"
            " else speaks for it"
        )
    cut = sweep.operating_cut.value if choice.threshold is None and sweep.operating_cut else choice.threshold
    assert cut is not None  # one of the two is there
    if grid.empty:
        raise UsageError(f"the sweep of {sweep.milestone} could try no cut at all: {sweep.sentence}")
    low, high = grid["cut"].min(), grid["cut"].max()
    if not (math.isfinite(cut) and low <= cut <= high):
        if choice.threshold is None:
            raise place.damaged(path, f"sweep {sweep.milestone}")
        raise UsageError(
            f"--threshold {cut:g}: outside what was achievable, {number(low)} to {number(high)}; beyond that too few"
            " accounts are on one side"
        )
    # Counts are whole: whoever has 25.5 has 26.
    return float(math.ceil(cut)) if (grid["cut"] % 1 == 0).all() else float(cut)


def _changes(
    framework: Framework, sweep: Sweep, choice: Choice, cut: float, expected: Estimate | None
) -> dict[str, Any]:
    """What the milestone says from now on.

    A cut that stays what it was keeps the quarters it was chosen on, and what was expected on them: the sweep only
    confirms it, and the quarters since can go on judging it.
    """
    milestone, rule = framework.milestones[sweep.milestone], _rule(framework, sweep, cut)
    decided = {"adopted_at": as_day(choice.on), "adopted_by": choice.by, "why": choice.why}
    least = None if choice.minimum_effect is None else round(choice.minimum_effect, 4)
    if (
        rule == {"at_least": milestone.rule.at_least}
        and milestone.defined_on
        and milestone.expected_effect is not None
    ):
        return decided | ({} if least is None else {"minimum_effect": least})
    if least is None and expected is not None:
        least = round(max(expected.value / 2, 0.0), 4)
    interval = None if expected is None else [round(expected.lower, 4), round(expected.upper, 4)]
    return decided | {
        "rule": rule,
        "defined_on": None if sweep.defined_on is None else list(sweep.defined_on),
        "expected_effect": None if expected is None else round(expected.value, 4),
        "expected_interval": interval,
        "minimum_effect": least,
    }


def _rule(framework: Framework, sweep: Sweep, cut: float) -> dict[str, Any]:
    """The threshold; and what is counted, where that differs from what the milestone counts now."""
    at_least = int(cut) if cut.is_integer() else cut
    rule = framework.milestones[sweep.milestone].rule
    if not isinstance(rule, CountRule):
        return {"at_least": at_least}
    counted = {"events": sweep.event, "window_days": sweep.window_days, "per_seat": sweep.per_seat}
    now = {"events": sorted(rule.events), "window_days": rule.window_days, "per_seat": rule.per_seat}
    return {key: value for key, value in counted.items() if value != now[key]} | {"at_least": at_least}


def _entry(sweep: Sweep, choice: Choice, cut: float, now: Version, after: Framework) -> Adoption:
    outside = sweep.plateau is not None and not sweep.plateau[0] <= cut <= sweep.plateau[1]
    milestone = after.milestones[sweep.milestone]
    said = {
        "verdict": sweep.verdict,
        "operating_cut": sweep.operating_cut.value if sweep.operating_cut else None,
        "plateau": list(sweep.plateau) if sweep.plateau else None,
        "p_corrected": sweep.p_corrected,
        "seed": sweep.seed,
        "code_version": sweep.code_version,
        "definition": sweep.definition,
    }
    entry = {
        "date": choice.on,
        "milestone": sweep.milestone,
        "threshold": int(cut) if cut.is_integer() else cut,
        "from": {"version": now.number, "hash": now.framework.hash},
        "to": {"version": after.version, "hash": after.hash},
        "by": choice.by,
        "why": choice.why,
        "expected_effect": milestone.expected_effect,
        "minimum_effect": milestone.smallest_useful_effect,
        "outside_plateau": outside,
        "sweep": said,
    }
    return Adoption.model_validate(entry)


def sentences(made: dict[str, Any], place: Workspace) -> list[str]:
    """What was adopted, for people."""
    to = f"version {made['to']['version']} ({made['to']['hash']})"
    what = f"{made['milestone']} >= {number(made['threshold'])}"
    if made["already"]:
        return [f"{what} is adopted already, as {to}: nothing was changed"]
    expected, least = made["expected_effect"], made["minimum_effect"]
    said = [
        f"{what} adopted by {made['by']}: {place.framework} is {to}; version {made['from']['version']} is kept in {place.versions}"
    ]
    if made["outside_plateau"]:
        low, high = made["sweep"]["plateau"]
        said.append(
            f"It lies outside the plateau, {number(low)} to {number(high)}: the sweep could tell it from the best cut."
        )
    if made["sweep"]["plateau"] is None:
        said.append(f"The sweep supports no cut ({made['sweep']['verdict']}): this one is a convention.")
    if expected is not None and expected <= 0:
        said.append(
            "Whoever reaches it is not expected to do better: think twice before anybody is pushed there."
        )
    if expected is None:
        said.append("No effect could be measured out of sample, so none is expected.")
    else:
        said.append(
            f"Expected out of sample: {100 * expected:+.1f} points; the least worth having: {100 * least:.1f}."
        )
    return [*said, f"Next: milestones review latest -w {place.root}"]
