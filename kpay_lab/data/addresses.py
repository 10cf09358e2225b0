"""Where a database lies: its address, which never holds a secret.

A password comes from the environment variable ``KPAY_DATABASE_URL`` or from the driver's own
files (``~/.pgpass``, a service file), and goes to the driver alone.

>>> address = Address.of("postgresql://reader@db.example/shop?schema=live")
>>> address.host, address.user, address.database, address.schema
('db.example', 'reader', 'shop', 'live')
>>> print(address)
postgresql://reader@db.example/shop?schema=live
>>> Address.of("postgresql://reader:hunter2@db.example/shop")
Traceback (most recent call last):
ValueError: the address of the database holds a password; leave it out, and put the whole address
into the environment variable KPAY_DATABASE_URL, or the password into the driver's own ~/.pgpass
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from kpay_lab.data.rows import printable

VARIABLE = "KPAY_DATABASE_URL"
SERVER = "postgresql"
FILES = ("sqlite", "duckdb")
SCHEMES = (SERVER, *FILES)
OTHER_SCHEMES = {"postgres": SERVER, "sqlite3": "sqlite", "ddb": "duckdb"}
WRITTEN = "postgresql://host/database, sqlite:///file or duckdb:///file"
PORT = 5432
# What may stand behind the ? of an address: where tables lie, and how the driver gets there.
OPTIONS = ("schema", "service", "sslmode", "sslrootcert", "connect_timeout", "host")
SCHEME = re.compile(r"([A-Za-z][\w+.-]+)://")
PASSWORD = re.compile(r"//[^/?#]*:.*@|[?&](ssl)?password=", re.IGNORECASE | re.DOTALL)
HOLDS_A_PASSWORD = (
    "the address of the database holds a password; leave it out, and put the whole address into "
    f"the environment variable {VARIABLE}, or the password into the driver's own ~/.pgpass"
)


@dataclass(frozen=True)
class Address:
    """Where a database lies; printing it gives the text by which it is asked for.

    Parameters
    ----------
    scheme : {"postgresql", "sqlite", "duckdb"}
    path : Path, optional
        The file of SQLite or DuckDB.
    host, user, database : str
        Of PostgreSQL; '' where the driver knows them itself.
    port : int, optional
    schema : str
        The schema whose tables are looked at; '' for the first of the user's search path.
    options : mapping of str to str
        What else the driver is told, such as ``sslmode``.
    """

    scheme: str
    path: Path | None = None
    host: str = ""
    user: str = ""
    database: str = ""
    port: int | None = None
    schema: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "Address":
        """Read an address.

        Raises
        ------
        ValueError
            If it holds a password, or is not one of a database that can be read. No message
            repeats an address that may hold a secret.
        """
        if PASSWORD.search(text):
            raise ValueError(HOLDS_A_PASSWORD)
        return _read(text)

    def __str__(self) -> str:
        if self.path is not None:
            return f"{self.scheme}:///{self.path}"
        user = f"{quote(self.user)}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        said = {"schema": self.schema} if self.schema else {}
        options = urlencode(said | dict(self.options), safe="/")
        asked = f"?{options}" if options else ""
        return f"{self.scheme}://{user}{host}{port}/{quote(self.database)}{asked}"

    @property
    def name(self) -> str:
        """The name of the database or its file, for a headline."""
        return self.path.name if self.path is not None else self.database or str(self)

    @property
    def server(self) -> tuple[str, int]:
        """The host and port that a password is for."""
        return self.host.lower(), self.port or PORT


def is_address(source: object) -> bool:
    """Return whether a source is the address of a database and no file or folder.

    >>> is_address("sqlite:///shop.db"), is_address("shop.db"), is_address("log/events.csv")
    (True, False, False)
    """
    return isinstance(source, str) and SCHEME.match(source) is not None


def _read(text: str) -> Address:
    match = SCHEME.match(text)
    word = match.group(1).lower() if match else ""
    scheme = OTHER_SCHEMES.get(word, word)
    if scheme not in SCHEMES:
        raise ValueError(f"{printable(word) or 'it'} is no database that can be read: {WRITTEN}")
    if scheme in FILES:
        file = text.partition("://")[2].removeprefix("/")
        if not file:
            raise ValueError(f"the address names no file; write {scheme}:///shop.db")
        return Address(scheme, path=Path(file).expanduser())
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its message may repeat a part of a password
        raise ValueError(f"the address cannot be read; write {WRITTEN}") from None
    return _of_server(parts, port)


def _of_server(parts: SplitResult, port: int | None) -> Address:
    options = dict(parse_qsl(parts.query))
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise ValueError(
            f"the address has the option {printable(unknown[0])}; there are {', '.join(OPTIONS)}"
        )
    schema = options.pop("schema", "")
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return Address(
        SERVER,
        host=host,
        user=unquote(parts.username or ""),
        database=unquote(parts.path.strip("/")),
        port=port,
        schema=schema,
        options=options,
    )


@dataclass(frozen=True)
class Credentials:
    """Who asks, and with which password; neither is ever printed.

    Parameters
    ----------
    user, password : str
        '' where the driver's own files say it.
    """

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def scrubbed(self, text: str) -> str:
        """Return a driver's message without the password, however it is written there."""
        secrets = {self.password, quote(self.password), quote(self.password, safe="")}
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def credentials_for(address: Address) -> Credentials:
    """Return what ``KPAY_DATABASE_URL`` says of the server of an address; else nothing.

    A password is never sent to another server than the variable names.

    Raises
    ------
    ValueError
        If the variable cannot be read; the message does not repeat it.
    """
    said = os.environ.get(VARIABLE, "")
    if address.scheme != SERVER or not said:
        return Credentials()
    try:
        parts = urlsplit(said)
        port = parts.port
        options = dict(parse_qsl(parts.query))
    except ValueError:
        raise ValueError(f"{VARIABLE} cannot be read; {REMEDY_OF_VARIABLE}") from None
    if OTHER_SCHEMES.get(parts.scheme, parts.scheme) != SERVER:
        raise ValueError(f"{VARIABLE} is no address of PostgreSQL; {REMEDY_OF_VARIABLE}")
    host = options.get("host", "") or unquote(parts.hostname or "")
    user = unquote(parts.username or "")
    is_same_server = (host.lower(), port or PORT) == address.server
    is_same_user = address.user in ("", user)
    if not (is_same_server and is_same_user):
        return Credentials()
    password = unquote(parts.password or "") or options.get("password", "")
    return Credentials(user, password)


REMEDY_OF_VARIABLE = (
    "write postgresql://user:password@host:port/database, with signs such as @ : / % in the "
    "password as %40 %3A %2F %25"
)
