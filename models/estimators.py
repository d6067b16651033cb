"""The estimators: stock scikit-learn pipelines, so that what is logged loads anywhere."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from features.arrays import Floats
from features.errors import UsageError

Factory = Callable[[int], Any]
DECIMALS = 12


def probability(model: Any, X: Any) -> Floats:
    """P(the good class) of each row, (n,), the same in every run.

    Threads add up the trees of a forest in any order, which moves the last digit and would break ties at random.
    """
    scores: Floats = model.predict_proba(X)[:, 1]
    return scores.round(DECIMALS)


def random_forest(seed: int) -> Any:
    """A forest that takes missing values as they are; leaves of 20 accounts keep the probabilities honest."""
    return Pipeline(
        [
            (
                "random_forest",
                RandomForestClassifier(
                    n_estimators=150,
                    min_samples_leaf=20,
                    max_features="sqrt",
                    max_samples=0.6,
                    n_jobs=-1,
                    random_state=seed,
                ),
            )
        ]
    )


def logistic(seed: int) -> Any:
    """Regularised logistic regression on inverse hyperbolic sines: counts are skewed, trends may be negative."""
    return make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True),
        FunctionTransformer(np.arcsinh),
        StandardScaler(),
        LogisticRegression(C=0.02, max_iter=300, random_state=seed),
    )


DEFAULT_ESTIMATOR = "random_forest"
ESTIMATORS: dict[str, Factory] = {"random_forest": random_forest, "logistic": logistic}


def find_estimator(name: str) -> Factory:
    """An estimator of ours by name, or one of your own as `package.module:Class` (a scikit-learn classifier).

    Raises UsageError where nothing of the sort can be made.
    """
    if name in ESTIMATORS:
        return ESTIMATORS[name]
    module, _, attribute = name.removeprefix("import:").partition(":")
    if not attribute:
        raise UsageError(
            f"--estimator {name}: choose {', '.join(ESTIMATORS)}, or your own as package.module:Class"
        )
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except Exception as error:  # whatever a stranger's module raises, the user reads one message
        raise UsageError(f"--estimator {name}: cannot make it: {type(error).__name__}: {error}") from error
    if not (isinstance(made, BaseEstimator) and is_classifier(made) and hasattr(made, "predict_proba")):
        raise UsageError(f"--estimator {name}: is no scikit-learn classifier with predict_proba")

    def factory(seed: int) -> Any:
        estimator = getattr(importlib.import_module(module), attribute)()
        if "random_state" in estimator.get_params():
            estimator.set_params(random_state=seed)
        return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), estimator)

    return factory
