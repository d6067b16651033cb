"""The card: a framework on one page for everybody, in everyday words and without statistics."""

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from features.workspace import Workspace
from models.versions import Version
from reports import wording
from reports.description import Facts, described, outcome

NOT_REVIEWED = "Not yet reviewed."
LEAST_DIFFERENCE = 1e-6  # below it two rates cannot be told from their difference and their ratio


def render_card(
    version: Version, counts: Sequence[Mapping[str, Any]], review: Mapping[str, Any] | None
) -> str:
    """The card as one HTML file; the same bytes for the same arguments.

    counts: as `models.status_record.count_status` has them, of which the newest quarter is shown; review: the newest
    review.json, None without one.
    """
    facts = described(version)
    newest = counts[-1]["quarter"] if counts else None
    now = {row["milestone"]: row for row in counts if row["quarter"] == newest}
    for one in facts["milestones"]:
        one["now"] = _now(now.get(one["name"]))
        one["evidence"] = evidence(version, one, review)
    return _TEMPLATES.get_template("card.html").render(
        facts=facts, newest=newest, reviewed=None if review is None else review["quarter"]
    )


def newest_review(place: Workspace) -> dict[str, Any] | None:
    """The review of the newest quarter that has one. Raises DataError where it is damaged."""
    found = sorted(place.output.glob("reviews/*/review.json"))
    if not found:
        return None
    review = place.read_json(found[-1], "review latest")
    if not isinstance(review.get("milestones"), list) or "quarter" not in review:
        raise place.damaged(found[-1], "review latest")
    return review


def evidence(version: Version, facts: Facts, review: Mapping[str, Any] | None) -> str:
    """What became of customers who reached it and of those who did not, of 100 each; of this very rule alone."""
    asked = {"name": facts["name"], "rule": facts["rule"]}
    rows = [] if review is None else review["milestones"]
    row = next((r for r in rows if all(r.get(key) == value for key, value in asked.items())), None)
    rates = None if row is None else _rates(row.get("effects") or [])
    if rates is None:
        return NOT_REVIEWED
    later = outcome(version.framework, version.framework.milestones[facts["name"]])
    with_it, without = (round(100 * rate) for rate in rates)
    return f"Of 100 customers who reach it, {with_it} {later}; of 100 who do not, {without}."


def _rates(effects: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """The rates with and without, which difference and ratio of the same rows determine: p0 = d / (r - 1)."""
    found = {
        e.get("measure"): e.get("value") for e in effects if e.get("primary") and e.get("method") == "crude"
    }
    difference, ratio = found.get("risk_difference"), found.get("risk_ratio")
    if (
        difference is None
        or ratio is None
        or abs(difference) < LEAST_DIFFERENCE
        or abs(ratio - 1) < LEAST_DIFFERENCE
    ):
        return None
    without = difference / (ratio - 1)
    return without + difference, without


def _now(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "No quarter has closed yet."
    said = [f"{wording.count(row['reached'])} of {wording.count(row['accounts'])} customers are there"]
    said += [f"{wording.count(row['open'])} still have time"] if row["open"] else []
    said += [f"it does not apply to {wording.count(row['not_eligible'])}"] if row["not_eligible"] else []
    said += [f"of {wording.count(row['not_knowable'])} it cannot be known"] if row["not_knowable"] else []
    return "; ".join(said)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"day": wording.day, "line": wording.line}
    return made


_TEMPLATES = _environment()
