"""A real PostgreSQL for any test that needs one; no system service, no network.

def test_rows_arrive(postgres_url: str) -> None:
    engine = sqlalchemy.create_engine(postgres_url)  # an empty database of this test alone, through psycopg 3
"""

from market_data_pipeline_tests.postgres.server import PostgresServer, start_postgres, with_driver

__all__ = ["PostgresServer", "start_postgres", "with_driver"]
