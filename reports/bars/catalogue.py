"""Every bar, one a line of the scoreboard, and the worlds of the table of truths and verdicts."""

from collections.abc import Mapping
from functools import partial

from reports.bars.audits import (
    alarms,
    all_found,
    any_alarm,
    replayed,
    replays,
    reviewed_again,
    same_as_then,
    says_what_moved,
)
from reports.bars.bar import Bar, Experiment, Target
from reports.bars.confounding import (
    count_per_seat,
    covers_one,
    effects_without_any,
    flagged,
    naive_is_labelled,
    raw_count,
)
from reports.bars.rankings import driver_leads, niche_is_told, ranked, ubiquitous_is_told
from reports.bars.reviews import (
    as_expected,
    called_mix,
    changed_within_a_year,
    each_hold,
    each_insufficient,
    ever_re_tune,
    reviewed,
    reviewed_after_sweep,
    shown_by_the_second_quarter,
)
from reports.bars.thresholds import (
    found_within_one,
    is_gradual,
    is_gradual_with_plateau,
    is_nothing,
    is_step,
    says_no_effect_above,
    says_what_could_be_seen,
    significant,
    swept,
    swept_noise,
)


def at_least(share: float) -> Target:
    """At least this share of trials."""
    return Target("at least", share)


def at_most(share: float) -> Target:
    """At most this share of trials."""
    return Target("at most", share)


TRUTHS = ("step", "smooth", "null")
SIZES = (500, 2000, 20_000)
TABLE: Mapping[tuple[str, int], Experiment] = {
    (truth, n): partial(swept, truth, n) for truth in TRUTHS for n in SIZES
}
STEP, SMOOTH, NULL = (TABLE[truth, 2000] for truth in TRUTHS)
NOISE = {n: partial(swept_noise, n) for n in (200, 1000, 5000)}
STATIONARY = partial(reviewed, "stationary", None)
DECAY = partial(reviewed, "decay", None)
MISPLACED = partial(reviewed, "stationary", None, at_least=12)
SWEPT_STATIONARY = partial(reviewed_after_sweep, "stationary")
SWEPT_NULL = partial(reviewed_after_sweep, "null")
RANKED, RANKED_WITH_TWIN = partial(ranked, twin=False), partial(ranked, twin=True)

