"""A real PostgreSQL of the tests' own, which can be stopped, started and stalled."""

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.debian import POSTGRES
from tests.waiting import until_here

PASSWORD = "s3cret-of-the-database"
START_S = 60


class Postgres:
    """A server on loopback with one user, `voxline`. As root it runs as Debian's user `postgres`, as it must."""

    def __init__(self) -> None:
        self.port = _free_port()
        self._programs = Path(max(glob.glob(POSTGRES))).parent  # noqa: PTH207
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
        self.folder = Path(tempfile.mkdtemp(prefix="voxline-postgres-"))
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        for path in (self.folder, secret):
            if self._as:
                shutil.chown(path, "postgres", "postgres")
        options = f"-D {self.folder}/data -U voxline -A scram-sha-256 --pwfile {secret} -E UTF8 --locale=C --no-sync"
        self._run("initdb", *options.split())
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        """The address of one of its databases."""
        return f"postgresql://voxline:{password}@127.0.0.1:{self.port}/{database}"

    def clear(self) -> str:
        """Empty its database; returns the address. Another database for each test would be 7 MB in 300 files."""
        drop = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        self._run("psql", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "voxline", "-c", drop, "postgres")
        return self.url()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = (
            f"-D {self.folder}/data -p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off -c max_connections=30"
        )
        command = [str(self._programs / "postgres"), *options.split()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, **self._as)
        until_here(self._answers, START_S)

    def stop(self) -> None:
        """Stop it as an operator would: connections are cut."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_S)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """It neither answers nor refuses, as on a disk that hangs."""
        assert self._process
        server = psutil.Process(self._process.pid)
        processes = [server, *server.children()]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def close(self) -> None:
        """Stop it and remove everything."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)  # at once
            self._process.wait(START_S)
        shutil.rmtree(self.folder)

    def _answers(self) -> bool:
        command = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        environment = {"PGPASSWORD": PASSWORD, "LC_ALL": "C"}
        subprocess.run(command, cwd="/", env=environment, check=True, capture_output=True, **self._as)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
