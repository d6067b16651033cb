"""Two versions of a framework side by side: what changed in words, and which accounts it moves, in counts."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.document import content_hash
from features.log import Log
from features.phrases import state_phrase
from features.progress import ProgressCallback
from features.workspace import Workspace
from models.standing import NOT_REACHED, REACHED
from models.status import OPEN, closes, statuses
from models.versions import Version, open_for

Row = dict[str, Any]
# What keys of a milestone are called; the others go by their own names.
WORDS: Mapping[str, str] = {
    "rule.at_least": "threshold", "rule.window_days": "window, days", "rule.events": "events", "rule.steps": "steps",
    "primary_outcome": "outcome", "adopted_by": "owner", "adopted_at": "adopted", "defined_on": "chosen on",
}  # fmt: skip
MOVES = ("both", "only_a", "only_b", "neither", "not_comparable")
COLUMNS = ("milestone", "quarter", *MOVES)
ALL = "all"
NO_ANSWER = -1


def changes(a: Version, b: Version) -> list[str]:
    """What another version says differently, a sentence each; nothing where both say the same."""
    one, other = (v.framework.model_dump(mode="json", by_alias=True, exclude={"version"}) for v in (a, b))
    before, after = one.pop("milestones"), other.pop("milestones")
    said = [f"{name}: removed" for name in before if name not in after]
    said += [
        f"{name}: added, {b.framework.milestones[name].rule.words}" for name in after if name not in before
    ]
    for name in (name for name in before if name in after):
        said += [f"{name}: {change}" for change in _differences(before[name], after[name])]
    return said + list(_differences(one, other))


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    before, after = dict(_leaves(one)), dict(_leaves(other))
    for path in dict.fromkeys([*before, *after]):
        if before.get(path) != after.get(path):
            yield f"{WORDS.get(path, path)}: {_value(before.get(path))} -> {_value(after.get(path))}"


def _leaves(place: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in place.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{within}{key}.")
        else:
            yield within + key, value


def _value(found: Any) -> str:
    if isinstance(found, list):
        return "[" + ", ".join(map(_value, found)) + "]"
    if isinstance(found, Mapping) and "state" in found:
        return state_phrase(found["state"], found.get("equals"), found.get("at_least"))
    if isinstance(found, Mapping):
        return ", ".join(f"{key} {_value(value)}" for key, value in found.items()) or "nothing"
    if isinstance(found, float):
        return f"{found:g}"
    return "nothing" if found is None else str(found)


def moved(place: Workspace, a: Version, b: Version, progress: ProgressCallback | None = None) -> list[Row]:
    """Which accounts two versions place differently: a row per milestone both define, for the newest close and for all.

    Keys: COLUMNS; accounts at the newest close, account-quarters over all. A window that is still running counts as
    not reached so far; whoever has no answer under one of the two (not eligible, not knowable, no customer by it) is
    not comparable. Raises DataError where a version cannot be used on this log.
    """
    log = open_for(place, a)
    one = _answers(a, log, progress)
    same = content_hash(a.framework.data) == content_hash(b.framework.data)
    other = _answers(b, log if same else open_for(place, b), progress)
    both = one.merge(other, on=["account_id", "as_of", "quarter"], how="outer", suffixes=("_a", "_b"))
    newest = both["quarter"].max() if len(both) else None
    found = []
    for name in a.framework.milestones:
        if name in b.framework.milestones:
            codes = (both[f"{name}_{side}"].fillna(NO_ANSWER).to_numpy(np.int8) for side in "ab")
            place_of = _moves(*codes)
            at_newest = (both["quarter"] == newest).to_numpy(bool)
            for quarter, rows in ((newest, place_of[at_newest]), (ALL, place_of)):
                n = np.bincount(rows, minlength=len(MOVES)).tolist()
                found.append({"milestone": name, "quarter": quarter, **dict(zip(MOVES, n, strict=True))})
    return found


def _moves(one: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.int64]:
    """Places in MOVES, (n,), from answers: 1 reached, 0 not, NO_ANSWER."""
    lacking = (one == NO_ANSWER) | (other == NO_ANSWER)
    where = np.where(one == 1, np.where(other == 1, 0, 1), np.where(other == 1, 2, 3))
    return np.where(lacking, MOVES.index("not_comparable"), where).astype(np.int64)


def _answers(version: Version, log: Log, progress: ProgressCallback | None) -> pd.DataFrame:
    """account_id, as_of, quarter of every customer at every close; of each milestone 1, 0 (not yet) or NO_ANSWER."""
    framework = version.framework
    dates = pd.Series(closes(framework, log), dtype="M8[us]")
    quarters = framework.data.calendar.quarters.closed_by(dates)
    ids = log.accounts["account_id"].to_numpy()
    answer = np.full(OPEN + 1, NO_ANSWER, np.int8)
    answer[REACHED], answer[NOT_REACHED], answer[OPEN] = 1, 0, 0
    parts = []
    for block in statuses(framework, log, progress):
        there = block.alive
        when = block.close[there]
        rows = {
            "account_id": ids[block.account[there]],
            "as_of": dates.to_numpy()[when],
            "quarter": quarters.to_numpy()[when],
        }
        parts.append(pd.DataFrame({**rows, **{name: answer[s[there]] for name, s in block.status.items()}}))
    columns = ["account_id", "as_of", "quarter", *framework.milestones]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
