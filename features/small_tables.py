"""The tables that are small enough for memory: subscriptions, states, outcomes, eligibility."""

from collections.abc import Callable, Collection

import pandas as pd

from features.books import GIVEN, SUPERSEDED, Books
from features.columns import to_frame
from features.equality import flags
from features.recording import as_known_at, recorded_by, to_come
from features.rejection import (
    EXCLUDED,
    LEFT_OUT,
    UNREAD,
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
        """Who could use what from when on; `features` gives the names of events and categories, if they are needed."""
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
