"""The Pareto front of joint definitions: chosen on the earlier quarters, measured once on the fresh ones.

The best of many definitions looks better than it is on the quarters that chose it. So the whole front is measured again
on accounts of later quarters, which chose nothing, and both figures stand side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from features.arrays import Flags
from models.definitions import full_words, reached
from models.estimates import Estimate, stratified_phi, stratified_risk_difference
from models.joint import Judge, Rows, Score, corrected_p
from models.milestones import Rule
from models.permutations import ALPHA
from models.plateau import phi_gain

Verdict: TypeAlias = Literal["supported", "none", "insufficient_data"]


@dataclass(frozen=True)
class Placed:
    """A definition with what it was worth where it was chosen, and what it is on fresh accounts (None: not to be told).

    distance: the share of the accounts that choose which stand on the other side by the definition in use. effect: the
    risk difference within quarters, on fresh accounts.
    """

    rule: Rule
    score: Score
    distance: float
    phi_fresh: Estimate | None = None
    effect_fresh: Estimate | None = None
    adoption_fresh: float | None = None


@dataclass(frozen=True)
class Front:
    """What a search found. `recommended` is a place on the front, None where nothing is supported.

    current: the definition in use; None where too few accounts can choose, and nothing was measured. gain: phi of the
    recommended definition less that of the one in use, on fresh accounts.
    """

    verdict: Verdict
    sentence: str
    current: Placed | None = None
    placed: tuple[Placed, ...] = ()
    recommended: int | None = None
    p_corrected: float | None = None
    gain: Estimate | None = None


def pareto(scores: Sequence[Score]) -> list[int]:
    """The places of the feasible scores with a positive phi that no other beats in phi and balance, by falling phi.

    Of equals the first.
    """
    able = [i for i, score in enumerate(scores) if score.feasible and score.phi > 0]
    found: list[int] = []
    balance = -np.inf
    for i in sorted(able, key=lambda i: (-scores[i].phi, -scores[i].balance, i)):
        if scores[i].balance > balance:
            found.append(i)
            balance = scores[i].balance
    return found


def front_of(
    judge: Judge, tried: Sequence[tuple[Rule, Score]], current: Rule, fresh: Rows, rng: np.random.Generator
) -> Front:
    """The front of what was tried, its evidence, and its figures on fresh accounts, which are looked at here and only here."""
    rows, in_use = judge.rows, reached(current, judge.rows.parts)

    def placed(rule: Rule, score: Score) -> Placed:
        distance = float((reached(rule, rows.parts) != in_use).mean())
        return _measured(Placed(rule, score, distance), fresh)

    now = placed(current, judge.score_of(current))
    able = [rule for rule, score in tried if score.feasible]
    if not able:
        return Front("none", "No definition leaves enough accounts on both sides.", now)
    p = corrected_p(able, rows, rng)
    front = tuple(placed(*tried[i]) for i in pareto([score for _, score in tried]))
    if p >= ALPHA or not front:
        best = max(score.phi for _, score in tried if score.feasible)
        return Front("none", _none_sentence(len(able), best, p, len(rows)), now, front, None, p)
    chosen = _recommended(front, judge.band)
    gain = _gain(front[chosen].rule, current, fresh, rng)
    sentence = _sentence(front[chosen], now, gain, p, judge.band)
    return Front("supported", sentence, now, front, chosen, p, gain)


def insufficient(why: str) -> Front:
    """What is said where too few accounts can choose: nothing was measured, not of the definition in use either."""
    return Front("insufficient_data", f"Insufficient data: {why}.")


def _measured(one: Placed, fresh: Rows) -> Placed:
    if fresh.lacking:
        return one
    split = reached(one.rule, fresh.parts)
    return Placed(
        one.rule, one.score, one.distance,
        stratified_phi(split, fresh.outcome, fresh.block),
        stratified_risk_difference(split, fresh.outcome, fresh.block),
        float(split.mean()),
    )  # fmt: skip


def _recommended(front: Sequence[Placed], band: tuple[float, float]) -> int:
    """Of the definitions within the band of adoption the one with the highest phi where it was chosen; else of all.

    The fresh figures have no say: they would be chosen on, too.
    """
    useful = [i for i, one in enumerate(front) if band[0] <= one.score.adoption <= band[1]]
    return max(useful or range(len(front)), key=lambda i: front[i].score.phi)


def _gain(rule: Rule, current: Rule, fresh: Rows, rng: np.random.Generator) -> Estimate | None:
    if fresh.lacking:
        return None
    splits: list[Flags] = [reached(one, fresh.parts) for one in (rule, current)]
    return phi_gain(splits[0], splits[1], fresh.outcome, fresh.block, rng)


def _none_sentence(n_tried: int, best: float, p: float, n: int) -> str:
    return (
        f"No joint definition is supported: the best of {n_tried:,} has phi {best:.3f} on {n:,} accounts, and as much is"
        f" reached by chance in {p:.0%} of shuffles."
    )


def _sentence(chosen: Placed, now: Placed, gain: Estimate | None, p: float, band: tuple[float, float]) -> str:
    score = chosen.score
    text = f"Supported (corrected p = {p:.3f}): {full_words(chosen.rule)}. Phi {score.phi:.3f} where it was chosen"
    text += f", {_said(chosen.phi_fresh)}; {score.adoption:.0%} of accounts reach it."
    if not band[0] <= score.adoption <= band[1]:
        text += " No definition on the front has useful adoption."
    if not chosen.distance:
        return text + " It is the definition in use."
    text += f" The definition in use: phi {now.score.phi:.3f} there, {_said(now.phi_fresh)}."
    if gain is None:
        return text
    better = "better" if gain.lower > 0 else "worse" if gain.upper < 0 else "not told apart"
    return text + f" On fresh accounts the difference is {_interval(gain)}: {better}."


def _said(fresh: Estimate | None) -> str:
    return "not measured on fresh quarters" if fresh is None else f"{_interval(fresh)} on fresh quarters"


def _interval(one: Estimate) -> str:
    return f"{one.value:.3f} ({one.lower:.3f} to {one.upper:.3f})"
