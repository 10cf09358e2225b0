"""A PostgreSQL of this machine that tests start and stop; it listens on loopback alone."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import psycopg

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
OWNER = "owner"
PASSWORD = "correct:horse@battery/staple"  # signs that an address must escape
SECRET = quote(PASSWORD, safe="")


def binaries() -> Path | None:
    """Return the folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    if BINARIES:
        return BINARIES[-1]
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def _as_ordinary_user(command: Sequence[object]) -> list[str]:
    """Run a command as somebody else where we are root, whom PostgreSQL refuses."""
    texts = [str(part) for part in command]
    if os.geteuid() != 0:
        return texts
    user = _ordinary_user()
    drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*drop, *texts]


def _ordinary_user() -> pwd.struct_passwd:
    names = {user.pw_name: user for user in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL; its owner's password is `PASSWORD`."""

    port: int

    def address(self, database: str = "shop", user: str = OWNER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "shop", user: str = OWNER, password: str = PASSWORD):
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            dbname=database,
            user=user,
            password=password,
            autocommit=True,
        )

    def run(self, *statements: str, database: str = "shop") -> None:
        with self.connect(database) as connection:
            for statement in statements:
                connection.execute(statement)

    def new_database(self, name: str) -> str:
        """Make an empty database, and return its address."""
        self.run(f"CREATE DATABASE {name}", database="postgres")
        return self.address(name)

    def write(self, frame: pd.DataFrame, table: str, types: dict[str, str], database: str) -> None:
        """Make a table of a frame; ``types`` are those of its columns, else text."""
        columns = ", ".join(f'"{name}" {types.get(name, "text")}' for name in frame)
        with self.connect(database) as connection:
            connection.execute(f'CREATE TABLE "{table}" ({columns})')
            asked = f'COPY "{table}" FROM STDIN (FORMAT csv)'
            with connection.cursor().copy(asked) as copy:
                copy.write(frame.to_csv(index=False, header=False))


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server in a temporary folder with passwords, and stop it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="kpay-pg-", dir="/tmp"))
    found = binaries()
    try:
        password = folder / "password"
        password.write_text(PASSWORD)
        if os.geteuid() == 0:
            user = _ordinary_user()
            os.chown(folder, user.pw_uid, user.pw_gid)
            os.chown(password, user.pw_uid, user.pw_gid)
        data = folder / "data"
        initdb = [found / "initdb", "-D", data, "-U", OWNER, "-A", "scram-sha-256"]
        initdb += ["--pwfile", password, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        _checked(_as_ordinary_user(initdb), folder)
        port = _free_port()
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [found / "pg_ctl", "-D", data, "-w", "-t", "60"]
        log = folder / "server.log"
        _checked(_as_ordinary_user([*control, "-l", log, "-o", options, "start"]), folder)
        try:
            server = Server(port)
            server.new_database("shop")
            yield server
        finally:
            _checked(_as_ordinary_user([*control, "-m", "immediate", "stop"]), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked(command: Sequence[str], folder: Path) -> None:
    log = folder / "output"
    with log.open("w") as output:  # a pipe would stay open as long as the server runs
        done = subprocess.run(command, cwd="/", stdout=output, stderr=output, check=False)
    assert done.returncode == 0, f"{command}: {log.read_text()}"
