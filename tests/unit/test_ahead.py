"""The next item is made while the one before it is used."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.ahead import ahead


def test_the_next_item_is_made_while_one_is_used() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    found = ahead(items())
    assert next(found) == 1
    assert second.wait(5), "nobody asked for the second one yet, and it is made"
    assert list(found) == [2]


def test_what_goes_wrong_is_raised_where_the_item_is_used() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="the second"):
        next(found)
    assert list(ahead([])) == []


QUERIES = {
    "a stream": "list(ahead(ahead(DuckDB().stream(long))))",
    "a fetch": "DuckDB().fetch(long)",
    "a write": "DuckDB().write(long, Path(sys.argv[1]))",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("wait_seconds", [0.0, 0.5])
def test_a_query_that_takes_long_ends_at_ctrl_c(query: str, wait_seconds: float, tmp_path: Path) -> None:
    """It must not keep a person waiting, whichever of DuckDB's threads has the work."""
    program = f"""
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from features.ahead import ahead
from features.engines.duckdb import DuckDB, connect
store = connect()
store.raw_sql("CREATE VIEW long AS SELECT hash(i) % 7 AS k, count(*) AS n FROM range(100000000000) AS r(i) GROUP BY 1")
long = store.table("long")
try:
    print("asked", flush=True)
    {query}
except KeyboardInterrupt:
    print("stopped")
"""
    command = [sys.executable, "-c", program, str(tmp_path / "long.parquet")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "asked\n"
        time.sleep(wait_seconds)
        os.kill(running.pid, signal.SIGINT)
        try:
            said, _ = running.communicate(timeout=60)
        finally:
            running.kill()
    assert said == "stopped\n"


def test_what_composes_blocks_needs_no_engine() -> None:
    """Executors on other machines get the code of the blocks, and need none of what reads sources."""
    program = (
        "import sys, features.blocks; print([m for m in ('duckdb', 'ibis', 'pydantic') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert found.stdout == "[]\n"
