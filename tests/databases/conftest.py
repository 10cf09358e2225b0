"""One PostgreSQL for all tests of databases, and a log that stands in each of the three."""

import os

import pytest

from tests.databases.servers import OWNER, SECRET, binaries, running_server

WITHOUT = "PostgreSQL is not installed (Debian: apt-get install postgresql)"


@pytest.fixture(scope="session")
def server():
    """Give a running PostgreSQL; on a machine for tests it must not be missing in silence."""
    if binaries() is None:
        if os.environ.get("CI"):
            pytest.fail(WITHOUT)
        pytest.skip(WITHOUT)
    with running_server() as started:
        yield started


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    """Let no test depend on what the user has for the driver."""
    for name in list(os.environ):
        if name.startswith("PG") or name == "KPAY_DATABASE_URL":
            monkeypatch.delenv(name)


@pytest.fixture
def password(server, monkeypatch):
    """Set KPAY_DATABASE_URL, as a user does whose server asks for a password."""
    said = f"postgresql://{OWNER}:{SECRET}@127.0.0.1:{server.port}/shop"
    monkeypatch.setenv("KPAY_DATABASE_URL", said)
    return said
