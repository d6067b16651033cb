"""The verdict on a milestone: two questions answered apart, one table of plain rules, one sentence.

1. *Does it still predict?* The recent effect against the minimum effect, with 95 % certainty (`predicts`).
2. *Has it changed?* The difference to the held-out baseline, inside an error budget for a year (`changed`).

The statistics of both stand in `reports.budget`; this module holds the rules and the words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, get_args

from models.effects import FEWEST_OF_A_CLASS
from reports import wording
from reports.budget import Changed, Predicts

Cause = Literal["mix", "decay"]
Cut = Literal["inside", "outside", "outside_twice", "unknown"]


class Verdict(StrEnum):
    """What a review proposes for a milestone; exactly these five words stand in review.json."""

    HOLD = "hold"
    WATCH = "watch"
    RE_TUNE = "re-tune"
    RETIRE = "retire"
    INSUFFICIENT_DATA = "insufficient_data"


@dataclass(frozen=True)
class Evidence:
    """What a review found out about one milestone; the verdict depends on nothing else.

    `cause` splits a change that is shown and is not read otherwise; `cut` is where the current cut stands
    against the plateau; `better_cut_supported` and `no_twice` ("no" in two reviews running) look at other
    cuts and at the review before; `powered` is False when even a total loss would more likely be missed.
    Raises ValueError on a word that is not in the list.
    """

    predicts: Predicts
    changed: Changed
    cause: Cause | None
    cut: Cut
    better_cut_supported: bool
    no_twice: bool
    powered: bool

    def __post_init__(self) -> None:
        allowed: tuple[tuple[str, object, tuple[object, ...]], ...] = (
            ("predicts", self.predicts, get_args(Predicts)),
            ("changed", self.changed, get_args(Changed)),
            ("cause", self.cause, (*get_args(Cause), None)),
            ("cut", self.cut, get_args(Cut)),
        )
        for name, value, words in allowed:
            if value not in words:
                raise ValueError(f"evidence {name} {value!r} is none of {', '.join(map(str, words))}")


# The rules. The first that matches gives the verdict.


def _insufficient(evidence: Evidence) -> bool:
    # Too little data is no verdict on what was called all the same: a "yes", a "no", a change or a better cut is an answer.
    called = evidence.predicts in ("yes", "no") or evidence.changed == "shown" or _re_tune(evidence)
    return evidence.predicts == "unknown" or not (evidence.powered or called)


def _retire(evidence: Evidence) -> bool:
    return evidence.predicts == "no" and evidence.no_twice and not evidence.better_cut_supported


def _re_tune(evidence: Evidence) -> bool:
    # Another mix of customers moves the effect without the cut being wrong: alone no reason to re-tune.
    moved = evidence.changed == "shown" and evidence.cause != "mix"
    return evidence.better_cut_supported and (moved or evidence.cut == "outside_twice")


def _hold(evidence: Evidence) -> bool:
    return evidence.predicts == "yes" and evidence.changed == "not_shown" and evidence.cut == "inside"


def _watch(evidence: Evidence) -> bool:
    return bool(reasons_to_watch(evidence))


RULES: tuple[tuple[Verdict, Callable[[Evidence], bool]], ...] = (
    (Verdict.INSUFFICIENT_DATA, _insufficient),
    (Verdict.RETIRE, _retire),
    (Verdict.RE_TUNE, _re_tune),
    (Verdict.HOLD, _hold),
    (Verdict.WATCH, _watch),
)


def verdict(evidence: Evidence) -> Verdict:
    """The first rule of `RULES` that matches; together they cover every evidence that can be built."""
    return next(word for word, rule in RULES if rule(evidence))


def reasons_to_watch(evidence: Evidence, moved: str = "changed") -> tuple[str, ...]:
    """Everything that stands between this evidence and HOLD, in words; empty exactly where it holds.

    `moved` says which way an effect that has changed did: "grown" or "fallen" where that is known.
    """
    found = (
        (evidence.predicts == "unclear", "whether it still predicts is unclear"),
        (evidence.predicts == "no", "its effect is below the minimum"),
        (evidence.predicts == "unknown", "whether it still predicts is not known"),
        (
            evidence.changed == "shown" and evidence.cause == "mix",
            f"its effect has {moved} with the mix of customers",
        ),
        (evidence.changed == "shown" and evidence.cause != "mix", f"its effect has {moved}"),
        (evidence.changed == "unknown", "there is no held-out baseline to compare it with"),
        (evidence.cut == "outside", "the cut is outside the plateau"),
        (evidence.cut == "outside_twice", "the cut is outside the plateau for the second review running"),
        (evidence.cut == "unknown", "there is no plateau to compare the cut with"),
    )
    return tuple(reason for holds, reason in found if holds)


# The sentence.


def sentence(milestone: Mapping[str, Any]) -> str:
    """The verdict of a milestone of review.json in plain words with its figures; any key may be missing."""
    write = _SENTENCES.get(str(milestone.get("verdict")))
    if write is None:
        return "No verdict was reached."
    text = write(milestone)
    return text[:1].upper() + text[1:]


def _recent(milestone: Mapping[str, Any]) -> str:
    """What the verdict rests on: "+17.1 points (8.6 to 25.3) in 2024Q1 and 2024Q2, n = 800 accounts"."""
    recent = milestone.get("recent") or {}
    text = wording.difference(recent)
    if recent.get("quarters"):
        text += f" in {_listed([wording.line(quarter, 12) for quarter in recent['quarters']])}"
    n = recent.get("n_accounts")
    return f"{text}, n = {wording.count(n)} accounts" if wording.known(n) else text


def _against_expected(milestone: Mapping[str, Any]) -> str:
    expected = milestone.get("expected")
    if not expected or not wording.known(expected.get("value")):
        return ""
    return f"; {wording.points(expected['value'])} were expected at adoption"


def _moved(milestone: Mapping[str, Any]) -> str:
    found = [(milestone.get(key) or {}).get("value") for key in ("recent", "baseline")]
    known = [value for value in found if value is not None and wording.known(value)]
    if len(known) < 2:
        return "changed"
    return "grown" if known[0] > known[1] else "fallen"


def _mix(milestone: Mapping[str, Any]) -> str:
    """What other customers have to do with a change that is shown, in a sentence; empty where nothing is known of it."""
    mix = milestone.get("mix") or {}
    if (milestone.get("evidence") or {}).get("changed") != "shown" or not wording.known(mix.get("value")):
        return ""
    return f" Other customers alone would have moved it by {wording.difference(mix)}."


def _listed(parts: Sequence[str]) -> str:
    """("a", "b", "c") -> "a, b, and c"."""
    if len(parts) < 3:
        return " and ".join(parts)
    return f"{', '.join(parts[:-1])}, and {parts[-1]}"


def _cut(milestone: Mapping[str, Any]) -> str:
    threshold = milestone.get("threshold") or {}
    plateau = threshold.get("plateau")
    cut = (
        f"the cut of {wording.number(threshold['current'])}"
        if wording.known(threshold.get("current"))
        else "the cut"
    )
    if not plateau:
        return cut
    ends = dict.fromkeys(wording.number(end) for end in plateau)
    return f"{cut} is inside the plateau ({' to '.join(ends)})"


def _hold_sentence(milestone: Mapping[str, Any]) -> str:
    outcome = wording.line(milestone.get("outcome") or "its outcome")
    cut = _cut(milestone)
    return (
        f"still predicts {outcome}: {_recent(milestone)}{_against_expected(milestone)}. "
        f"No change is shown, and {cut if 'inside' in cut else cut + ' is inside the plateau'}."
    )


def _watch_sentence(milestone: Mapping[str, Any]) -> str:
    known = {key: value for key, value in (milestone.get("evidence") or {}).items() if value is not None}
    quiet: dict[str, Any] = {  # what is not recorded is not given as a reason
        "predicts": "yes",
        "changed": "not_shown",
        "cause": None,
        "cut": "inside",
        "better_cut_supported": False,
        "no_twice": False,
        "powered": True,
    }
    evidence = Evidence(**(quiet | {key: known[key] for key in quiet if key in known}))
    reasons = reasons_to_watch(evidence, _moved(milestone))
    why = _listed(reasons) if reasons else "not everything needed to hold is shown"
    minimum = milestone.get("minimum_effect")
    floor = f" The minimum effect is {wording.size(minimum)}." if wording.known(minimum) else ""
    return f"{why}: {_recent(milestone)}{_against_expected(milestone)}.{_mix(milestone)}{floor}"


def _re_tune_sentence(milestone: Mapping[str, Any]) -> str:
    evidence = milestone.get("evidence") or {}
    operating = (milestone.get("threshold") or {}).get("operating_cut") or {}
    cut = wording.number(operating.get("value"), "another value")
    if evidence.get("changed") == "shown" and evidence.get("cause") != "mix":
        why = f"its effect has {_moved(milestone)}: {_recent(milestone)}{_against_expected(milestone)}"
    else:
        why = f"its cut is outside the plateau for the second review running ({_recent(milestone)})"
    return f"{why}.{_mix(milestone)} A cut of {cut} is supported out of sample."


def _retire_sentence(milestone: Mapping[str, Any]) -> str:
    minimum = wording.size(milestone.get("minimum_effect"), "its minimum")
    now = _recent(milestone)
    return (
        f"in two reviews running its effect was below {minimum}: now {now}. No other cut says clearly more."
    )


def _insufficient_sentence(milestone: Mapping[str, Any]) -> str:
    smallest, accounts = milestone.get("smallest_detectable"), milestone.get("accounts_to_decide")
    known = {key: wording.known((milestone.get(key) or {}).get("value")) for key in ("recent", "realised")}
    if known["realised"] and not known["recent"]:
        text = f"too few accounts had the rarer outcome to judge it: at least {FEWEST_OF_A_CLASS} are needed."
    elif not known["recent"]:
        text = "no cohort has matured since it was chosen, so there is nothing to judge it by yet."
    elif not wording.known(milestone.get("minimum_effect")):
        text = f"no minimum effect is defined, so {_recent(milestone)} cannot be called enough or too little."
    else:
        text = "too little is mature to judge it: even a total loss would more likely be missed than seen."
    if wording.known(smallest):
        text += f" The smallest change that had an even chance of being seen is {wording.size(smallest)}."
    if wording.known(accounts):
        text += f" About {wording.count(accounts)} accounts would decide."
    if milestone.get("next_matures"):
        text += f" The next cohort matures on {wording.day(milestone['next_matures'])}."
    return text


_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    Verdict.HOLD: _hold_sentence,
    Verdict.WATCH: _watch_sentence,
    Verdict.RE_TUNE: _re_tune_sentence,
    Verdict.RETIRE: _retire_sentence,
    Verdict.INSUFFICIENT_DATA: _insufficient_sentence,
}
