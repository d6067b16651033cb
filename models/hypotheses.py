"""What somebody believed before looking, held against the data: a small family of its own, asked before anything is explored.

A belief is about features of the catalogue: whoever has more of one (or less) does better. Nothing is searched for it: no
cut, no window. It is asked as the chance that of two accounts of a quarter the one with the better outcome has more of it.
"""

import fnmatch
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.arrays import Flags, Floats, Integers
from features.specs import FeatureSpec
from models.carried import carried, name_of
from models.contrast import Strata
from models.effects import enough
from models.estimates import Estimate, account_codes, in_points, stratified_risk_difference
from models.framework import Framework, Hypothesis
from models.milestones import DEFAULT_MINIMUM
from models.strata import quarter_codes

Answer = Literal["supported", "refuted", "undecided"]
FAMILY_LEVEL = 0.95  # that no answer of the whole family is wrong
MOST_SAID = 4  # features in a sentence; what more a pattern matches is counted


@dataclass(frozen=True)
class AskedFeature:
    """One feature of a belief: the AUC, and the points between the accounts with more and with less of it, within quarters.

    Both intervals hold for the whole family at once. None where it cannot be asked, for the `reason`.
    """

    feature: str
    auc: Estimate | None
    difference: Estimate | None
    reason: str = ""


@dataclass(frozen=True)
class AnsweredHypothesis:
    """A belief, and what the data say of it."""

    claim: str
    by: str
    direction: str
    answer: Answer
    sentence: str
    asked: tuple[AskedFeature, ...]

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON writes it."""
        return asdict(self)


def believed_specs(framework: Framework, catalogue: Sequence[FeatureSpec]) -> tuple[FeatureSpec, ...]:
    """The features that the framework's hypotheses name, by patterns too, to be asked for together with a milestone."""
    names = [spec.name for spec in catalogue]
    named = {feature for one in framework.review.hypotheses for feature in _named(one, names)}
    return tuple(replace(spec, name=carried(spec.name)) for spec in catalogue if spec.name in named)


def _named(one: Hypothesis, names: Iterable[str]) -> tuple[str, ...]:
    """The features that a belief means, each once; a pattern that matches none stands for itself."""
    known = list(names)
    found = [fnmatch.filter(known, pattern) or [pattern] for pattern in one.features]
    return tuple(dict.fromkeys(name for matching in found for name in matching))


def answer_hypotheses(
    framework: Framework,
    name: str,
    rows: pd.DataFrame,
    specs: Sequence[FeatureSpec],
    minimum: float = DEFAULT_MINIMUM,
) -> tuple[AnsweredHypothesis, ...]:
    """Every hypothesis of the framework against the outcome of one milestone.

    rows: judged observations (account, quarter, outcome, and the columns of `specs`). minimum: the least effect worth
    having; whatever is surely smaller refutes.
    """
    hypotheses = framework.review.hypotheses
    columns = {name_of(spec.name): spec for spec in specs}
    named = [_named(one, columns) for one in hypotheses]
    # Two beliefs about one feature are one question.
    features = dict.fromkeys(feature for each in named for feature in each)
    level = FAMILY_LEVEL ** (1 / max(len(features), 1))  # Sidak 1967
    twice = framework.counted_over_the_same_days(name)
    found = {feature: _ask(feature, columns.get(feature), rows, twice, level) for feature in features}
    return tuple(
        _answered(one, [found[feature] for feature in each], minimum)
        for one, each in zip(hypotheses, named, strict=True)
    )


def _ask(
    feature: str, spec: FeatureSpec | None, rows: pd.DataFrame, twice: frozenset[str], level: float
) -> AskedFeature:
    if spec is None or spec.name not in rows:
        return AskedFeature(feature, None, None, "there is no such feature")
    counted = twice if spec.events is None and spec.counts_events else twice & set(spec.events or ())
    if counted:
        return AskedFeature(
            feature, None, None, f"the outcome counts {', '.join(sorted(counted))} over the same days"
        )
    known = rows[rows[spec.name].notna()]
    if not enough(known):
        return AskedFeature(feature, None, None, "too few accounts of one outcome")
    auc, difference = _auc(known, spec.name, level), _difference(known, spec.name, level)
    if auc is None or difference is None:
        return AskedFeature(feature, None, None, "all accounts are alike in it")
    return AskedFeature(feature, auc, difference)


