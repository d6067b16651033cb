"""The review of a quarter as data: two clocks, one verdict per milestone, nothing that was not known by then.

*Now* is the quarter just closed (adoption, funnel, volumes). *Proven* is every cohort whose outcome was known when
the review was due. `Reviewer` holds what all quarters share, so that any number of reviews cost one pass over the
data.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from features.adoption import recent_adoption
from features.log import Log
from features.matrix import Matrix
from features.phrases import listing
from models.cohorts import Cohorts
from models.doubts import rule_doubts
from models.evaluation import evaluate
from models.framework import Framework
from reports.proven import Proven
from reports.snapshot import Snapshots
from reports.verdicts import Verdict

SCHEMA_VERSION = 1
RANKED = 40


@dataclass(frozen=True)
class Learned:
    """What `milestones train` left in the workspace; empty where it found too little."""

    record: dict[str, Any]
    predictions: pd.DataFrame
    matrix: Matrix


class Reviewer:
    """Everything that the reviews of one framework share."""

    def __init__(self, framework: Framework, log: Log, cohorts: Cohorts, learned: Learned, seed: int) -> None:
        self.framework, self.log, self.cohorts = framework, log, cohorts
        self.learned, self.seed = learned, seed
        self.quarters = framework.data.calendar.quarters
        self.doubts = rule_doubts(framework.milestones, log, framework.data)
        self.proven = Proven(framework, log, cohorts, seed)
        self.snapshots = Snapshots(framework, log, cohorts)

    def review(self, quarter: str) -> dict[str, Any]:
        """review.json of one quarter."""
        framework = self.framework
        milestones = [self._milestone(name, quarter) for name in framework.milestones]
        model, ranking = self._model(quarter), self._ranking(quarter)
        return {
            "schema_version": SCHEMA_VERSION,
            "product": framework.name,
            "quarter": quarter,
            "known_at": self.proven.known_at(quarter).date().isoformat(),
            "data_through": min(self.log.data_through, self.proven.known_at(quarter)).isoformat(),
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
            "model": model,
            "ranking": ranking,
            "segments": [],
            "annotations": self._annotations(quarter),
            "caveats": self._caveats(),
        }  # fmt: skip

    def _milestone(self, name: str, quarter: str) -> dict[str, Any]:
        now = self.snapshots.reached(self.cohorts.by_name[name], quarter)
        return {**self.proven.milestone(name, quarter), **now}

    def observations(self, quarter: str) -> pd.DataFrame:
        """The rows that the proven clock rests on, with account ids: for the workspace, never for a report."""
        parts = []
        for name in self.framework.milestones:
            rows = self.proven.judgement(name, quarter).judged.drop(columns="fold")
            parts.append(rows.assign(milestone=name))
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
        named.insert(
            0, "account_id", self.log.accounts["account_id"].to_numpy()[frame["account"].to_numpy(int)]
        )
        return named

    # The model.

    def _model(self, quarter: str) -> dict[str, Any] | None:
        main = self.learned.record.get("name")
        known_at = self.proven.known_at(quarter)
        predictions = self.learned.predictions
        if main is None or not len(predictions) or not (predictions["known_from"] <= known_at).any():
            return None
        return evaluate(predictions, main, self.seed, known_at).as_dict()

    def _ranking(self, quarter: str) -> list[dict[str, Any]]:
        """Importance from the newest block of predictions whose outcomes were all known by then, with adoption then."""
        known_at = self.proven.known_at(quarter)
        blocks = [
            b for b in self.learned.record.get("importance", []) if pd.Timestamp(b["known_from"]) <= known_at
        ]
        if not blocks:
            return []
        rows = sorted(blocks[-1]["features"], key=lambda row: -row["importance"])[:RANKED]
        frame, words = self.learned.matrix.frame, self.learned.matrix.described()
        features = [words[row["feature"]] for row in rows]
        shares = recent_adoption(frame[frame["as_of"] <= known_at], features, self.framework.data.features)
        return [{**row, **shares[row["feature"]]} for row in rows]

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
        said = []
        for table, reasons in self.log.quarantined.items():
            n, read = sum(reasons.values()), self.log.read.get(table, 0)
            if n:
                worst = max(reasons, key=lambda reason: reasons[reason])
                said.append(
                    f"{n:,} of {read:,} rows of {table} ({n / read:.1%}) could not be used, most of them: {worst}."
                )
        if self.framework.data.outcomes.kind == "silent":
            said.append("Nobody records who was lost: silence stands for it, and an account may come back.")
        said += [f"{doubt}." for doubts in self.doubts.values() for doubt in doubts]
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


_VERDICT_WORDS = {
    Verdict.HOLD: "hold",
    Verdict.WATCH: "to watch",
    Verdict.RE_TUNE: "to re-tune",
    Verdict.RETIRE: "to retire",
    Verdict.INSUFFICIENT_DATA: "without enough data",
}