BARS: tuple[Bar, ...] = (
    Bar(1, "common step", "a step from 70 to 85 % at 6, n = 2,000: the best cut is 5 to 7", at_least(0.95), STEP, partial(found_within_one, 6.0)),
    Bar(1, "rare step", "the same at 15, which one in eight reaches: the best cut is 14 to 16", at_least(0.80), partial(swept, "rare-cut", 2000), partial(found_within_one, 15.0)),
    Bar(2, "noise, n = 200", "50 features that say nothing: something is supported after the correction", at_most(0.08), NOISE[200], significant),
    Bar(2, "noise, n = 1,000", "the same", at_most(0.08), NOISE[1000], significant),
    Bar(2, "noise, n = 5,000", "the same", at_most(0.08), NOISE[5000], significant),
    Bar(3, "smooth", "no jump, n = 2,000: the verdict is gradual, with a plateau of more than one cut", at_least(0.90), SMOOTH, is_gradual_with_plateau),
    Bar(4, "immortal time, naive", "no effect, a fifth leaves by day 180: the naive figure is shown, labelled, and flatters", at_least(0.95), effects_without_any, naive_is_labelled),
    Bar(4, "immortal time, fair", "the same: the interval of the risk ratio at the landmark holds 1", at_least(0.93), effects_without_any, covers_one),
    Bar(5, "size, raw count", "seats drive volume and retention: the raw count is flagged as explained by size", at_least(0.90), raw_count, flagged),
    Bar(5, "size, per seat", "the same: the count per seat is flagged", at_most(0.10), count_per_seat, flagged),
    Bar(6, "leaks", "weekly sums, backfilled rows, a column set after churn: an alarm for each of the three", at_least(0.95), partial(alarms, "leaky"), all_found),
    Bar(6, "clean twin", "the same company without leaks: any alarm", at_most(0.05), partial(alarms, "leaky-clean"), any_alarm),
    Bar(7, "matrix as known then", "after a backfill the matrix as known then is the same bytes, and today's is not", at_least(0.95), replayed, replays),
    Bar(7, "review as known then", "after a backfill the review as known then is the same bytes", at_least(0.95), reviewed_again, same_as_then),
    Bar(7, "what moved", "after a backfill the newest review says how many accounts were restated, and what moved", at_least(0.95), reviewed_again, says_what_moved),
    Bar(8, "stationary, RE-TUNE", "8 quarters of 400 accounts, always +15 points: any review says RE-TUNE", at_most(0.05), STATIONARY, ever_re_tune),
    Bar(8, "stationary, HOLD", "the same: reviews that say HOLD", at_least(0.75), STATIONARY, each_hold),
    Bar(8, "misplaced, RE-TUNE", "the same, adopted at 12 where the step is at 6: any review says RE-TUNE", at_least(0.80), MISPLACED, ever_re_tune),
    Bar(8, "swept, RE-TUNE", "the best cut of all that is explored on quarters 1 to 4: any review says RE-TUNE", at_most(0.05), SWEPT_STATIONARY, ever_re_tune),
    Bar(8, "swept, changed", "the same: a change is shown within a year of reviews", at_most(0.05), SWEPT_STATIONARY, changed_within_a_year),
    Bar(8, "swept, expected", "the same: what came after cannot be told from what was expected", at_least(0.93), SWEPT_STATIONARY, as_expected),
    Bar(8, "swept null, RE-TUNE", "the same where nothing works: any review says RE-TUNE", at_most(0.05), SWEPT_NULL, ever_re_tune),
    Bar(8, "swept null, changed", "the same: a change is shown within a year of reviews", at_most(0.05), SWEPT_NULL, changed_within_a_year),
    Bar(8, "swept null, expected", "the same: what came after cannot be told from what was expected", at_least(0.93), SWEPT_NULL, as_expected),
    Bar(8, "decay", "+15 points end: the change is shown by the second quarter after", at_least(0.80), DECAY, shown_by_the_second_quarter),
    Bar(8, "mix shift", "only the customers change, by plan: a change that is shown is called one of mix", at_least(0.90), partial(reviewed, "mix-shift", None), called_mix),
    Bar(8, "decay is no mix", "+15 points end: a change that is shown is called one of mix", at_most(0.10), DECAY, called_mix),
    Bar(8, "too small", "10 accounts a quarter: reviews that say INSUFFICIENT DATA", at_least(0.95), partial(reviewed, "stationary", 160), each_insufficient),
    Bar(9, "ubiquitous", "97 % use it: classed as ubiquitous, which proposes no milestone", at_least(0.95), RANKED, ubiquitous_is_told),
    Bar(9, "niche", "3 % use it, and stay: classed as niche, which proposes no milestone", at_least(0.95), RANKED, niche_is_told),
    Bar(9, "driver", "40 % use it, and stay: representative, and among the three most important of 50", at_least(0.95), RANKED, driver_leads),
    Bar(9, "twin", "the same beside a twin at r = .95, which must not push it out", at_least(0.95), RANKED_WITH_TWIN, driver_leads),
    Bar(10, "tiny", "160 accounts, nothing to find: no milestone, and what could not have been seen or is lacking", at_least(0.92), partial(swept, "tiny", None), says_what_could_be_seen),
    Bar(10, "null, n = 500", "nothing works: no milestone, and which effect could not have been seen", at_least(0.92), TABLE["null", 500], says_what_could_be_seen),
    Bar(10, "null, n = 20,000", "the same: no effect above a size that is said", at_least(0.92), TABLE["null", 20_000], says_no_effect_above),
    Bar(11, "step is a threshold", "n = 2,000", at_least(0.90), STEP, is_step),
    Bar(11, "smooth is gradual", "n = 2,000", at_least(0.90), SMOOTH, is_gradual),
    Bar(11, "null is none", "n = 2,000", at_least(0.92), NULL, is_nothing),
)  # fmt: skip
