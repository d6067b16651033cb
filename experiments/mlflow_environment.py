"""What MLflow reads from the environment: set where the user has not, changed for a moment, and put back."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# Addresses and progress bars would be printed between the lines of `--json`; MLflow's own patience is seven retries of
# two minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
# Asked once and briefly, a server that is away is found out in seconds.
_PROBE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


def settle() -> None:
    """Set what is not set of the environment, and quieten the loggers that would speak between our lines."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if "MLFLOW_LOGGING_LEVEL" not in os.environ:
        import mlflow  # noqa: F401  (it sets its own level when it is imported)

        for logger in ("mlflow", "alembic"):
            logging.getLogger(logger).setLevel(logging.WARNING)


@contextmanager
def briefly() -> Iterator[None]:
    """Replace our own retries and time limit by those of a first knock; a user's own are kept."""
    before = {name: os.environ.get(name) for name in _PROBE}
    os.environ.update({name: _PROBE[name] for name in _PROBE if before[name] == _ENVIRONMENT[name]})
    try:
        yield
    finally:
        _restore(before)


@contextmanager
def using(uri: str) -> Iterator[None]:
    """Point MLflow's fluent functions at a store, and back again.

    They keep the address in the environment, where the next workspace would take it for the user's wish.
    """
    import mlflow

    before = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before["MLFLOW_TRACKING_URI"] or "")
        mlflow.set_registry_uri(before["MLFLOW_REGISTRY_URI"] or "")
        _restore(before)


def _restore(before: Mapping[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
