"""The Dagster side: assets, checks, jobs, partitions and resources. Each calls one use case."""
