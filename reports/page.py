"""The page of a review: one self-contained HTML file, a pure function of review.json, decisions and links.

No clock, no file but the templates beside this module, no request from the page. Every text of the review is
taken as hostile and escaped; the drawings are the only markup that is passed through, and escape their own.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from jinja2 import Environment
from markupsafe import Markup

from models.evaluation import LABELS
from models.evaluation import label as model_label
from reports import figures, glossary, wording
from reports.environment import environment
from reports.shape import complete
from reports.sparklines import sparkline

Row: TypeAlias = Mapping[str, Any]


def drawn(review: Row) -> Row:
    """The review with its figures, which are most of the work: what a page is made of, whoever decides or links."""
    whole = complete(review)
    for i, milestone in enumerate(whole["milestones"]):
        milestone |= {"key": f"m{i + 1}", "groups": _effects(milestone["effects"])}
        milestone["spark"] = Markup(sparkline(milestone))
        milestone["history_figure"] = _history(milestone, whole["annotations"])
        milestone["curve_figure"] = _curve(milestone)
        milestone["marks"] = figures.lettered(whole["annotations"], milestone["name"])
    return {**whole, "drawings": _drawings(whole)}


def html_of(whole: Row, decisions: Row | None = None, links: Row | None = None) -> str:
    """A review that is `drawn` as one HTML file; the same bytes for the same arguments.

    `decisions` is what the meeting decided, {milestone: {decision, by, on, why}} or {milestone: text}, for
    this quarter or under the names of quarters. `links` holds addresses by label, as text or as links.json
    keeps them (path, server); one that is not http, https or a file beside the page is shown, not linked.
    """
    methods = {row["method"] for milestone in whole["milestones"] for row in milestone["effects"]}
    return _TEMPLATES.get_template("review.html").render(
        review=whole,
        drawings=whole["drawings"],
        changes=_changes(whole),
        decided=_decided(whole, decisions or {}),
        links=_links(links or {}),
        models=_models(whole["model"]),
        methods=[words for method, words in glossary.METHODS.items() if method in methods],
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
        label = "AUC of the model and of recency alone per quarter"
        found["model"] = _drawn(figures.model_history(review["model"]), "model", label)
    if any(wording.known(row["importance"]) and wording.known(row["adoption"]) for row in review["ranking"]):
        label = "Importance of features against their adoption"
        found["ranking"] = _drawn(figures.ranking(review["ranking"]), "ranking", label)
    return found


def _effects(effects: Sequence[Row]) -> list[dict[str, Any]]:
    """Effect records in groups of one outcome, primary first; differences first, naive beside fair."""
    main = next((row["outcome"] for row in effects if row["primary"]), None)
    order = [*glossary.METHODS, None]

    def rank(row: Row) -> tuple[bool, str, bool, int]:
        method = row["method"] if row["method"] in glossary.METHODS else None
        differs = row["measure"] != "risk_difference"
        return row["outcome"] != main, _outcome(row), differs, order.index(method)

    groups: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(effects, key=rank):
        group = groups.setdefault(_outcome(row), [])
        label, meaning = glossary.METHODS.get(row["method"], (row["method"] or wording.NOT_DEFINED, ""))
        said = any(other["method"] == row["method"] for other in group)  # explained once
        words = {
            "label": label,
            "meaning": "" if said else meaning,
            "scale": _scale(row),
            "text": wording.measure(row),
            "look": _look(row),
        }
        group.append({**row, **words})
    return [{"outcome": outcome, "rows": rows} for outcome, rows in groups.items()]


def _scale(effect: Row) -> str:
    measure = glossary.MEASURES.get(effect["measure"], effect["measure"] or wording.NOT_DEFINED)
    return f"{measure}, by {effect['weighted_by']}" if effect["weighted_by"] else str(measure)


def _look(effect: Row) -> str:
    """The shade of a row: the fair comparison over all held-out quarters, or the naive one."""
    if effect["method"] == "naive":
        return "naive"
    fair = effect["primary"] and effect["measure"] == "risk_difference" and not effect["weighted_by"]
    return "fair" if fair else ""


def _outcome(effect: Row) -> str:
    """What an effect is on: "retained, within 180 days of day 90"."""
    text = wording.line(effect["outcome"] or wording.NOT_DEFINED)
    if wording.known(effect["horizon_days"]):
        text += f", within {wording.number(effect['horizon_days'])} days"
        if wording.known(effect["landmark_day"]):
            text += f" of day {wording.number(effect['landmark_day'])} after signup"
    return text


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


def _decided(review: Row, decisions: Row) -> list[dict[str, Any]]:
    """The decision on each milestone that has one."""
    quarter = decisions.get(str(review["quarter"]))
    scope = quarter if isinstance(quarter, Mapping) else decisions
    found = []
    for milestone in review["milestones"]:
        given = scope.get(str(milestone["name"]))
        record = given if isinstance(given, Mapping) else {"decision": given}
        if record.get("decision"):
            found.append(
                {"name": milestone["name"]}
                | {key: record.get(key) for key in ("decision", "by", "on", "why")}
            )
    return found


def _links(links: Row, within: str = "") -> list[tuple[str, str, bool]]:
    """(label, address, whether it may be linked) of everything under `links`, however deep."""
    found = []
    for label, link in links.items():
        name = wording.line(f"{within}{label}", 200)
        if isinstance(link, Mapping) and "path" in link:
            # In a record without a server a path leads nowhere by itself: the run's name is what helps.
            server, run = link.get("server"), wording.line(link.get("run_id") or link["path"], 80)
            found.append((name, *(_address(f"{server}/{link['path']}") if server else (f"run {run}", False))))
        elif isinstance(link, Mapping):
            found += _links(link, f"{name}, ")
        elif link:
            found.append((name, *_address(link)))
    return found


def _address(link: Any) -> tuple[str, bool]:
    """An address and whether it may be linked: javascript: is text, and so is a mere fragment."""
    text = wording.line(link, 2000)
    try:
        scheme = urlsplit(text).scheme.lower()
    except ValueError:
        return text, False
    return text, scheme in ("http", "https") or (not scheme and not text.startswith(("#", "//")))


def _models(model: Row) -> list[tuple[str, Row]]:
    """The AUC of each model that was tried, the main one first, then what it has to beat."""
    main = model.get("name") or "random_forest"
    overall = {name: auc for name, auc in model["overall"].items() if auc and wording.known(auc.get("value"))}
    order = dict.fromkeys([main, *LABELS, *overall])
    return [
        (glossary.model_words(name), overall.get(name, {"value": None, "n": None}))
        for name in order
        if name == main or name in overall
    ]


def _moved(row: Row, key: str) -> str:
    """What a headline number was, or is, in its own unit."""
    what, value = row["what"], row[key]
    if what == "verdict":
        return glossary.VERDICT_WORDS.get(str(value), wording.NOT_ENOUGH)
    if isinstance(value, list):
        ends = [wording.number(end) for end in value if wording.known(end)]
        return " to ".join(dict.fromkeys(ends)) or wording.NOT_DEFINED
    if not wording.known(value):
        return wording.NOT_DEFINED if what in ("plateau", "operating cut") else wording.NOT_ENOUGH
    if what == "adoption":
        return f"{100 * value:.1f} %"  # with the decimal that may be all that moved
    return wording.points(value) if str(what).endswith("effect") else wording.number(value)


def _bounds(record: Row) -> str:
    """The interval of a difference alone: "(8.1 to 15.6)"."""
    text = wording.difference(record)
    return text[text.index("(") :] if "(" in text else ""


def _share_of_rate(row: Row) -> str:
    return wording.share({"value": row["rate"], "lower": row["lower"], "upper": row["upper"]})


def _importance(row: Row) -> str:
    return wording.score({**row, "value": row["importance"]}, "–", 3)


def _environment() -> Environment:
    made = environment()
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
    made.filters |= {"model_words": glossary.model_words, "model_label": model_label}
    made.filters |= {
        "bounds": _bounds,
        "moved": _moved,
        "importance": _importance,
        "share_of_rate": _share_of_rate,
    }
    made.tests["known"] = wording.known
    made.globals |= {
        "VERDICT_WORDS": glossary.VERDICT_WORDS,
        "EVIDENCE": glossary.EVIDENCE,
        "CUTS": glossary.CUTS,
        "SWEEPS": glossary.SWEEPS,
        "NOT_DEFINED": wording.NOT_DEFINED,
        "NOT_ENOUGH": wording.NOT_ENOUGH,
    }
    return made


_TEMPLATES = _environment()
