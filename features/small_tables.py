"""The tables that are small enough for memory: all but the events."""

from collections.abc import Callable, Collection

import pandas as pd

from features.books import GIVEN, SUPERSEDED, Books
from features.columns import to_frame
from features.equality import flags, holds
from features.errors import DataError
from features.recording import as_known_at, recorded_by, to_come
from features.rejection import (
    EXCLUDED,
    LEFT_OUT,
    UNREAD,
    account_reasons,
    eligibility_reasons,
    outcome_reasons,
    spell_reasons,
    state_reasons,
)
from features.tables import RECORDED, TABLES

TO_COME = "still to come"
Reasons = Callable[[pd.DataFrame], "pd.Series[str]"]


class SmallTables(Books):
    """Reads the small tables into pandas; those of accounts carry the account's code in the column `account`."""

    def accounts(self) -> pd.DataFrame:
        """Those that can be used, by code: LEFT_OUT marks those that a rule leaves out."""
        raw = self._open("accounts")
        mapping = self.data.mapping["accounts"]
        extras = {
            c: raw[c].name(f"attribute_{i}") for i, c in enumerate(raw.columns) if c not in mapping.values()
        }
        named = {e.get_name(): c for c, e in extras.items() if c not in ("account_id", "signed_up_at")}
        given = self._given("accounts", raw)
        frame = to_frame(
            raw.select(
                **self._columns("accounts", raw), **{e.get_name(): e for e in extras.values()}, **given
            )
        )
        reasons = account_reasons(frame, self.now)
        kept = self._keep("accounts", frame, reasons).rename(columns=named).reset_index(drop=True)
        distinct = {code: GIVEN + c if c == "reason" else c for code, c in named.items()}
        self.rejected["accounts"] = self.rejected["accounts"].rename(columns=distinct)
        if self.data.calendar.resolution == "day":
            kept["signed_up_at"] = kept["signed_up_at"].dt.floor("D")
        kept = self._there_first(kept)
        self.an_account = str(kept["account_id"].iloc[0])
        for column in self.data.fixed_at_signup:
            if column not in kept:
                raise DataError(_no_column("data.fixed_at_signup", column, kept))
        return kept

    def _there_first(self, accounts: pd.DataFrame) -> pd.DataFrame:
        """Accounts that are looked at before those left out by rule, and those not signed up by the instant asked for."""
        if self.known_at is None:
            marked = accounts.assign(**{LEFT_OUT: self._excluded_accounts(accounts)})
            return marked.sort_values(LEFT_OUT, kind="stable", ignore_index=True)
        later = accounts["signed_up_at"] >= self.known_at
        if later.all():
            raise DataError(
                f"accounts: nobody had signed up by {self.known_at}, the first does on"
                f" {accounts['signed_up_at'].min()}: choose a later date"
            )
        self._withhold("accounts", self.not_yet, int(later.sum()))
        excluded = self._excluded_accounts(accounts[~later]).reindex(accounts.index, fill_value=False)
        absent = later | excluded
        return (
            accounts.assign(**{LEFT_OUT: excluded})
            .loc[absent.sort_values(kind="stable").index]
            .reset_index(drop=True)
        )

    def _excluded_accounts(self, accounts: pd.DataFrame) -> "pd.Series[bool]":
        excluded = pd.Series(False, index=accounts.index)
        for rule in self.data.exclusions:
            if rule.column not in accounts:
                raise DataError(_no_column("data.exclusions", rule.column, accounts))
            hit = holds(accounts[rule.column], rule.equals) & ~excluded
            self.excluded.setdefault("accounts", {})[rule.reason] = int(hit.sum())
            excluded |= hit
        return excluded

    def subscriptions(self, accounts: pd.DataFrame) -> pd.DataFrame | None:
        """The spells that stand; `trial` is true, false or missing."""
        frame = self._of_accounts("subscriptions", accounts, spell_reasons)
        if frame is None or "trial" not in frame:
            return frame
        frame["trial"] = flags(frame["trial"])
        trials = int(frame["trial"].eq(True).sum())
        if trials and self.data.outcomes.trials == "left_out":
            self.notes.append(
                f"subscriptions: {trials:,} trial spells are no customer life (data.outcomes.trials)"
            )
        return frame

    def states(self, accounts: pd.DataFrame) -> pd.DataFrame | None:
        """The states that stand, by account, attribute and the time they took force; the longer one last of two."""
        frame = self._of_accounts("states", accounts, state_reasons)
        if frame is None:
            return None
        if "valid_to" not in frame:
            frame["valid_to"] = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[us]")
        ordered = frame.sort_values(
            ["account", "attribute", "valid_from", "valid_to", "value"], ignore_index=True
        )
        # A category stays one where no row has it: fewer accounts have the same attributes.
        return ordered.astype({"attribute": "category"})

    def outcomes(self, accounts: pd.DataFrame) -> pd.DataFrame | None:
        """The outcomes that happened."""
        frame = self._of_accounts("outcomes", accounts, lambda rows: outcome_reasons(rows, self.now))
        if frame is None:
            return None
        if not self.read["outcomes"]:
            source = self.data.sources.declared()["outcomes"]
            self.notes.append(f"outcomes: {source} has no rows: it says that nobody was lost")
        empty = frame["occurred_at"].isna()
        if empty.any():
            self.notes.append(f"outcomes: {int(empty.sum()):,} rows without a date say that nothing happened")
        return frame[~empty].reset_index(drop=True)

    def eligibility(self, features: Callable[[], Collection[str]]) -> pd.DataFrame | None:
        """Who could use what from when on; `features` gives the names that a row may name, if they are needed."""
        if "eligibility" not in self.data.sources.declared():
            return None
        frame = self._read("eligibility")
        kept = self._keep("eligibility", frame, eligibility_reasons(frame, features()))
        return _bare(kept).reindex(columns=list(TABLES["eligibility"].columns))

    def _of_accounts(self, table: str, accounts: pd.DataFrame, reasons: Reasons) -> pd.DataFrame | None:
        """The rows of a table that can be used, of accounts that no rule leaves out, as known at the instant."""
        if table not in self.data.sources.declared():
            return None
        frame = self._read(table)
        frame["account"] = frame["account_id"].map(pd.Series(accounts.index, index=accounts["account_id"]))
        if self.known_at is not None:
            frame = self._as_of_then(table, frame, accounts, self.known_at)
        kept = self._keep(table, frame, reasons(frame)).astype({"account": "int64"})
        ruled_out = accounts[LEFT_OUT].reindex(kept["account"]).to_numpy(bool)
        if ruled_out.any():
            self.excluded[table] = {EXCLUDED: int(ruled_out.sum())}
        kept = kept[~ruled_out]
        known = as_known_at(kept, TABLES[table], self.known_at)
        self._withhold(table, SUPERSEDED, len(kept) - len(known))
        # Which version stands is settled: nobody after this asks when a row was recorded.
        return _bare(known).drop(columns=["account_id", RECORDED], errors="ignore")

    def _as_of_then(
        self, table: str, frame: pd.DataFrame, accounts: pd.DataFrame, instant: pd.Timestamp
    ) -> pd.DataFrame:
        """The rows that were there at an instant, of accounts that were; the others are withheld."""
        contract = TABLES[table]
        unborn = frame["account"].map(accounts["signed_up_at"] >= instant).eq(True)
        unrecorded = ~recorded_by(frame, contract, instant) | unborn
        to_come_then = to_come(frame, contract, instant) & ~unrecorded
        self._withhold(table, self.not_yet, int(unrecorded.sum()))
        self._withhold(table, f"{TO_COME} at {instant}", int(to_come_then.sum()))
        return frame[~(unrecorded | to_come_then)].reset_index(drop=True)

    def _read(self, table: str) -> pd.DataFrame:
        raw = self._open(table)
        columns = self._columns(table, raw)
        wanted = {**columns, **self._unread(table, raw, columns), **self._given(table, raw)}
        frame = to_frame(raw.select(**wanted))
        self.read[table] = len(frame)
        return frame


def _bare(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=[c for c in frame if str(c).startswith((UNREAD, GIVEN))]).reset_index(drop=True)


def _no_column(key: str, column: str, accounts: pd.DataFrame) -> str:
    columns = ", ".join(str(c) for c in accounts if c != LEFT_OUT)
    return f"{key}: the accounts table has no column {column!r}; it has {columns}"
