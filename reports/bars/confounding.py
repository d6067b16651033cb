"""Bars of fairness: time and size alone make activation look as if it worked, and the fair figure does not."""

from typing import Any

import numpy as np

from models.adjustment import Confounding, confounding
from models.comparison import Comparison
from reports.bars.worlds import World, draw, draw_closes
from reports.effects import effects
from reports.judgement import Judgement, Settings

HORIZON_DAYS = 90
Effects = list[dict[str, Any]]


def effects_without_any(seed: int) -> Effects:
    """The effects that a review shows of activation in a company where nothing works and a fifth leaves by day 180."""
    world = draw("immortal-time", seed, judged=2000, beside=(), horizon_days=HORIZON_DAYS)
    settings = Settings(world.framework.review.adoption_band, 1, seed, world.end)
    return effects(Judgement(world.cohort(defined_on=None), world.end, settings))


def raw_count(seed: int) -> Confounding:
    """What other explanations leave of activation, a count, in a company in which seats drive volume and retention."""
    return _questioned(draw("size-confounded", seed, judged=2000, beside=()), seed)


def count_per_seat(seed: int) -> Confounding:
    """What they leave of utilization, a count per seat, in the same company."""
    return _questioned(draw_closes("size-confounded", seed, "utilization", accounts=1000), seed)


def _questioned(world: World, seed: int) -> Confounding:
    seen = Comparison.of(world.cohort(), world.framework, world.log, world.end)
    return confounding(seen, np.random.default_rng(seed))


def _one(effects: Effects, method: str, measure: str) -> dict[str, Any] | None:
    found = (e for e in effects if (e["method"], e["measure"]) == (method, measure))
    return next((e for e in found if e.get("weighted_by") is None), None)


def naive_is_labelled(effects: Effects) -> list[bool]:
    """Whether the naive difference is shown as one over every sign-up, and flatters more than the fair one."""
    naive, fair = (_one(effects, method, "risk_difference") for method in ("naive", "crude"))
    if naive is None or fair is None:
        return [False]
    return [naive["population"] == "every sign-up" and naive["value"] > fair["value"]]


def covers_one(effects: Effects) -> list[bool]:
    """Whether the interval of the risk ratio at the landmark holds 1."""
    ratio = _one(effects, "crude", "risk_ratio")
    return [] if ratio is None else [ratio["lower"] <= 1 <= ratio["upper"]]


def flagged(found: Confounding) -> list[bool]:
    """Whether the effect is called one of size."""
    return [found.explained_by_size]