def _auc(rows: pd.DataFrame, column: str, level: float) -> Estimate | None:
    account, n_accounts = account_codes(rows["account"].to_numpy(np.int64), len(rows))
    strata = Strata(rows["outcome"].to_numpy(bool), quarter_codes(rows), account)
    if not strata.comparable:
        return None
    found = strata.auc(rows[column].to_numpy(np.float64))
    half = float(norm.ppf((1 + level) / 2)) * found.error
    lower, upper = max(found.value - half, 0.0), min(found.value + half, 1.0)
    return Estimate("auc", found.value, lower, upper, len(rows), n_accounts, level)


def _difference(rows: pd.DataFrame, column: str, level: float) -> Estimate | None:
    """Within quarters, as the AUC is: usage and the outcome may both drift."""
    quarter = quarter_codes(rows)
    more = _more(rows[column].to_numpy(np.float64), quarter)
    outcome, account = rows["outcome"].to_numpy(bool), rows["account"].to_numpy(np.int64)
    return stratified_risk_difference(more, outcome, quarter, account, level)


def _more(value: Floats, quarter: Integers) -> Flags:
    """Who has more of it than half of their quarter; where half have none, who has any."""
    more = np.zeros(len(value), dtype=bool)
    for one in np.unique(quarter):
        here = quarter == one
        middle, least = float(np.median(value[here])), float(value[here].min())
        more[here] = value[here] > least if middle == least else value[here] >= middle
    return more


def _answered(one: Hypothesis, asked: list[AskedFeature], minimum: float) -> AnsweredHypothesis:
    sign = 1.0 if one.direction == "positive" else -1.0
    answers = [_answer(each, sign, minimum) for each in asked]
    answer: Answer = "undecided"
    if "supported" in answers and "refuted" not in answers:
        answer = "supported"
    elif "refuted" in answers and "supported" not in answers and "undecided" not in answers:
        answer = "refuted"
    sentence = _sentence(answer, answers, asked, sign, minimum)
    return AnsweredHypothesis(one.claim, one.by, one.direction, answer, sentence, tuple(asked))


def _answer(asked: AskedFeature, sign: float, minimum: float) -> Answer:
    if asked.auc is None or asked.difference is None:
        return "undecided"
    lower, upper = sorted((sign * (asked.auc.lower - 0.5), sign * (asked.auc.upper - 0.5)))
    if lower > 0:
        return "supported"
    return "refuted" if upper < 0 or _most(asked.difference, sign) < minimum else "undecided"


def _most(difference: Estimate, sign: float) -> float:
    """The most that it may be in the direction believed."""
    return max(sign * difference.lower, sign * difference.upper)


def _sentence(
    answer: Answer, answers: list[Answer], asked: list[AskedFeature], sign: float, minimum: float
) -> str:
    why = (
        f", by the opposite or by less than {100 * minimum:g} points for certain"
        if answer == "refuted"
        else ""
    )
    # What decides comes first, then what could be asked at all.
    pairs = sorted(
        zip(asked, answers, strict=True), key=lambda pair: (pair[1] == "undecided", pair[0].auc is None)
    )
    parts = [_part(*pair, sign, minimum) for pair in pairs[:MOST_SAID]]
    if more := Counter(said for _, said in pairs[MOST_SAID:]):
        parts.append(f"of {more.total():,} more, " + ", ".join(f"{n:,} {said}" for said, n in more.items()))
    return f"{answer}{why}. " + "; ".join(parts or ["it names no feature: nothing to ask"]) + "."


def _part(each: AskedFeature, said: Answer, sign: float, minimum: float) -> str:
    if each.auc is None or each.difference is None:
        return f"{each.feature} cannot be asked: {each.reason}"
    points = each.difference
    small = said == "supported" and _most(points, sign) < minimum
    but = f", but less than {100 * minimum:g} points for certain" if small else ""
    return (
        f"{each.feature} {said}{but}: more of it goes with {in_points(**points.brief())}, AUC {each.auc.value:.2f}"
        f" ({each.auc.lower:.2f} to {each.auc.upper:.2f}) within quarters"
    )
