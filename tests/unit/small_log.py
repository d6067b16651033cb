"""A small product's log, written as tables: enough for every command to run in a second, too little to conclude from."""

from pathlib import Path

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from features.errors import MilestonesError
from milestones import app

EVENTS = ("Create report", "invite user", "export csv", "login", "share doc")


def small_log(n: int = 60, days: int = 400, names: tuple[str, ...] = EVENTS) -> dict[str, pd.DataFrame]:
    """Events, accounts and subscriptions of n accounts over so many days from 2024-01-01; half of them leave."""
    rng = np.random.default_rng(4)
    start = pd.Timestamp("2024-01-01")
    end = start + pd.Timedelta(days=days)
    signed_up = start + pd.to_timedelta(rng.integers(0, days * 43_200, n), unit="s")
    left = signed_up + pd.to_timedelta(rng.integers(1, days * 86_400, n), unit="s")
    names_of, times, ids = [], [], []
    for i in range(n):
        seconds = (min(left[i], end) - signed_up[i]).total_seconds()
        k = rng.poisson(seconds / 86_400 * 0.15) + 1
        ids += [f"a{i}"] * k
        names_of += [names[j] for j in rng.integers(0, len(names), k)]
        times += list(signed_up[i] + pd.to_timedelta(rng.integers(0, max(int(seconds), 1), k), unit="s"))
    account = [f"a{i}" for i in range(n)]
    plan = rng.choice(["free", "pro"], n)
    return {
        "events": pd.DataFrame({"account_id": ids, "event": names_of, "occurred_at": times}),
        "accounts": pd.DataFrame({"account_id": account, "signed_up_at": signed_up, "plan": plan}),
        "subscriptions": pd.DataFrame(
            {
                "account_id": account,
                "started_at": signed_up,
                "ended_at": pd.Series(left).where(left < end),
                "seats": rng.integers(1, 9, n).astype(float),
            }
        ),
    }


def sources(folder: Path, tables: dict[str, pd.DataFrame]) -> list[str]:
    """Write the tables as Parquet; the options of `init` that name them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return [f"--{name}={folder / name}.parquet" for name in tables]


class Said:
    """What a command left behind: its exit code, standard output, and the words on standard error."""

    def __init__(self, code: int, out: str, words: str) -> None:
        self.code, self.out, self.words = code, out, words


def run(*arguments: object) -> Said:
    """A command in this process. An exception that is not ours comes through: a user would have seen a traceback."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    error = result.exception
    if isinstance(error, MilestonesError):
        return Said(error.exit_code, result.stdout, str(error))
    if error is not None and not isinstance(error, SystemExit):
        raise error
    return Said(result.exit_code, result.stdout, result.stderr)
