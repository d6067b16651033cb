"""A model in the record: a stock scikit-learn pipeline that loads on any machine, without this repository.

The format is skops with a fixed list of trusted types; cloudpickle is the fallback for estimators of a user's
own, and says so. The example and the signature hold quantiles of the features, never the row of an account.
"""

from __future__ import annotations

import io
import logging
import pickle
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from features.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# Each was read in its library's source: it holds arrays and numbers and runs nothing when it is loaded.
# skops trusts the public estimators by itself and asks about these, which are private or compiled. A new one
# is added here after reading, never by copying what skops reports.
TRUSTED_TYPES = (
    "numpy.dtype",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)

ROOMS = frozenset({"features", "models", "experiments", "reports", "milestones"})

_REQUIRED = ("mlflow", "scikit-learn", "numpy", "pandas", "scipy", "skops")
_REQUIRED_MODULES = frozenset({"mlflow", "sklearn", "numpy", "pandas", "scipy", "skops"})
_QUANTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class ModelRecord:
    """Where a logged model is: its URI, its id, and its version in the registry if it was registered."""

    uri: str
    model_id: str
    version: str | None
    format: str = "skops"
    caution: str = ""


def registry_name(name: str) -> str:
    """The name with the characters that MLflow refuses in names of models replaced by a dash."""
    return re.sub(r"[/:.%\"']", "-", name)


def log(
    estimator: Any,
    X_example: pd.DataFrame,
    name: str,
    *,
    params: Mapping[str, object] | None = None,
    registered_name: str | None = None,
) -> ModelRecord:
    """Log a fitted classifier to the active run; its `predict` in MLflow returns probabilities, (n, classes).

    `X_example` is a frame with the columns the estimator was fitted on, (n, features), n >= 1.
    Raises DataError for an estimator without `predict_proba`, for one that cannot be saved, and for one that
    contains a class or function of this repository.
    """
    if not hasattr(estimator, "predict_proba"):
        raise DataError(
            f"{type(estimator).__name__} has no predict_proba, so it gives no risk: wrap it in "
            "sklearn.calibration.CalibratedClassifierCV, or choose a classifier that has one"
        )
    modules = _modules(estimator)
    _refuse_own(modules, estimator)
    untrusted = _untrusted(estimator)
    chosen = "cloudpickle" if untrusted else "skops"
    example = example_rows(X_example)
    with _quiet("mlflow.sklearn"), warnings.catch_warnings():
        # While it is imported, MLflow warns of type hints of its own.
        warnings.filterwarnings("ignore", message=".*type hint is inferred as AnyType", category=UserWarning)
        import mlflow.sklearn
        from mlflow.models import infer_signature

        info = mlflow.sklearn.log_model(
            estimator,
            name=registry_name(name),
            pyfunc_predict_fn="predict_proba",
            signature=infer_signature(example, estimator.predict_proba(example)),
            input_example=example,
            pip_requirements=_requirements(modules, chosen),
            serialization_format=chosen,
            skops_trusted_types=None if untrusted else list(TRUSTED_TYPES),
            params={key: str(value) for key, value in (params or {}).items()},
            tags={"model.format": chosen},
        )
    version = _register(info.model_uri, registered_name) if registered_name else None
    caution = _caution(estimator, untrusted) if untrusted else ""
    return ModelRecord(info.model_uri, info.model_id, version, chosen, caution)


def _register(uri: str, name: str) -> str:
    """Register a logged model, without the lines that MLflow prints about it; returns the new version."""
    import mlflow

    with redirect_stderr(io.StringIO()):
        return str(mlflow.register_model(uri, registry_name(name)).version)


def example_rows(X: pd.DataFrame) -> pd.DataFrame:
    """Three made-up rows: the quartiles of each numeric column as float64, the commonest value of any other.

    Numbers are floats even where the column holds integers: the signature has to accept missing ones later.
    """
    import numpy as np
    import pandas as pd

    columns = {}
    for column in X.columns:
        values = X[column]
        if pd.api.types.is_numeric_dtype(values):
            numbers = pd.Series(values.to_numpy(dtype="float64", na_value=np.nan))
            columns[column] = numbers.quantile(list(_QUANTILES)).reset_index(drop=True)
        else:
            commonest = values.mode().iloc[:1].repeat(len(_QUANTILES))
            columns[column] = commonest.astype(values.dtype).reset_index(drop=True)
    return pd.DataFrame(columns)


class _Reader(pickle.Unpickler):
    """Unpickles while it notes every module that a class or function is taken from."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.modules: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module)
        return super().find_class(module, name)


def _modules(estimator: Any) -> frozenset[str]:
    """Every module that loading the estimator needs; a pickle names them all, whatever holds them."""
    import cloudpickle  # type: ignore[import-untyped]

    try:
        reader = _Reader(cloudpickle.dumps(estimator))
        reader.load()
    except Exception as error:
        raise DataError(
            f"{type(estimator).__name__} cannot be saved ({error}): keep open files, locks and "
            "connections out of the estimator's attributes"
        ) from error
    return frozenset(reader.modules)


def _refuse_own(modules: frozenset[str], estimator: Any) -> None:
    own = sorted(module for module in modules if module.partition(".")[0] in ROOMS)
    if own:
        raise DataError(
            f"{type(estimator).__name__} contains something from {', '.join(own)}, which a machine "
            "without this repository could not load: build features before the model, and keep the model to "
            "scikit-learn or installed packages"
        )


def _untrusted(estimator: Any) -> list[str]:
    """What keeps the estimator out of skops: the types outside TRUSTED_TYPES, or the reason it gave."""
    import skops.io

    try:
        types = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    except Exception as error:  # skops raises many kinds; whichever it is, the answer is the fallback
        return [f"skops: {error}"]
    return sorted(set(types) - set(TRUSTED_TYPES))


def _requirements(modules: frozenset[str], chosen: str) -> list[str]:
    """Pinned requirements, written out: left to itself MLflow starts a process per model to guess them."""
    names = [*_REQUIRED, *(["cloudpickle"] if chosen == "cloudpickle" else [])]
    roots = {module.partition(".")[0] for module in modules}
    foreign = roots - _REQUIRED_MODULES - set(sys.stdlib_module_names) - {"cloudpickle", "__main__"}
    if foreign:
        distributions = metadata.packages_distributions()
        names += sorted({name for root in foreign for name in distributions.get(root, [])} - set(names))
    return [f"{name}=={metadata.version(name)}" for name in names]


def _caution(estimator: Any, untrusted: list[str]) -> str:
    return (
        f"The model {type(estimator).__name__} was saved with cloudpickle, because skops does not trust "
        f"{', '.join(untrusted)[:500]}: load it only if you trust where it came from, on a machine that "
        "has the modules it names."
    )


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep one logger at ERROR for a while: what it warns of is said in the run's note instead."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
