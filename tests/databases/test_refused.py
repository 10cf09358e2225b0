"""One clear line for everything that keeps a database from being read."""

import sqlite3

import duckdb
import pytest

from kpay_lab.data.addresses import Address
from kpay_lab.workbench import open_log
from tests.databases.servers import OWNER, PASSWORD

LOG = "CREATE TABLE events (user_id text, item_id text)"
ROW = "INSERT INTO events VALUES ('u1', 'i1')"


def refused(source, **given):
    with pytest.raises(ValueError) as caught:
        open_log(source, **given)
    (line,) = str(caught.value).splitlines()
    assert PASSWORD not in line
    return line


@pytest.fixture
def sqlite(tmp_path):
    """Return a function: statements -> the address of a file in which they were done."""

    def made(*statements):
        path = tmp_path / f"shop {len(list(tmp_path.iterdir()))}.db"
        connection = sqlite3.connect(path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()
        return f"sqlite:///{path}"

    return made


@pytest.fixture
def duck(tmp_path):
    """Do the same with DuckDB."""

    def made(*statements):
        path = tmp_path / f"shop {len(list(tmp_path.iterdir()))}.duckdb"
        with duckdb.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        return f"duckdb:///{path}"

    return made


def test_an_address_is_refused_that_holds_a_password_or_is_none():
    for text in (
        "postgresql://reader:hunter2@db/shop",
        "postgresql://reader:hun/ter2@db/shop",
        "postgresql://db/shop?password=hunter2",
        "postgresql://db/shop?user=reader&sslpassword=hunter2",
    ):
        line = refused(text)
        assert "holds a password" in line
        assert "KPAY_DATABASE_URL" in line
        assert "hunter2" not in line and "ter2" not in line
    assert "mysql is no database that can be read" in refused("mysql://db/shop")
    assert "the address names no file" in refused("sqlite://")
    assert "the address cannot be read" in refused("postgresql://db:here/shop")
    assert "has the option passfile" in refused("postgresql://db/shop?passfile=x")


@pytest.mark.parametrize("text", ["postgresql://a@db:6000/shop?schema=x", "sqlite:////a/b.db"])
def test_an_address_is_printed_as_it_is_written(text):
    assert str(Address.of(text)) == text


def test_a_variable_that_cannot_be_read_is_not_repeated(monkeypatch):
    monkeypatch.setenv("KPAY_DATABASE_URL", "postgresql://a:hun/ter2@db/shop")
    line = refused("postgresql://db/shop")
    assert line.startswith("KPAY_DATABASE_URL cannot be read")
    assert "hun" not in line and "ter2" not in line


def test_a_server_that_is_not_there(server):
    line = refused("postgresql://127.0.0.1:1/shop")
    assert "127.0.0.1:1/shop: the server cannot be reached" in line
    assert "cannot be reached" in refused("postgresql://no.such.host.invalid/shop")


def test_no_such_database_and_a_wrong_password(server, password, monkeypatch):
    line = refused(server.address("nowhere"))
    assert 'database "nowhere" does not exist' in line
    wrong = password.replace("correct", "incorrect")
    monkeypatch.setenv("KPAY_DATABASE_URL", wrong)
    line = refused(server.address())
    assert "password authentication failed" in line
    assert "KPAY_DATABASE_URL" in line
    assert "incorrect" not in line and "staple" not in line


def test_a_password_goes_to_no_other_server_and_no_other_user(server, password, monkeypatch):
    elsewhere = password.replace("127.0.0.1", "localhost")
    monkeypatch.setenv("KPAY_DATABASE_URL", elsewhere)
    assert "password" in refused(server.address())
    monkeypatch.setenv("KPAY_DATABASE_URL", password)
    assert "password" in refused(server.address(user="somebody"))


def test_the_drivers_own_file_of_passwords_is_used(server, tmp_path, monkeypatch):
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{server.port}:*:{OWNER}:{escaped}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert "holds no table" in refused(server.address())
    service = tmp_path / "services"
    service.write_text(f"[live]\nhost=127.0.0.1\nport={server.port}\nuser={OWNER}\ndbname=shop\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    assert "holds no table" in refused("postgresql:///?service=live")


def test_tables_that_are_not_there_or_may_not_be_read(server, password, monkeypatch):
    address = server.new_database("rights")
    server.run(LOG, ROW, database="rights")
    line = refused(address, mapping={"tables": {"events": "evnts"}})
    assert "mapping.tables: evnts is not in" in line
    assert "it holds events" in line
    line = refused(address, mapping={"tables": {"events": "live.events"}})
    assert 'relation "live.events" does not exist' in line
    line = refused(address, mapping={"tables": {"events": "SELECT * FROM evnts"}})
    assert 'relation "evnts" does not exist' in line
    line = refused(address, mapping={"tables": {"orders": "events"}})
    assert "mapping.tables names no events" in line
    server.run(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'", database="rights")
    monkeypatch.setenv("KPAY_DATABASE_URL", password.replace("owner", "reader"))
    line = refused(server.address("rights", user="reader"))
    assert "permission denied for table events; ask for the right to SELECT" in line


def test_a_query_may_only_select(server, password):
    address = server.new_database("selecting")
    server.run(LOG, ROW, "CREATE SEQUENCE counted", database="selecting")
    for query, said in {
        "DELETE FROM events": "begins with DELETE; it may only select",
        "SELECT 1; DROP TABLE events": "it holds 2 statements",
        "WITH gone AS (DELETE FROM events RETURNING *) SELECT * FROM gone": "holds DELETE",
        "SELECT * INTO other FROM events": "holds INTO",
        "SELECT * FROM events FOR UPDATE": "holds LOCK",
        "SELECT 1) TO PROGRAM 'touch x' --": "the query cannot be read",
        "SELEC * FROM events": "the query",
        "SELECT * FROM dblink('password=hunter2', 'SELECT 1')": "the query holds a password",
        "SELECT user_id, nextval('counted')::text AS item_id FROM events": "read-only",
        "SELECT user_id, colour AS item_id FROM events": 'column "colour" does not exist',
    }.items():
        assert said in refused(address, mapping={"tables": {"events": query}})
    with server.connect("selecting") as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


def test_files_that_are_no_databases_or_not_there(tmp_path, sqlite, duck):
    text = tmp_path / "events.csv"
    text.write_text("user_id,item_id\nu,i\n" * 1000)
    assert "is no database of SQLite" in refused(f"sqlite:///{text}")
    assert "is no database of DuckDB" in refused(f"duckdb:///{text}")
    assert "is no database of DuckDB" in refused(sqlite(LOG).replace("sqlite", "duckdb", 1))
    assert "is no database of SQLite" in refused(duck(LOG).replace("duckdb:", "sqlite:", 1))
    assert "is not there" in refused(f"sqlite:///{tmp_path / 'nothing.db'}")
    assert not (tmp_path / "nothing.db").exists()
    assert "is a folder" in refused(f"duckdb:///{tmp_path}")


def test_files_are_not_written_to_and_no_other_file_is_read(sqlite, duck, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("user_id,item_id\nu,i\n")
    query = f"SELECT * FROM read_csv('{other}')"
    line = refused(duck(LOG), mapping={"tables": {"events": query}})
    assert "disabled" in line
    line = refused(sqlite(LOG), mapping={"tables": {"events": "PRAGMA user_version = 5"}})
    assert "may only select" in line


def test_tables_without_rows_and_without_events(sqlite, duck):
    assert "0 events remain" in refused(sqlite(LOG))
    assert "0 events remain" in refused(duck(LOG))
    line = refused(duck("CREATE TABLE prices (a int)", "CREATE TABLE weather (b int)"))
    assert "holds no events" in line
    assert "mapping.tables" in line


def test_types_that_cannot_be_read(server, password, sqlite, duck):
    address = server.new_database("types")
    server.run(
        "CREATE TABLE events (user_id bytea, item_id text, payload jsonb, tags text[])",
        "INSERT INTO events VALUES ('u', 'i', '{}', '{a}')",
        database="types",
    )
    line = refused(address)
    assert "events: user_id is of type bytea, which cannot be read" in line
    assert "SELECT" in line
    query = "SELECT encode(user_id, 'escape') AS user_id, item_id, payload, tags FROM events"
    log = open_log(address, mapping={"tables": {"events": query}})
    assert log.tables.events["user_id"].tolist() == ["u"]
    note = next(note for note in log.notes if "no plain values" in note)
    assert "payload (jsonb), tags (text[])" in note
    line = refused(duck("CREATE TABLE events AS SELECT [1] AS user_id, 'i' AS item_id"))
    assert "user_id is of type integer[]" in line
    line = refused(
        sqlite("CREATE TABLE events (user_id, item_id)", "INSERT INTO events VALUES (x'ff', 1)")
    )
    assert "user_id is of type blob" in line


def test_a_mapping_of_files_and_of_tables_is_refused(sqlite):
    both = {"files": {"events": "a.csv"}, "tables": {"events": "events"}}
    assert "keep one of them" in refused(sqlite(LOG, ROW), mapping=both)
    log = open_log(sqlite(LOG, ROW), mapping={"tables": {"events": "events"}})
    assert len(log.tables.events) == 1
