"""Strategies that come with the package, to try the pipeline with."""
