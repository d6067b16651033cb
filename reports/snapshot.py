"""The clock of now: what a quarter looked like when it closed. Nothing here waits for an outcome."""

import json
from typing import Any

import pandas as pd

from models.cohorts import Cohort
from models.estimates import proportion
from models.framework import Framework
from models.milestones import LevelsRule
from models.parts import LEVELS
from models.standing import STATUSES
from reports.grounds import Grounds


class Snapshots:
    """Adoption, movement, funnel, maturity and volumes of any closed quarter."""

    def __init__(self, framework: Framework, grounds: Grounds) -> None:
        self.framework, self.cohorts = framework, grounds.cohorts
        self.quarters = framework.data.calendar.quarters
        self._volumes, self._time_to = grounds.volumes, grounds.time_to

    def reached(self, cohort: Cohort, quarter: str) -> dict[str, Any]:
        """Adoption, who could not be asked, time to the milestone or movement, in the quarter just closed."""
        frame = self._closing(cohort, quarter)
        alive = frame[frame["alive"]]
        counts = alive["status"].value_counts()
        asked = alive[alive["status"].isin(("reached", "not_reached"))]
        share = proportion((asked["status"] == "reached").to_numpy(bool)) if len(asked) else None
        found: dict[str, Any] = {
            "adoption": None if share is None else {**share.brief(), "n": share.n_observations},
            "statuses": {s: int(counts.get(s, 0)) for s in STATUSES},
            "time_to_days": None,
            "movement": None,
        }  # fmt: skip
        if cohort.milestone.kind == "once":
            found["time_to_days"] = self._time_to_days(cohort.name, asked)
        else:
            found["movement"] = self._movement(cohort, quarter)
        return found

    def accounts(self, quarter: str) -> pd.DataFrame:
        """Where every account that was asked in the quarter stands: one row per milestone and account.

        Columns: account (code), milestone, as_of (landmark or close), score, status (one of STATUSES, or `gone` when
        the account had left by then), reached_after_days (once milestones, from signup; missing otherwise).
        """
        parts = []
        for name, cohort in self.cohorts.by_name.items():
            frame = self._closing(cohort, quarter)[["account", "as_of", "score", "status", "alive"]]
            days = frame["account"].map(self._time_to[name]) if name in self._time_to else float("nan")
            status = frame["status"].where(frame["alive"], "gone")
            found = frame.assign(milestone=name, status=status, reached_after_days=days)
            found["reached_after_days"] = found["reached_after_days"].where(found["status"] == "reached")
            parts.append(found.drop(columns="alive"))
        columns = ["account", "milestone", "as_of", "score", "status", "reached_after_days"]
        return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)

    def _closing(self, cohort: Cohort, quarter: str) -> pd.DataFrame:
        """Landmarks within the quarter, or the states at its close."""
        return cohort.frame[cohort.frame["quarter"] == quarter]

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

    def maturity(self, quarter: str) -> dict[str, Any] | None:
        """Share of the accounts alive at the close at each level of each category."""
        for name, milestone in self.framework.of_kind("state").items():
            if isinstance(milestone.rule, LevelsRule):
                closes = self.cohorts.closes
                rows = closes[(closes["as_of"] == self.quarters.end(quarter)) & closes["alive"]]
                if rows.empty:
                    return None
                rule = milestone.rule
                at = {level: rule.category_specs(name, level) for level in LEVELS}
                categories = [
                    {"name": c, **{level: float((rows[at[level][c].name] >= 1).mean()) for level in LEVELS}}
                    for c in rule.categories
                ]
                return {"categories": categories, "share_mature_3": float((rows[name] >= 3).mean())}
        return None

    def funnel(self, quarter: str) -> dict[str, Any] | None:
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

    def volumes(self, quarter: str) -> dict[str, int]:
        """Events, accounts that did anything, sign-ups, and accounts alive at the close."""
        row = self._volumes[self._volumes["quarter"] == quarter]
        closes = self.cohorts.closes
        alive = int(((closes["as_of"] == self.quarters.end(quarter)) & closes["alive"]).sum())
        counts = {key: int(row[key].sum()) for key in ("events", "active_accounts", "signups")}
        return counts | {"alive_accounts": alive}

    def volumes_history(self, quarter: str) -> list[dict[str, Any]]:
        """The same volumes of every quarter up to this one, without the accounts alive."""
        rows = self._volumes[self._volumes["quarter"] <= quarter]
        return json.loads(rows.to_json(orient="records"))  # type: ignore[no-any-return]
