"""Bars of the adoption benchmark: what everybody uses and what a few use is told apart from what keeps accounts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from features.adoption import recent_adoption
from features.arrays import Flags, Floats
from features.catalogue import described
from features.declaration import Features
from features.specs import Aggregation, FeatureSpec
from features.windows import last
from models.estimators import random_forest
from models.importance import permutation_importance
from models.splits import N_FOLDS, folds

N_ACCOUNTS = 2500
N_FEATURES = 50
TOP = 3
UBIQUITOUS, NICHE, DRIVER, TWIN = (
    "home_screen_styled",
    "sla_rule_edited",
    "app_action_used",
    "app_card_viewed",
)
# They keep accounts, less than the driver does.
LESSER = ("report_viewed", "macro_applied", "bot_reply_sent", "workflow_run")
SHARES = {UBIQUITOUS: 0.97, NICHE: 0.03, DRIVER: 0.40} | dict.fromkeys(LESSER, 0.40)
# Of staying, for whoever uses it.
LOGITS = {UBIQUITOUS: 1.5, NICHE: 3.0, DRIVER: 1.5} | dict.fromkeys(LESSER, 0.9)
TWIN_SPREAD = 0.28  # of the logarithm of a twin's count around the driver's: together they correlate at .95


@dataclass(frozen=True)
class Ranked:
    """Features by importance, the first the largest, and the class of each by its adoption."""

    names: tuple[str, ...]
    classes: dict[str, str]


def ranked(seed: int, *, twin: bool = False) -> Ranked:
    """Rank 50 features of 2,500 accounts as `train` does, on accounts that each model never saw."""
    rng = np.random.default_rng(seed)
    values, stays = _company(rng, twin=twin)
    names = list(values.columns)
    X, fold = values.to_numpy(np.float32), folds(pd.Series(np.arange(N_ACCOUNTS).astype(str)))
    fitted = [
        (random_forest(seed).fit(X[fold != k], stays[fold != k]), np.flatnonzero(fold == k))
        for k in range(N_FOLDS)
    ]
    found = permutation_importance(fitted, X, stays, names, rng)
    return Ranked(tuple(one.feature for one in found), _classes(values))


def _company(rng: np.random.Generator, *, twin: bool) -> tuple[pd.DataFrame, Flags]:
    """The counts of every feature by account, and who stays."""
    noise = [f"noise_{i}" for i in range(N_FEATURES - len(SHARES) - twin)]
    shares = SHARES | {name: float(rng.uniform(0.1, 0.9)) for name in noise}
    used = {name: rng.random(N_ACCOUNTS) < share for name, share in shares.items()}
    values = pd.DataFrame({name: _counts(rng, flags) for name, flags in used.items()})
    if twin:
        spread = np.exp(rng.normal(0, TWIN_SPREAD, N_ACCOUNTS))
        values[TWIN] = np.ceil(values[DRIVER] * spread)
    logit = sum(size * (used[name] - shares[name]) for name, size in LOGITS.items()) + 1.0
    return values, np.asarray(rng.random(N_ACCOUNTS) < 1 / (1 + np.exp(-logit)), dtype=bool)


def _counts(rng: np.random.Generator, used: Flags) -> Floats:
    return np.where(used, np.ceil(rng.lognormal(1.5, 0.8, len(used))), 0.0)


def _classes(values: pd.DataFrame) -> dict[str, str]:
    specs = [
        FeatureSpec(name, name, Aggregation.COUNT, last(90), events=(name,)) for name in map(str, values)
    ]
    frame = values.assign(account_id=np.arange(len(values)).astype(str), as_of=pd.Timestamp("2024-01-01"))
    told = [{**words, "by_definition": False} for words in described(specs)]
    found = recent_adoption(frame, told, Features())
    return {name: str(one["class"]) for name, one in found.items()}


# How a ranking is judged.


def ubiquitous_is_told(result: Ranked) -> list[bool]:
    """Whether the feature of everybody is classed as such, and so proposes no milestone."""
    return [result.classes[UBIQUITOUS] == "ubiquitous"]


def niche_is_told(result: Ranked) -> list[bool]:
    """Whether the feature of a few is classed as such, however important it is to them."""
    return [result.classes[NICHE] == "niche"]


def driver_leads(result: Ranked) -> list[bool]:
    """Whether the driver is representative and among the three most important of all features."""
    return [DRIVER in result.names[:TOP] and result.classes[DRIVER] == "representative"]
