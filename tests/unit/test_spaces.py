"""Spaces of joint definitions: how many there are, that the framework accepts each, and who reaches it."""

from math import comb

import numpy as np
import pytest

from features.arrays import Floats
from features.windows import Window
from models.definitions import full_words, parts_of, reached
from models.milestones import CountRule, LevelsRule, Milestone, StepsRule
from models.spaces import COUNT_SHARES, CountSpace, LevelsSpace, definitions, lattice, measures, space_of

STEPS = StepsRule(steps=("install", "connect", "invite", "import"), window_days=30, at_least=3)
LEVELS = LevelsRule.model_validate(
    {
        "categories": {
            "automation": {"events": ["reply"], "basic": 2, "mature": 20},
            "reporting": {
                "events": ["report"],
                "mature": 5,
                "mature_states": [{"state": "sso", "equals": "on"}],
            },
            "operations": {"mature_states": [{"state": "tags", "at_least": 3}]},
        },
        "window_days": 90,
        "at_least": 2,
    }
)


def _parts(milestone: Milestone, n: int = 400) -> dict[str, Floats]:
    rng = np.random.default_rng(1)
    landmark = milestone.rule.window_days if milestone.kind == "once" else None
    columns = [
        column for rule in measures(milestone, (), has_seats=True) for column in parts_of(rule, landmark)
    ]
    flags = [c for c in columns if "step|" in c or "settings|" in c]
    return {
        c: rng.binomial(1, 0.5, n).astype(float) if c in flags else rng.poisson(8, n).astype(float)
        for c in columns
    }


def test_every_set_of_at_least_two_steps_and_every_number_of_them_is_a_definition_once() -> None:
    milestone = Milestone(kind="once", rule=STEPS)
    space = space_of(milestone, measures(milestone, (), has_seats=True), {}, 20)
    found = [rule for _, rule in definitions(space)]
    # of the sets of m steps there are comb(4, m), each with "at least 1" to "at least m"
    assert len(found) == sum(m * comb(4, m) for m in (2, 3, 4)) == 28
    assert lattice(space) == 2**4 * 4
    assert STEPS in found
    assert all(Milestone.model_validate({"kind": "once", "rule": rule.model_dump()}) for rule in found)


def test_a_count_is_tried_of_every_event_in_every_window_that_can_be_compared() -> None:
    rule = CountRule(events=("a", "b"), window_days=45, at_least=7)
    once = measures(Milestone(kind="once", rule=rule), [("a",), ("b", "a"), ("c",)], has_seats=True)
    kinds = {(one.events, one.window_days, one.per_seat) for one in once if isinstance(one, CountRule)}
    # No window reaches beyond the landmark, day 45, and nothing reached once is per seat.
    assert kinds == {(e, w, False) for e in (("a", "b"), ("a",), ("c",)) for w in (14, 30, 45)}
    for has_seats, seats in ((True, {False, True}), (False, {False})):
        state = measures(Milestone(kind="state", rule=rule), [("a",)], has_seats=has_seats)
        assert {one.window_days for one in state} == {45, 60, 90}
        assert {one.per_seat for one in state if isinstance(one, CountRule)} == seats


def test_a_shorter_window_of_what_is_reached_once_begins_at_signup() -> None:
    short = CountRule(events=("a",), window_days=30, at_least=1)
    (at_landmark,) = parts_of(short, 90).values()
    (at_close,) = parts_of(short).values()
    assert at_landmark.window == Window(-90, -60)  # the first 30 of 90 days
    assert at_close.window == Window(-30, 0)


