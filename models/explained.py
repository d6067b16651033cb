"""Whether strata explain an effect: how much less of it there is within them, beyond what they lose of its precision."""

import numpy as np
from scipy.sparse import csr_array

from features.arrays import Flags, Floats, Integers
from models.estimates import account_codes
from models.replicates import turns

N_RESAMPLES = 500
SURE = 0.99  # one-sided, of the crude effect being larger than the one within strata


def surely_taken(
    stratum: Integers, reached: Flags, outcome: Flags, account: Integers, rng: np.random.Generator
) -> bool:
    """Whether strata take something of the effect for certain, or only lose precision."""
    taken = _taken_by_strata(stratum, reached, outcome, account, rng)
    return bool(np.quantile(taken, 1 - SURE) > 0)


def _taken_by_strata(
    stratum: Integers, reached: Flags, outcome: Flags, account: Integers, rng: np.random.Generator
) -> Floats:
    """(resamples,): the crude risk difference minus the one within strata, over resamples of the accounts."""
    codes, n_accounts = account_codes(account, len(stratum))
    shape = (int(stratum.max()) + 1, 2, 2)
    cells = np.ravel_multi_index((stratum, reached, outcome), shape)
    of_account = csr_array((np.ones(len(cells)), (codes, cells)), shape=(n_accounts, int(np.prod(shape))))
    even = np.full(n_accounts, 1 / n_accounts)
    draws = [rng.multinomial(n_accounts, even, size=n) @ of_account for n in turns(N_RESAMPLES, n_accounts)]
    table = np.concatenate(draws).reshape(-1, *shape)
    n, good = table.sum(axis=3), table[..., 1]  # (resamples, strata, reached or not)
    crude = _rates(good.sum(axis=1), n.sum(axis=1))
    shared = n[..., 0] * n[..., 1] / np.maximum(n.sum(axis=2), 1)
    rates = good / np.maximum(n, 1)
    weight = np.maximum(shared.sum(axis=1), 1e-300)
    within = (shared * (rates[..., 1] - rates[..., 0])).sum(axis=1) / weight
    return np.asarray(crude[:, 1] - crude[:, 0] - within)


def _rates(good: Floats, n: Floats) -> Floats:
    return good / np.maximum(n, 1)
