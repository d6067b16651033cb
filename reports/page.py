"""The page of a review: one self-contained HTML file, a pure function of review.json, decisions and links.

No clock, no file but the templates beside this module, no request from the page. Every text of the review is
taken as hostile and escaped; the drawings are the only markup that is passed through, and escape their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports import figures, wording
from reports.shape import complete
from reports.sparklines import sparkline
from reports.verdicts import Verdict

Row: TypeAlias = Mapping[str, Any]

VERDICT_WORDS: Mapping[str, str] = {
    Verdict.HOLD: "Hold",
    Verdict.WATCH: "Watch",
    Verdict.RE_TUNE: "Re-tune",
    Verdict.RETIRE: "Retire",
    Verdict.INSUFFICIENT_DATA: "Not enough data",
}

METHODS: Mapping[str, tuple[str, str]] = {
    "naive": (
        "Naive",
        "everybody who ever reached it against everybody else; flatters it, as leavers had less time",
    ),
    "crude": ("Fair start", "only accounts that were still there when reaching it had to be decided"),
    "stratified": ("Like with like", "compared within groups of similar accounts"),
    "weighted": ("Like with like, weighted", "accounts weighted so that both groups are alike beforehand"),
    "after_prior_use": ("Beyond earlier use", "what is left after recency and the volume of earlier use"),
    "out_of_sample": ("Out of sample", "on quarters that took no part in choosing the cut"),
}

MEASURES: Mapping[str, str] = {
    "risk_difference": "difference of the rates",
    "risk_ratio": "ratio of the rates",
    "odds_ratio": "ratio of the odds",
    "hazard_ratio": "ratio of the rates over time",
    "phi": "phi, a correlation",
    "auc": "AUC, a ranking",
}

EVIDENCE: Mapping[str, str] = {
    "yes": "yes, the interval is above the minimum",
    "no": "no, the interval is below the minimum",
    "unclear": "unclear, the interval holds the minimum",
    "shown": "yes, beyond the error budget",
    "not_shown": "not shown",
    "mix": "yes, with the mix of customers",
    "decay": "yes, the effect itself",
}


def render(review: Row, decisions: Row | None = None, links: Row | None = None) -> str:
    """The review as one HTML file; the same bytes for the same arguments.

    `decisions` holds what the meeting decided by milestone: {name: {decision, by, on, why}} or {name: text}.
    `links` holds {label: address}; an address that is not http, https or relative is shown but not linked.
    """
    whole = complete(review)
    for i, milestone in enumerate(whole["milestones"]):
        milestone |= {"key": f"m{i + 1}", "effects": _effects(milestone["effects"])}
        milestone["spark"] = Markup(sparkline(milestone))
        milestone["history_figure"] = _history(milestone, whole["annotations"])
        milestone["curve_figure"] = _curve(milestone)
        milestone["marks"] = figures.lettered(whole["annotations"], milestone["name"])
        milestone["inside"] = _inside(milestone["threshold"])
    return _TEMPLATES.get_template("review.html").render(
        review=whole,
        tally=_tally(whole["milestones"]),
        drawings=_drawings(whole),
        changes=_changes(whole),
        decided=[_decision(milestone["name"], decisions or {}) for milestone in whole["milestones"]],
        links=[(wording.line(label), *_address(link)) for label, link in (links or {}).items()],
        marks=figures.lettered(whole["annotations"]),
    )


def _history(milestone: Row, annotations: Sequence[Row]) -> Markup | None:
    rows = [row for row in milestone["history"] if wording.known(row["effect"]["value"])]
    if not rows:
        return None
    label = (
        f"{milestone['name']}: effect per cohort quarter, {rows[0]['quarter']} to {rows[-1]['quarter']}; "
        f"newest {wording.difference(rows[-1]['effect'])}"
    )
    return _drawn(figures.history(milestone, annotations), f"{milestone['key']}-history", label)


def _curve(milestone: Row) -> Markup | None:
    rows = [
        row for row in milestone["curve"] if wording.known(row["rate"]) and wording.known(row["value_from"])
    ]
    if not rows:
        return None
    low, high = wording.percent(rows[0]["rate"]), wording.percent(rows[-1]["rate"])
    ends = f"{low} at the lowest value to {high} at the highest"
    label = f"{milestone['name']}: rate of {milestone['outcome'] or 'the outcome'} by value, {ends}"
    return _drawn(figures.curve(milestone), f"{milestone['key']}-curve", label)


def _drawn(figure: Any, key: str, label: str) -> Markup:
    return Markup(figures.svg(figure, key, wording.line(label, 500)))


def _drawings(review: Row) -> dict[str, Markup | None]:
    """The figures that stand once on the page; None where there is nothing to draw."""
    found: dict[str, Markup | None] = dict.fromkeys(("funnel", "volumes", "model", "ranking"))
    if review["funnel"]["steps"]:
        label = f"Share of the cohort of {review['funnel']['cohort_quarter']} at each step"
        found["funnel"] = _drawn(figures.funnel(review), "funnel", label)
    if review["volumes_history"]:
        drawn = figures.volumes(review["volumes_history"], review["annotations"])
        found["volumes"] = _drawn(drawn, "volumes", "Events, active accounts and signups per quarter")
    if review["model"]["history"]:
        label = "AUC of the random forest and of recency alone per quarter"
        found["model"] = _drawn(figures.model_history(review["model"]), "model", label)
    if any(wording.known(row["importance"]) and wording.known(row["adoption"]) for row in review["ranking"]):
        label = "Importance of features against their adoption"
        found["ranking"] = _drawn(figures.ranking(review["ranking"]), "ranking", label)
    return found


def _effects(effects: Sequence[Row]) -> list[dict[str, Any]]:
    """Effect records in groups of one outcome, primary first; differences first, naive beside fair."""
    main = next((row["outcome"] for row in effects if row["primary"]), None)
    order = [*METHODS, None]

    def rank(row: Row) -> tuple[bool, str, bool, int]:
        method = row["method"] if row["method"] in METHODS else None
        differs = row["measure"] != "risk_difference"
        return row["outcome"] != main, _outcome(row), differs, order.index(method)

    groups: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(effects, key=rank):
        group = groups.setdefault(_outcome(row), [])
        label, meaning = METHODS.get(row["method"], (row["method"] or wording.NOT_DEFINED, ""))
        said = any(other["method"] == row["method"] for other in group)  # explained once
        words = {
            "label": label,
            "meaning": "" if said else meaning,
            "scale": MEASURES.get(row["measure"], row["measure"] or wording.NOT_DEFINED),
            "text": wording.measure(row),
            "look": _look(row),
        }
        group.append({**row, **words})
    return [{"outcome": outcome, "rows": rows} for outcome, rows in groups.items()]


def _look(effect: Row) -> str:
    """The shade of a row: the one number the verdict rests on, or the naive one."""
    if effect["method"] == "naive":
        return "naive"
    return "fair" if effect["primary"] and effect["measure"] == "risk_difference" else ""


def _outcome(effect: Row) -> str:
    """What an effect is on: "retained, within 180 days of day 90"."""
    text = wording.line(effect["outcome"] or wording.NOT_DEFINED)
    if wording.known(effect["horizon_days"]):
        text += f", within {wording.number(effect['horizon_days'])} days"
        if wording.known(effect["landmark_day"]):
            text += f" of day {wording.number(effect['landmark_day'])} after signup"
    return text


def _inside(threshold: Row) -> str | None:
    """Where the current cut stands against the plateau, in a word; None where either is missing."""
    current, plateau = threshold["current"], threshold["plateau"]
    if not wording.known(current) or len(plateau) != 2 or not all(map(wording.known, plateau)):
        return None
    return "inside" if plateau[0] <= current <= plateau[1] else "outside"


def _tally(milestones: Sequence[Row]) -> list[tuple[str, int]]:
    words = [str(milestone["verdict"]) for milestone in milestones]
    return [(word, words.count(word)) for word in VERDICT_WORDS if word in words]


def _changes(review: Row) -> dict[str, str]:
    """Each volume against the quarter before: "+6 % on 2024Q2"; without that quarter, nothing."""
    rows = review["volumes_history"]
    at = next((i for i, row in enumerate(rows) if row["quarter"] == review["quarter"]), 0)
    if at == 0:
        return {}
    before, found = rows[at - 1], {}
    for key in ("events", "active_accounts", "signups"):
        now, then = review["volumes"][key], before[key]
        if wording.known(now) and wording.known(then) and then > 0:
            percent = round(100 * (now / then - 1))
            sign = "+" if percent > 0 else "\N{MINUS SIGN}" if percent < 0 else "±"
            found[key] = f"{sign}{abs(percent)} % on {wording.line(before['quarter'], 12)}"
    return found


def _decision(name: Any, decisions: Row) -> dict[str, Any]:
    given = decisions.get(str(name))
    record = given if isinstance(given, Mapping) else {"decision": given}
    return {"name": name} | {key: record.get(key) for key in ("decision", "by", "on", "why")}


def _address(link: Any) -> tuple[str, bool]:
    """An address and whether it may be linked: javascript: and the like are text."""
    text = wording.line(link, 2000)
    try:
        scheme = urlsplit(text).scheme.lower()
    except ValueError:
        return text, False
    return text, scheme in ("", "http", "https")


def _bounds(record: Row) -> str:
    """The interval of a difference alone: "(8.1 to 15.6)"."""
    text = wording.difference(record)
    return text[text.index("(") :] if "(" in text else ""


def _share_of_rate(row: Row) -> str:
    return wording.share({"value": row["rate"], "lower": row["lower"], "upper": row["upper"]})


def _importance(row: Row) -> str:
    """An importance with its interval; three decimals, since most of them are small."""
    if not wording.known(row["importance"]):
        return "–"
    text = f"{row['importance']:.3f}"
    if wording.known(row["lower"]) and wording.known(row["upper"]):
        text += f" ({row['lower']:.3f} to {row['upper']:.3f})"
    return text.replace("-", "\N{MINUS SIGN}")


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        word.__name__: word
        for word in (
            wording.count,
            wording.day,
            wording.difference,
            wording.line,
            wording.measure,
            wording.number,
            wording.percent,
            wording.points,
            wording.score,
            wording.share,
            wording.size,
        )
    }
    made.filters |= {"bounds": _bounds, "importance": _importance, "share_of_rate": _share_of_rate}
    made.tests["known"] = wording.known
    made.globals |= {
        "VERDICT_WORDS": VERDICT_WORDS,
        "EVIDENCE": EVIDENCE,
        "METHODS": METHODS,
        "NOT_DEFINED": wording.NOT_DEFINED,
        "NOT_ENOUGH": wording.NOT_ENOUGH,
    }
    return made


_TEMPLATES = _environment()
