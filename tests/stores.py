"""Real stores for tests: a Postgres server of our own on loopback, and a Spark cluster with executor processes."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from features.engines import postgres

# Two executors, each a process of its own with one core.
SPARK_CLUSTER = "local-cluster[2,1,1024]"


def postgres_programs() -> Path:
    """The folder of initdb and pg_ctl; the test is skipped where there is none."""
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places or not (places[-1] / "pg_ctl").exists():
        pytest.skip("no Postgres server is installed (Debian: apt install postgresql)")
    return places[-1]


def spark_cluster() -> str:
    """The master of a local cluster; the test is skipped where Spark or Java is missing."""
    pytest.importorskip("pyspark", reason="the extra `spark` is not installed (make engines)")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java (Debian: apt install openjdk-17-jre-headless)")
    return SPARK_CLUSTER


@contextmanager
def postgres_server() -> Generator["Server"]:
    """A server with an empty database. It is stopped at the end, whatever happens."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed (make engines)")
    programs = postgres_programs()
    # Not among pytest's folders: another run of pytest removes those that are old.
    with tempfile.TemporaryDirectory() as folder:
        server = Server(programs, Path(folder) / "server")
        server.start()
        try:
            yield server
        finally:
            server.stop()


class Server:
    """One Postgres server; Postgres refuses to run as root, so that root runs it as the user postgres."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs, self.folder = programs, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.user = "postgres" if os.getuid() == 0 else None
        folder.mkdir(parents=True)
        if self.user:
            folder.parent.chmod(0o711)
            os.chown(folder, pwd.getpwnam(self.user).pw_uid, -1)
        self._run("initdb", "-D", str(folder / "data"), "-U", "milestones", "-A", "trust", "-E", "UTF8")

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"postgresql://milestones@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder}"
        log = str(self.folder / "log")
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", log, "-w", "-t", "60", "start"
        )

    def stop(self) -> None:
        """Stop it at once, connections or not; nothing happens where it does not run."""
        if not (self.folder / "data" / "postmaster.pid").exists():
            return
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self.programs / program), *arguments], check=True, user=self.user, cwd="/", stdout=subprocess.DEVNULL
        )  # fmt: skip


def load(address: str, schema: str, name: str, frame: pd.DataFrame) -> str:
    """Put a frame into a table `schema.name`; returns the source that names it."""
    backend = postgres.connect(address)
    backend.con.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    backend.create_table(name, schema=ibis.Schema.from_pyarrow(rows.schema), database=schema)
    if len(rows):
        backend.insert(name, rows, database=schema)
    return f"{address}::{schema}.{name}"
