"""What was restated: a review made again beside the one that was frozen, row by row and number by number.

Like is held against like: both are looked at as of the day that the frozen one reached to. What merely matured since
was not restated. A worked example: 2024Q3 was frozen with 40 accounts at the activation milestone; in November twelve
events of October come in that the source had lost, and two more accounts turn out to have reached it. Two accounts have
other rows, and adoption moved.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.review import AT_BEGIN, Reviewer

KEYS = ["milestone", "account_id", "as_of", "clock"]
COMPARED = ("status", "score", "outcome", "customer")
SHOWN_DIGITS = 3  # of shares and differences: a page prints tenths of points
NUMBERS = {
    "verdict": ("verdict",),
    "realised effect": ("realised", "value"),
    "recent effect": ("recent", "value"),
    "adoption": ("adoption", "value"),
    "plateau": ("threshold", "plateau"),
    "operating cut": ("threshold", "operating_cut", "value"),
}


@dataclass(frozen=True)
class Restatement:
    """What moved since a review was frozen.

    rows: KEYS (clock: now or proven), for each of COMPARED what it was and is, and `there`: both, was, is. accounts: how
    many have such a row. moved: the headline numbers that are others, as {milestone, what, was, is}.
    """

    accounts: int
    moved: tuple[dict[str, Any], ...]
    rows: pd.DataFrame

    @classmethod
    def nothing(cls) -> "Restatement":
        """Of a review that has no earlier one."""
        columns = [*KEYS, *(f"{name}_{when}" for when in ("was", "is") for name in COMPARED), "there"]
        return cls(0, (), pd.DataFrame(columns=columns, dtype=str))

    def as_dict(self) -> dict[str, Any]:
        """As review.json has it: counts and numbers, and no account."""
        return {"accounts": self.accounts, "moved": list(self.moved)}


def restated(then: Reviewer, published: dict[str, Any], now: Reviewer, quarter: str) -> Restatement:
    """How a review of a quarter that is made now differs from an earlier one and the review.json it was published as."""
    now = _reaching(now, quarter, pd.Timestamp(published["data_through"]), then.seed)
    rows = _differing(_rows(then, quarter), _rows(now, quarter))
    accounts = int(rows["account_id"].nunique())
    # Where every row is the same, a number is another because of the program, and not of the data.
    moved = _moved(published["milestones"], now.milestones(quarter)) if accounts else ()
    return Restatement(accounts, moved, rows)


def _reaching(reviewer: Reviewer, quarter: str, reached: pd.Timestamp, seed: int) -> Reviewer:
    """The reviewer, knowing of no later outcomes than the earlier review did."""
    knows = min(reviewer.proven.known_at(quarter), reviewer.grounds.data_through)
    if knows == reached and reviewer.seed == seed:
        return reviewer
    return Reviewer(reviewer.framework, reviewer.grounds, seed, (quarter, reached))


def _rows(reviewer: Reviewer, quarter: str) -> pd.DataFrame:
    """Where every account stood at the close, and the observations that are proven: KEYS and COMPARED."""
    proven = reviewer.observations(quarter).assign(clock="proven")
    if "reached" in proven:
        proven["status"] = proven.pop("reached").map({True: "reached", False: "not_reached"})
    # Who the customers are decides what of a change is mix.
    told_apart = [proven[column] for column in proven if str(column).startswith(AT_BEGIN)]
    if told_apart:
        words = pd.DataFrame({i: column.astype("string") for i, column in enumerate(told_apart)}).fillna("")
        proven["customer"] = words[0].str.cat(words.drop(columns=0), sep=" | ")
    both = pd.concat([reviewer.accounts(quarter).assign(clock="now"), proven], ignore_index=True)
    return both.reindex(columns=[*KEYS, *COMPARED])


def _differing(then: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The rows of which anything is another; one that is not there has nothing."""
    both = then.merge(now, on=KEYS, how="outer", suffixes=("_was", "_is"), indicator="there")
    both["there"] = both["there"].map({"both": "both", "left_only": "was", "right_only": "is"}).astype(str)
    other = pd.Series(False, index=both.index)
    for name in COMPARED:
        before, after = both[f"{name}_was"], both[f"{name}_is"]
        other |= ~((before == after) | (before.isna() & after.isna())).fillna(False).astype(bool)
    return both[other].reset_index(drop=True)


def _moved(then: list[dict[str, Any]], now: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    after = {milestone["name"]: milestone for milestone in now}
    return tuple(
        {"milestone": before["name"], "what": what, "was": was, "is": is_}
        for before in then
        for what, keys in NUMBERS.items()
        if _as_shown(was := _at(before, keys)) != _as_shown(is_ := _at(after[before["name"]], keys))
    )


def _at(record: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        record = None if record is None else record[key]
    return record


def _as_shown(value: Any) -> Any:
    return round(value, SHOWN_DIGITS) if isinstance(value, float) else value
