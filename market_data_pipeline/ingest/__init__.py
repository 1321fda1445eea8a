"""Use cases that bring data into the catalog. They know neither Dagster nor the terminal."""
