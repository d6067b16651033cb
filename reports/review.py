"""The review of a quarter as data: two clocks, one verdict per milestone, nothing that was not known by then.

*Now* is the quarter just closed (adoption, funnel, volumes). *Proven* is every cohort whose outcome was known when
the review was due. `Reviewer` holds what all quarters share, so that any number of reviews cost one pass over the
data.
"""

from typing import Any

import pandas as pd

from features.phrases import listing
from models.framework import Framework
from reports.grounds import Grounds
from reports.learned import ModelPart
from reports.proven import Proven
from reports.snapshot import Snapshots
from reports.verdicts import Verdict

SCHEMA_VERSION = 1
AT_BEGIN = "at_begin_"  # before the names of what told customers apart when the window of a row began


class Reviewer:
    """Everything that the reviews of one framework share.

    at: a quarter whose review is asked for as known at another instant than when it is due, and that instant.
    """

    def __init__(
        self, framework: Framework, grounds: Grounds, seed: int, at: tuple[str, pd.Timestamp] | None = None
    ) -> None:
        self.framework, self.grounds, self.seed = framework, grounds, seed
        self.cohorts = grounds.cohorts
        self.quarters = framework.data.calendar.quarters
        self.proven = Proven(framework, grounds, seed, at)
        self.snapshots = Snapshots(framework, grounds)

    def milestones(self, quarter: str) -> list[dict[str, Any]]:
        """What is known of each milestone, in the order of the framework."""
        return [self._milestone(name, quarter) for name in self.framework.milestones]

    def review(self, quarter: str, said: ModelPart) -> dict[str, Any]:
        """review.json of one quarter, but for what was restated; `said` is what it says of the model."""
        framework, milestones = self.framework, self.milestones(quarter)
        known_at = self.proven.known_at(quarter)
        return {
            "schema_version": SCHEMA_VERSION,
            "product": framework.name,
            "quarter": quarter,
            "known_at": shown(known_at),
            "data_through": min(self.grounds.data_through, known_at).isoformat(),
            "framework": {
                "name": framework.name,
                "version": framework.version,
                "hash": framework.hash,
                "proposed": framework.proposed,
            },
            "outcome": self._outcome(quarter),
            "headline": self._headline(milestones, quarter),
            "milestones": milestones,
            "not_defined": [{"name": name, "reason": reason} for name, reason in framework.not_defined.items()],
            "chain": [row for name in framework.milestones if (row := self.proven.link(name, quarter))],
            "maturity": self.snapshots.maturity(quarter),
            "funnel": self.snapshots.funnel(quarter),
            "volumes": self.snapshots.volumes(quarter),
            "volumes_history": self.snapshots.volumes_history(quarter),
            "model": said.model,
            "ranking": said.ranking,
            "segments": [],
            "annotations": self._annotations(quarter),
            "caveats": [*self._caveats(), *said.caveats],
        }  # fmt: skip

    def _milestone(self, name: str, quarter: str) -> dict[str, Any]:
        now = self.snapshots.reached(self.cohorts.by_name[name], quarter)
        return {**self.proven.milestone(name, quarter), **now}

    def observations(self, quarter: str) -> pd.DataFrame:
        """The rows that the proven clock rests on, with account ids: for the workspace, never for a report."""
        parts = []
        for name in self.framework.milestones:
            rows = self.proven.judgement(name, quarter).judged.drop(columns="fold")
            customers = self.grounds.traits[name].loc[rows.index].add_prefix(AT_BEGIN)
            parts.append(rows.assign(milestone=name).join(customers))
        frame = (
            pd.concat(parts, ignore_index=True)
            if parts
            else pd.DataFrame({"account": pd.Series(dtype="int64")})
        )
        return self._with_ids(frame)

    def accounts(self, quarter: str) -> pd.DataFrame:
        """Where every account stood in the quarter just closed, with account ids: for the workspace."""
        return self._with_ids(self.snapshots.accounts(quarter))

    def _with_ids(self, frame: pd.DataFrame) -> pd.DataFrame:
        named = frame.drop(columns="account")
        named.insert(0, "account_id", self.grounds.account_ids.loc[frame["account"].to_numpy(int)].to_numpy())
        return named

    # Words.

    def _outcome(self, quarter: str) -> dict[str, Any]:
        outcome, closes = self.framework.data.outcomes, self.cohorts.closes
        known = closes[
            closes["alive"]
            & closes["at_risk"]
            & closes["retained"].notna()
            & (closes["known_from"] <= self.proven.known_at(quarter))
        ]
        rate = float(1 - known["retained"].astype(float).mean()) if len(known) else None
        return {
            "name": outcome.name,
            "sentence": outcome.sentence,
            "horizon_days": outcome.horizon_days,
            "rate": rate,
            "n_observations": len(known),
        }

    def _headline(self, milestones: list[dict[str, Any]], quarter: str) -> str:
        if not milestones:
            return "No milestone is defined."
        verdicts = [m["verdict"] for m in milestones]
        sweeps = [self.proven.judgement(m["name"], quarter).sweep for m in milestones]
        supported = [s for s in sweeps if s.operating_cut is not None]
        if all(v == Verdict.INSUFFICIENT_DATA for v in verdicts) and all(
            s.verdict == "insufficient_data" for s in sweeps
        ):
            return "Insufficient data: no milestone can be judged yet."
        tried = [s for s in sweeps if s.verdict != "insufficient_data"]
        if tried and not supported:
            widest = max(tried, key=lambda s: s.n_accounts)
            return widest.sentence
        if len(milestones) == 1:
            return f"{milestones[0]['name']}: {milestones[0]['sentence']}"
        counts = {v: verdicts.count(v) for v in Verdict if v.value in verdicts}
        return f"Of {len(milestones)} milestones: {', '.join(f'{n} {_VERDICT_WORDS[v]}' for v, n in counts.items())}."

    def _annotations(self, quarter: str) -> list[dict[str, Any]]:
        """What had happened by then: the quarter it fell into, and the share of that quarter that had passed."""
        found = []
        for annotation in self.framework.review.annotations:
            day = pd.Timestamp(annotation.date)
            if day <= self.proven.known_at(quarter):
                into = self.quarters.containing(day)
                start, end = self.quarters.start(into), self.quarters.end(into)
                found.append(
                    {
                        **annotation.model_dump(mode="json"),
                        "quarter": into,
                        "share": (day - start) / (end - start),
                    }
                )
        return found

    def _caveats(self) -> list[str]:
        said = list(self.grounds.caveats)
        if self.framework.data.outcomes.kind == "silent":
            said.append("Nobody records who was lost: silence stands for it, and an account may come back.")
        for name in self.framework.milestones:
            shared = self.framework.shares_behaviour(name)
            if shared:
                said.append(
                    f"{name} and its outcome count the same behaviour ({listing(shared)}) in windows apart:"
                    " part of the effect may be that habits persist. It is not yet shown what is left after prior use."
                )
        if self.framework.proposed:
            said.append(
                "The framework is proposed: nobody has adopted it, and its cuts came from the shaded quarters."
            )
        return said


def shown(instant: pd.Timestamp) -> str:
    """An instant as reviews name it: the day that began then, or day and time."""
    return instant.date().isoformat() if instant == instant.normalize() else f"{instant.isoformat()}Z"


_VERDICT_WORDS = {
    Verdict.HOLD: "hold",
    Verdict.WATCH: "to watch",
    Verdict.RE_TUNE: "to re-tune",
    Verdict.RETIRE: "to retire",
    Verdict.INSUFFICIENT_DATA: "without enough data",
}
