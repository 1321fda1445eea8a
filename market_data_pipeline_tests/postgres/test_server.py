from __future__ import annotations

import psycopg
import pytest
import sqlalchemy as sa

from market_data_pipeline_tests.postgres import PostgresServer, with_driver


def tables(url: str) -> list[str]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    return sa.inspect(engine).get_table_names()


def test_each_database_is_empty_and_goes_with_its_rows(postgres_server: PostgresServer) -> None:
    for _ in range(2):
        with postgres_server.database() as url:
            assert tables(url) == []
            engine = sa.create_engine(url)
            with engine.begin() as connection:
                connection.execute(sa.text("CREATE TABLE here (id INTEGER)"))
            assert tables(with_driver(url, "psycopg2")) == ["here"]
            left_open = engine.connect()
        with pytest.raises(sa.exc.OperationalError, match="does not exist"):
            tables(url)
        left_open.invalidate()
        engine.dispose()


def test_a_role_comes_in_with_its_password_only(postgres_server: PostgresServer, postgres_url: str) -> None:
    postgres_server.run("CREATE ROLE trader LOGIN PASSWORD 'right'")
    postgres_server.require_password("trader")
    url = sa.make_url(postgres_url).set(drivername="postgresql", username="trader")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.set(password="wrong").render_as_string(hide_password=False))
    psycopg.connect(url.set(password="right").render_as_string(hide_password=False)).close()
