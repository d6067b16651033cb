"""The review of a quarter as data: two clocks, one verdict per milestone, nothing that was not known by then.

*Now* is the quarter just closed (adoption, funnel, volumes). *Proven* is every cohort whose outcome was known when
the review was due. `Reviewer` holds what all quarters share, so that any number of reviews cost one pass over the
data.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from features.intake import Log
from features.volumes import days_to_count, days_to_steps, quarterly_volumes
from models.cohorts import Cohort, Cohorts
from models.estimates import proportion
from models.evaluation import evaluate
from models.framework import Framework
from models.importance import adoption, adoption_class
from models.milestones import CountRule, LevelsRule, Milestone, StepsRule
from reports.judgement import Judgement, Settings, difference_in
from reports.verdicts import (
    Verdict,
    accounts_to_decide,
    looks_a_year,
    sentence,
    smallest_detectable,
    verdict,
)

SCHEMA_VERSION = 1
MODEL_RESAMPLES = 200
RANKED = 40


@dataclass(frozen=True)
class Learned:
    """What `milestones train` left in the workspace; empty where it found too little."""

    record: dict[str, Any]
    predictions: pd.DataFrame
    matrix: pd.DataFrame


class Reviewer:
    """Everything that the reviews of one framework share."""

    def __init__(self, framework: Framework, log: Log, cohorts: Cohorts, learned: Learned, seed: int) -> None:
        self.framework, self.log, self.cohorts, self.learned, self.seed = (
            framework,
            log,
            cohorts,
            learned,
            seed,
        )
        self.quarters = framework.data.calendar.quarters
        self.settings = Settings(
            horizon_days=framework.data.outcomes.horizon_days,
            band=framework.review.adoption_band,
            n_milestones=max(len(framework.milestones), 1),
            seed=seed,
            data_through=log.data_through,
        )
        self.volumes = quarterly_volumes(log, framework.data)
        self._time_to = {name: _time_to(log, m) for name, m in framework.of_kind("once").items()}
        self._judgement = cache(self._judge)

    def known_at(self, quarter: str) -> pd.Timestamp:
        """When the review of a quarter is due: its end plus the settling lag."""
        return self.quarters.end(quarter) + pd.Timedelta(days=self.framework.review.settling_lag_days)

    def closed(self) -> list[str]:
        """Every quarter of the log that has closed."""
        return self.quarters.closed(self.log.data_from, self.log.data_through)

    def reviewable(self) -> list[str]:
        """The closed quarters from the first with a mature cohort on; the last two where none ever matured."""
        closed = self.closed()
        for i, quarter in enumerate(closed):
            if any(len(self._judgement(name, quarter).judged) for name in self.cohorts.by_name):
                return closed[i:]
        return closed[-2:]

    def _judge(self, name: str, quarter: str) -> Judgement:
        return Judgement(self.cohorts.by_name[name], self.known_at(quarter), self.settings)

    def review(self, quarter: str) -> dict[str, Any]:
        """review.json of one quarter."""
        framework = self.framework
        milestones = [self._milestone(name, quarter) for name in framework.milestones]
        model, ranking = self._model(quarter), self._ranking(quarter)
        return {
            "schema_version": SCHEMA_VERSION,
            "product": framework.name,
            "quarter": quarter,
            "known_at": self.known_at(quarter).date().isoformat(),
            "data_through": min(self.log.data_through, self.known_at(quarter)).isoformat(),
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
            "chain": [row for name in framework.milestones if (row := self._link(name, quarter))],
            "maturity": self._maturity(quarter),
            "funnel": self._funnel(quarter),
            "volumes": self._volumes(quarter),
            "volumes_history": self._volumes_history(quarter),
            "model": model,
            "ranking": ranking,
            "segments": [],
            "annotations": [
                a.model_dump(mode="json") for a in framework.review.annotations
                if a.date <= self.known_at(quarter).date().isoformat()
            ],
            "caveats": self._caveats(),
        }  # fmt: skip

    def observations(self, quarter: str) -> pd.DataFrame:
        """The rows that the proven clock rests on, with account ids: for the workspace, never for a report."""
        parts = []
        for name in self.framework.milestones:
            rows = self._judgement(name, quarter).judged.drop(columns="fold")
            parts.append(rows[[c for c in rows if not str(c).startswith("rival:")]].assign(milestone=name))
        frame = (
            pd.concat(parts, ignore_index=True)
            if parts
            else pd.DataFrame({"account": pd.Series(dtype="int64")})
        )
        frame.insert(
            0, "account_id", self.log.accounts["account_id"].to_numpy()[frame["account"].to_numpy(int)]
        )
        return frame.drop(columns="account")

    # The proven clock.

    def _milestone(self, name: str, quarter: str) -> dict[str, Any]:
        cohort, now = self.cohorts.by_name[name], self._judgement(name, quarter)
        before = self._judgement(name, self.quarters.shift(quarter, -1))
        milestone, n_tests = cohort.milestone, looks_a_year(self.settings.n_milestones)
        evidence = now.evidence(before)
        newest = max(now.judged["quarter"], default=None)
        realised = difference_in(now.held_out)
        recent = now.recent_effect
        found = {
            "name": name,
            "kind": milestone.kind,
            "rule": milestone.rule.words,
            "proposed": milestone.proposed,
            "why": milestone.why,
            "outcome": _outcome_words(milestone, self.settings.horizon_days),
            "verdict": verdict(evidence).value,
            "evidence": {
                key: getattr(evidence, key)
                for key in ("predicts", "changed", "cause", "cut", "better_cut_supported", "no_twice", "powered")
            },
            **self._now(cohort, quarter),
            "expected": _expected(milestone),
            "realised": None if realised is None else {
                "value": realised.value, "lower": realised.lower, "upper": realised.upper,
                "n_observations": realised.n_observations, "n_accounts": realised.n_accounts,
            },
            "minimum_effect": now.minimum_effect,
            "newest_mature_cohort": newest,
            "next_matures": self._next_matures(cohort, quarter),
            "matured_since_last": newest is not None and newest != max(before.judged["quarter"], default=None),
            "threshold": _threshold(now, milestone),
            "curve": _curve(now),
            "smallest_detectable": smallest_detectable(recent, now.baseline, n_tests),
            "accounts_to_decide": accounts_to_decide(recent, now.baseline, recent.n_accounts, n_tests) if recent else None,
            "defined_on": list(milestone.defined_on) if milestone.defined_on else None,
            "effects": now.effects(),
            "history": now.history(self._quarters_until(quarter)),
        }  # fmt: skip
        found["sentence"] = sentence(found)
        return found

    def _quarters_until(self, quarter: str) -> list[str]:
        """Cohort quarters up to the close: the closing as-of date is the first instant of the next one."""
        first = self.quarters.containing(self.log.data_from)
        return [self.quarters.shift(first, i) for i in range(self.quarters.distance(first, quarter) + 2)]

    def _next_matures(self, cohort: Cohort, quarter: str) -> str:
        """The date on which the next cohort quarter is known as a whole."""
        known_at = self.known_at(quarter)
        dates = (
            cohort.matures_at(q, "primary") for q in self._quarters_until(self.quarters.shift(quarter, 1))
        )
        return min(date for date in dates if date > known_at).date().isoformat()

    def _link(self, name: str, quarter: str) -> dict[str, Any] | None:
        judgement = self._judgement(name, quarter)
        rows = judgement.judged
        estimate = difference_in(rows)
        if estimate is None:
            return None
        reached = rows["reached"].to_numpy(bool)
        outcome = rows["outcome"].to_numpy(bool)
        milestone = judgement.milestone
        return {
            "from": name,
            "to": milestone.primary_outcome,
            "outcome": _outcome_words(milestone, self.settings.horizon_days),
            "rate_reached": float(outcome[reached].mean()),
            "rate_not": float(outcome[~reached].mean()),
            "n_reached": int(reached.sum()),
            "n_not": int((~reached).sum()),
            "difference": {"value": estimate.value, "lower": estimate.lower, "upper": estimate.upper},
        }

    # The clock of now.

    def _now(self, cohort: Cohort, quarter: str) -> dict[str, Any]:
        """Adoption, who could not be asked, time to the milestone or movement, in the quarter just closed."""
        frame = self._closing(cohort, quarter)
        alive = frame[frame["alive"]]
        counts = alive["status"].value_counts()
        asked = alive[alive["status"].isin(("reached", "not_reached"))]
        share = proportion((asked["status"] == "reached").to_numpy(bool)) if len(asked) else None
        found: dict[str, Any] = {
            "adoption": None if share is None else {
                "value": share.value, "lower": share.lower, "upper": share.upper, "n": share.n_observations,
            },
            "statuses": {s: int(counts.get(s, 0)) for s in ("reached", "not_reached", "not_eligible", "not_knowable")},
            "time_to_days": None,
            "movement": None,
        }  # fmt: skip
        if cohort.milestone.kind == "once":
            found["time_to_days"] = self._time_to_days(cohort.name, asked)
        else:
            found["movement"] = self._movement(cohort, quarter)
        return found

    def _closing(self, cohort: Cohort, quarter: str) -> pd.DataFrame:
        """Landmarks within the quarter, or the states at its close."""
        frame, end = cohort.frame, self.quarters.end(quarter)
        if cohort.milestone.kind == "state":
            return frame[frame["as_of"] == end]
        return frame[(frame["as_of"] >= self.quarters.start(quarter)) & (frame["as_of"] < end)]

    def _time_to_days(self, name: str, asked: pd.DataFrame) -> dict[str, float] | None:
        days = self._time_to[name].reindex(asked.loc[asked["status"] == "reached", "account"]).dropna()
        if days.empty:
            return None
        low, middle, high = days.quantile([0.25, 0.5, 0.75])
        return {
            "median": float(middle),
            "lower_quartile": float(low),
            "upper_quartile": float(high),
            "n": len(days),
        }

    def _movement(self, cohort: Cohort, quarter: str) -> dict[str, int] | None:
        """Accounts that came to meet the state, or ceased to, since the close before (leaving the product included)."""
        before = self._closing(cohort, self.quarters.shift(quarter, -1))
        if before.empty:
            return None
        now = self._closing(cohort, quarter)
        met_now = set(now.loc[now["alive"] & (now["status"] == "reached"), "account"])
        met_before = set(before.loc[before["alive"] & (before["status"] == "reached"), "account"])
        entered, left = len(met_now - met_before), len(met_before - met_now)
        return {"entered": entered, "left": left, "net": entered - left}

    def _maturity(self, quarter: str) -> dict[str, Any] | None:
        for name, milestone in self.framework.of_kind("state").items():
            if isinstance(milestone.rule, LevelsRule):
                closes = self.cohorts.closes
                rows = closes[(closes["as_of"] == self.quarters.end(quarter)) & closes["alive"]]
                if rows.empty:
                    return None
                categories = [
                    {
                        "name": category,
                        "basic": float((rows[spec.name] >= milestone.rule.categories[category].basic).mean()),
                        "mature": float(
                            (rows[spec.name] >= milestone.rule.categories[category].mature).mean()
                        ),
                    }
                    for category, spec in milestone.rule.category_specs(name).items()
                ]
                return {"categories": categories, "share_mature_3": float((rows[name] >= 3).mean())}
        return None

    def _funnel(self, quarter: str) -> dict[str, Any] | None:
        """Sign-ups whose last landmark fell into the quarter, and how far they had come by its close."""
        once = self.framework.of_kind("once")
        if not once:
            return None
        final = max(once, key=lambda name: once[name].rule.window_days)
        members = self._closing(self.cohorts.by_name[final], quarter)["account"]
        if members.empty:
            return {"cohort_quarter": quarter, "steps": []}
        steps = [{"name": "signed up", "n": len(members), "share": 1.0}]
        for name in self.framework.milestones:
            cohort = self.cohorts.by_name[name]
            frame = cohort.frame if cohort.milestone.kind == "once" else self._closing(cohort, quarter)
            reached = frame.loc[
                (frame["status"] == "reached") & (frame["alive"] | (cohort.milestone.kind == "once")),
                "account",
            ]
            n = int(members.isin(reached).sum())
            steps.append({"name": name, "n": n, "share": n / len(members)})
        closes = self.cohorts.closes
        alive = closes.loc[(closes["as_of"] == self.quarters.end(quarter)) & closes["alive"], "account"]
        n = int(members.isin(alive).sum())
        steps.append({"name": "alive at the close", "n": n, "share": n / len(members)})
        return {"cohort_quarter": quarter, "steps": steps}

    def _volumes(self, quarter: str) -> dict[str, int]:
        row = self.volumes[self.volumes["quarter"] == quarter]
        closes = self.cohorts.closes
        alive = int(((closes["as_of"] == self.quarters.end(quarter)) & closes["alive"]).sum())
        counts = {key: int(row[key].sum()) for key in ("events", "active_accounts", "signups")}
        return counts | {"alive_accounts": alive}

    def _volumes_history(self, quarter: str) -> list[dict[str, Any]]:
        rows = self.volumes[self.volumes["quarter"] <= quarter]
        return json.loads(rows.to_json(orient="records"))  # type: ignore[no-any-return]

    # The model.

    def _model(self, quarter: str) -> dict[str, Any] | None:
        main = self.learned.record.get("name")
        known_at = self.known_at(quarter)
        predictions = self.learned.predictions
        if main is None or not len(predictions) or not (predictions["known_from"] <= known_at).any():
            return None
        rng = np.random.default_rng([self.seed, int(known_at.timestamp())])
        return evaluate(predictions, main, rng, known_at, MODEL_RESAMPLES).as_dict()

    def _ranking(self, quarter: str) -> list[dict[str, Any]]:
        """Importance from the newest block of predictions whose outcomes were all known by then, with adoption then."""
        known_at = self.known_at(quarter)
        blocks = [
            b for b in self.learned.record.get("importance", []) if pd.Timestamp(b["known_from"]) <= known_at
        ]
        if not blocks:
            return []
        rows = sorted(blocks[-1]["features"], key=lambda row: -row["importance"])[:RANKED]
        matrix = self.learned.matrix
        shares = adoption(matrix[matrix["as_of"] <= known_at], [row["feature"] for row in rows])
        declared = self.framework.data.features
        found = []
        for row in rows:
            share = float(shares[row["feature"]])
            words = {} if np.isnan(share) else {
                "adoption": share, "class": adoption_class(share, declared.niche_below, declared.ubiquitous_above),
            }  # fmt: skip
            found.append({**row, "adoption": None, "class": None, **words})
        return found

    # Words.

    def _outcome(self, quarter: str) -> dict[str, Any]:
        outcome, closes = self.framework.data.outcomes, self.cohorts.closes
        known = closes[
            closes["alive"]
            & closes["at_risk"]
            & closes["retained"].notna()
            & (closes["known_from"] <= self.known_at(quarter))
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
        sweeps = [self._judgement(m["name"], quarter).sweep for m in milestones]
        supported = [s for s in sweeps if s.operating_cut is not None]
        if all(v == Verdict.INSUFFICIENT_DATA for v in verdicts) and all(
            s.verdict == "insufficient_data" for s in sweeps
        ):
            return "Insufficient data: no milestone can be judged yet."
        if not supported:
            tried = [s for s in sweeps if s.verdict != "insufficient_data"]
            widest = max(tried, key=lambda s: s.n_accounts)
            return widest.sentence
        counts = {v: verdicts.count(v) for v in dict.fromkeys(Verdict) if v.value in verdicts}
        parts = [f"{n} {_VERDICT_WORDS[v]}" for v, n in counts.items()]
        return (
            f"Of {len(milestones)} milestones: {', '.join(parts)}."
            if len(milestones) > 1
            else milestones[0]["sentence"]
        )

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


def _time_to(log: Log, milestone: Milestone) -> "pd.Series[float]":
    rule = milestone.rule
    if isinstance(rule, StepsRule):
        return days_to_steps(log, rule.steps, rule.at_least, rule.window_days)
    if isinstance(rule, CountRule):
        return days_to_count(log, rule.events, rule.at_least, rule.window_days)
    return pd.Series(dtype=float)


def _outcome_words(milestone: Milestone, horizon_days: int) -> str:
    target = milestone.primary_outcome
    return f"retained {horizon_days} days later" if target == "retained" else f"{target} next"


def _expected(milestone: Milestone) -> dict[str, float | None] | None:
    if milestone.expected_effect is None:
        return None
    lower, upper = milestone.expected_interval or (None, None)
    return {"value": milestone.expected_effect, "lower": lower, "upper": upper}


def _threshold(now: Judgement, milestone: Milestone) -> dict[str, Any]:
    sweep = now.sweep
    cut = sweep.operating_cut
    return {
        "current": float(milestone.rule.at_least),
        "plateau": list(sweep.plateau) if sweep.plateau and cut else None,
        "operating_cut": None if cut is None else {"value": cut.value, "reason": cut.reason},
        "verdict": sweep.verdict,
        "sentence": sweep.sentence,
        "unit": milestone.rule.unit,
    }


def _curve(now: Judgement) -> list[dict[str, Any]] | None:
    points = now.sweep.curves.get(now.cohort.name, ())
    return [
        {
            "value_from": p.lower,
            "value_to": p.upper,
            "rate": p.rate,
            "lower": p.rate_lower,
            "upper": p.rate_upper,
            "n": p.n,
        }
        for p in points
    ] or None
