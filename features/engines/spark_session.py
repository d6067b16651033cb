"""A session on a Spark master: how it is started and asked, and what it says when something is wrong."""

import os
import re
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import ibis

from features.errors import DataError, StoreError

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # else it refuses files with times in nanoseconds
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# On one machine: nothing listens to others, and two hundred partitions would each start a Python.
ONE_MACHINE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
}
PATIENCE_SECONDS = 5.0  # for a master to take a connection


def connect(master: str) -> Any:
    """A session on a Spark master; a second call gives the same session.

    Raises DataError where the extra is not installed or this process is in a session elsewhere, StoreError when the
    master is away.
    """
    # PySpark 4 says of pandas 3 that some of pyspark.pandas may not work: nothing of it is used here.
    warnings.filterwarnings(
        "ignore", message="PySpark does not yet fully support pandas", category=FutureWarning
    )
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise DataError(
            f"data.engine {master}: Spark needs Java 17 and the extra `spark`: run `make engines`, or pip install pyspark"
        ) from error
    require_answer(master)
    running = SparkSession.getActiveSession()
    # It would be given instead, without a word.
    if running is not None and running.sparkContext.master != master:
        raise DataError(
            f"data.engine {master}: this process already has a Spark session on {running.sparkContext.master}: stop that"
            " one first, or run this command in a process of its own"
        )
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    quiet = resources.files("features.engines") / "spark_log.properties"
    settings = SETTINGS | (ONE_MACHINE if master.startswith("local") else {})
    builder = SparkSession.builder.master(master).appName("milestones")
    builder = builder.config("spark.driver.extraJavaOptions", f"-Dlog4j2.configurationFile={quiet}")
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Exception as error:  # whatever a JVM that does not come up makes of it
        raise StoreError(
            f"data.engine {master}: Spark cannot be started: {_words(error)}; it needs Java 17 and, for spark://, a"
            " running master"
        ) from error
    return ibis.pyspark.connect(session)


def require_answer(master: str) -> None:
    """Raises StoreError where nothing listens at any host of `spark://host:port[,host:port]`: Spark itself would wait.

    What other masters are reached by is Spark's to know: they are not asked.
    """
    if not master.startswith("spark://"):
        return
    refused = []
    for address in master.removeprefix("spark://").split(","):
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE_SECONDS).close()
            return
        except (OSError, OverflowError) as error:
            refused.append(f"{address} ({error})")
    raise StoreError(
        f"data.engine {master}: no Spark master can be reached at {', '.join(refused)}, each given"
        f" {PATIENCE_SECONDS:g} seconds: start the master, or correct host and port"
    )


@contextmanager
def told(table: str = "the tables") -> Iterator[None]:
    """What Spark says, as errors for people."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, ConnectionError) as error:
        said = _words(error)
        if re.search("FILE_NOT_EXIST|PATH_NOT_FOUND|does not exist", said):
            raise StoreError(
                f"a source was taken away while it was read ({said}): put it back and run again"
            ) from error
        if isinstance(error, ConnectionError) or re.search("SparkContext was|application has been", said):
            raise StoreError(f"Spark went away: {said}; see that the master is up and run again") from error
        raise DataError(f"{table} cannot be read: {said}") from error


def _words(error: Exception) -> str:
    """The first line of what was the cause of it all: Java wraps it several times."""
    cause = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    text = str(error) if cause is None else str(cause.toString())
    return (text.strip().splitlines() or [type(error).__name__])[0][:300]