def test_cuts_of_a_count_lie_at_the_shares_aimed_at_and_leave_support() -> None:
    milestone = Milestone(kind="once", rule=CountRule(events=("a",), window_days=7, at_least=3))
    parts = _parts(milestone)
    space = space_of(milestone, measures(milestone, (), has_seats=True), parts, 20)
    assert isinstance(space, CountSpace)
    (cuts,) = space.cuts.values()
    (values,) = parts.values()
    shares = [(values >= cut).mean() for cut in cuts]
    assert len(cuts) == len(COUNT_SHARES)
    assert shares == sorted(shares)  # aimed at rising shares
    assert all(20 <= (values >= cut).sum() <= 380 for cut in cuts)
    # No other achievable cut is nearer to half of the accounts.
    half = COUNT_SHARES.index(0.5)
    assert abs(shares[half] - 0.5) == min(abs((values >= cut).mean() - 0.5) for cut in np.unique(values))
    found = [rule for _, rule in definitions(space)]
    assert len(found) == len(set(cuts))
    assert all(Milestone.model_validate({"kind": "once", "rule": rule.model_dump()}) for rule in found)


def test_levels_are_tried_from_the_basic_one_on_with_the_one_in_use() -> None:
    milestone = Milestone(kind="state", rule=LEVELS)
    made = measures(milestone, (), has_seats=True)
    space = space_of(milestone, made, _parts(milestone), 20)
    assert isinstance(space, LevelsSpace)
    assert [rule.window_days for rule in space.rules] == [30, 60, 90]
    for window, of_window in zip((30, 60, 90), space.levels, strict=True):
        automation, reporting, operations = of_window
        assert operations == (None,)  # settings alone have no level
        assert all(level is not None and level >= 2 for level in automation)
        assert (20.0 in automation, 5.0 in reporting) == (window == 90, window == 90)
    found = [rule for _, rule in definitions(space)]
    per_window = [len(a) * len(b) * len(c) * 3 for a, b, c in space.levels]
    assert len(found) == sum(per_window)
    assert LEVELS.model_dump() in [rule.model_dump() for rule in found]
    assert all(Milestone.model_validate({"kind": "state", "rule": rule.model_dump()}) for rule in found)
    assert len({full_words(rule) for rule in found}) == len(found)


def test_no_level_is_below_the_basic_one_though_half_do_less() -> None:
    milestone = Milestone(kind="state", rule=LEVELS)
    some = np.repeat([0.0, 1, 3, 9], [200, 100, 90, 10])
    parts = dict.fromkeys(_parts(milestone), some)
    space = space_of(milestone, measures(milestone, (), has_seats=True), parts, 20)
    assert isinstance(space, LevelsSpace)
    assert [automation for automation, _, _ in space.levels] == [(3.0,), (3.0,), (3.0, 20.0)]


def test_who_reaches_a_definition_by_its_parts() -> None:
    nan = np.nan
    steps = {
        "carried:step|install": np.array([1.0, 1, 0, nan]),
        "carried:step|connect": np.array([1.0, 0, 0, 1]),
        "carried:step|invite": np.array([1.0, 1, 1, 1]),
    }
    two = StepsRule(steps=("install", "connect", "invite"), window_days=30, at_least=2)
    # What could not be used is not done, and does not stop the others from counting.
    assert reached(two, steps).tolist() == [True, True, False, True]
    levels = {
        "carried:use|automation|90": np.array([20.0, 19, 30, nan]),
        "carried:use|reporting|90": np.array([5.0, 9, 9, 9]),
        "carried:settings|reporting|90": np.array([1.0, 1, 0, 1]),
        "carried:settings|operations|90": np.array([0.0, 1, 0, 1]),
    }
    # mature:  automation + reporting | reporting + operations | automation | reporting + operations
    assert reached(LEVELS, levels).tolist() == [True, True, False, True]
    count = CountRule(events=("a",), window_days=30, at_least=3)
    assert reached(count, {"carried:a|30|account": np.array([2.0, 3, nan])}).tolist() == [False, True, False]


def test_the_columns_of_the_parts_are_those_that_are_read() -> None:
    for rule in (STEPS, LEVELS, CountRule(events=("b", "a"), window_days=30, per_seat=True, at_least=1)):
        columns = {column: np.zeros(3) for column in parts_of(rule)}
        assert not reached(rule, columns).any()
        for column in columns:
            with pytest.raises(KeyError):
                reached(rule, {name: values for name, values in columns.items() if name != column})
