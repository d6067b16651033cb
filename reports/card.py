"""The card: a framework on one page for everybody, in everyday words and without statistics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment

from features.workspace import Workspace
from models.versions import Version
from reports import wording
from reports.description import Facts, described, outcome
from reports.environment import environment

NOT_REVIEWED = "Not yet reviewed."
TOO_LITTLE = "Too little is known yet to say."
# What the newest review thinks of it, beside what followed so far; one that holds needs no word.
STANDING = {
    "watch": "It is being watched: this may be changing.",
    "re-tune": "Its threshold is due for a change.",
    "retire": "It no longer tells much, and may be given up.",
}
FLATTERED = "Its threshold was chosen on these very customers, which flatters it."
LEAST_DIFFERENCE = 1e-6  # below it two rates cannot be told from their difference and their ratio


def render_card(
    version: Version,
    counts: Sequence[Mapping[str, Any]],
    review: Mapping[str, Any] | None,
    chain: Mapping[str, Any] | None = None,
) -> str:
    """The card as one HTML file; the same bytes for the same arguments.

    counts: as `models.status_record.count_status` has them, of which the newest quarter is shown; review: the newest
    review.json, None without one; chain: chain.json, looked at where the review says nothing.
    """
    facts = described(version)
    newest = counts[-1]["quarter"] if counts else None
    now = {row["milestone"]: row for row in counts if row["quarter"] == newest}
    sources = (review["milestones"] if review else (), chain["chain"] if chain else ())
    for one in facts["milestones"]:
        one["now"] = _now(now.get(one["name"]))
        one["evidence"] = evidence(version, one, *sources)
    return _TEMPLATES.get_template("card.html").render(
        facts=facts, newest=newest, reviewed=review.get("quarter") if review else None
    )


def newest_review(place: Workspace) -> dict[str, Any] | None:
    """The review of the newest quarter that has one. Raises DataError where it is damaged."""
    found = sorted(place.output.glob("reviews/*/review.json"))
    return _with_rows(place, found[-1], "milestones", "review latest") if found else None


def newest_chain(place: Workspace) -> dict[str, Any] | None:
    """The effects of the whole chain, where they were compared. Raises DataError where they are damaged."""
    return _with_rows(place, place.chain, "chain", "chain") if place.chain.is_file() else None


def _with_rows(place: Workspace, path: Path, key: str, command: str) -> dict[str, Any]:
    read = place.read_json(path, command)
    rows = read.get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise place.damaged(path, command)
    return read


def evidence(version: Version, facts: Facts, *sources: Sequence[Mapping[str, Any]]) -> str:
    """What became of customers who reached it and of those who did not, of 100 each; of this very rule alone.

    sources: rows of milestones (name or milestone, rule, effects), of a review or of the chain; the first that tells.
    """
    later = outcome(version.framework, version.framework.milestones[facts["name"]])
    for row in (row for rows in sources for row in rows):
        if (row.get("name", row.get("milestone")), row.get("rule")) == (facts["name"], facts["rule"]):
            verdict = str(row.get("verdict"))
            if verdict == "insufficient_data":
                return TOO_LITTLE
            said = _everyday(row.get("effects") or [], later)
            if said:
                return f"{said} {STANDING[verdict]}" if verdict in STANDING else said
    return NOT_REVIEWED


def _everyday(effects: Sequence[Mapping[str, Any]], later: str) -> str:
    """A primary effect in words, "" without one: rates follow from difference and ratio of the same rows, p0 = d / (r - 1)."""
    plain = [
        e for e in effects if e.get("primary") and e.get("method") == "crude" and not e.get("weighted_by")
    ]
    found = {e.get("measure"): e.get("value") for e in plain}
    difference, ratio = found.get("risk_difference"), found.get("risk_ratio")
    if difference is None:
        return ""
    said = _of_hundred(difference, ratio, later)
    return f"{said} {FLATTERED}" if any(e.get("in_definition") for e in plain) else said


def _of_hundred(difference: float, ratio: float | None, later: str) -> str:
    if ratio is None or min(abs(difference), abs(ratio - 1)) < LEAST_DIFFERENCE:
        more = round(100 * difference)
        how = f"{abs(more)} {'more' if more > 0 else 'fewer'}" if more else "as many"
        return f"Of every 100 customers who reach it, {how} {later} {'than' if more else 'as'} of 100 who do not."
    without = difference / (ratio - 1)
    with_it, without = (round(100 * rate) for rate in (without + difference, without))
    return f"Of 100 customers who reach it, {with_it} {later}; of 100 who do not, {without}."


def _now(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "No quarter has closed yet."
    said = [f"{wording.count(row['reached'])} of {wording.count(row['accounts'])} customers are there"]
    said += [f"{wording.count(row['open'])} still have time"] if row["open"] else []
    said += [f"it does not apply to {wording.count(row['not_eligible'])}"] if row["not_eligible"] else []
    said += [f"of {wording.count(row['not_knowable'])} it cannot be known"] if row["not_knowable"] else []
    return "; ".join(said)


def _environment() -> Environment:
    made = environment()
    made.filters |= {"day": wording.day, "line": wording.line}
    return made


_TEMPLATES = _environment()
