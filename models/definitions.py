"""What a definition is made of: parts that are counted once, so that any definition of them is an array operation.

A joint definition - 3 of 5 categories at levels of their own, any 4 of these 6 setup steps - is a rule like any other.
Its parts are features: how often each category was used, whether each step was done. Asked for once, they answer every
rule that is made of them; a row is an account at one landmark or close.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from features.arrays import Flags, Floats
from features.specs import Aggregation, FeatureSpec, Group
from features.windows import Window
from models.carried import carried
from models.milestones import CountRule, LevelsRule, Rule, StepsRule, number
from models.parts import group_of, words_of


def parts_of(rule: Rule, landmark_days: int | None = None) -> dict[str, FeatureSpec]:
    """The features that any threshold, subset or level of this rule is read from, by column.

    landmark_days: of a milestone reached once, the day after signup on which all definitions are looked at; a shorter
    window is counted from signup on, and not back from the landmark.
    """
    made = _made_of(rule)
    days = rule.window_days
    window = Window(-days) if landmark_days is None else Window(-landmark_days, days - landmark_days)
    return {column: replace(spec, name=column, window=window) for column, spec in made.items()}


def _made_of(rule: Rule) -> dict[str, FeatureSpec]:
    if isinstance(rule, CountRule):
        return {_count(rule): rule.spec(_count(rule))}
    window = Window(-rule.window_days)
    if isinstance(rule, StepsRule):
        groups = {_step(words_of(step)): group_of(step) for step in rule.steps}
    else:
        groups = {
            _settings(name, rule): Group((), states=level.mature_states)
            for name, level in rule.categories.items()
            if level.mature_states
        }
    made = {
        column: FeatureSpec(column, column, Aggregation.GROUPS, window, groups=(group,), unit="0 or 1")
        for column, group in groups.items()
    }
    if isinstance(rule, LevelsRule):
        for name, level in rule.categories.items():
            if level.events:
                column = use_column(name, rule)
                made[column] = FeatureSpec(column, column, Aggregation.COUNT, window, events=level.events)
    return made


def reached(rule: Rule, parts: Mapping[str, Floats]) -> Flags:
    """Whether each account reached the rule, (n,); parts: the columns of `parts_of`, (n,) each.

    A part that an account could not use, or that was not tracked, is missing and not done: as in the score of steps and
    categories.
    """
    if isinstance(rule, CountRule):
        return parts[_count(rule)] >= rule.at_least
    if isinstance(rule, StepsRule):
        done = [parts[_step(words_of(step))] > 0 for step in rule.steps]
    else:
        done = [_is_mature(name, rule, parts) for name in rule.categories]
    return np.asarray(np.sum(done, axis=0) >= rule.at_least)


def full_words(rule: Rule) -> str:
    """A definition for people with all that tells it from others of its space: every step, every level."""
    if isinstance(rule, CountRule):
        return rule.words
    if isinstance(rule, StepsRule):
        what, parts = "steps", [words_of(step) for step in rule.steps]
    else:
        what, parts = "categories", [_level_words(name, rule) for name in rule.categories]
    return (
        f"at least {rule.at_least} of {len(parts)} {what} within {rule.window_days} days: {', '.join(parts)}"
    )


def _level_words(name: str, rule: LevelsRule) -> str:
    level = rule.categories[name]
    return f"{level.words(name)} >= {number(level.mature)}" if level.mature else level.words(name)


def _is_mature(name: str, rule: LevelsRule, parts: Mapping[str, Floats]) -> Flags:
    level = rule.categories[name]
    tests = []
    if level.events:
        tests.append(parts[use_column(name, rule)] >= (level.mature or 1.0))
    if level.mature_states:
        tests.append(parts[_settings(name, rule)] > 0)
    return np.asarray(np.all(tests, axis=0))


def _count(rule: CountRule) -> str:
    """The column of a count; the threshold is no part of it."""
    per = "seat" if rule.per_seat else "account"
    return carried(f"{'+'.join(sorted(rule.events))}|{rule.window_days}|{per}")


def _step(words: str) -> str:
    return carried(f"step|{words}")


def use_column(name: str, rule: LevelsRule) -> str:
    """The column that counts the use of a category."""
    return carried(f"use|{name}|{rule.window_days}")


def _settings(name: str, rule: LevelsRule) -> str:
    return carried(f"settings|{name}|{rule.window_days}")
