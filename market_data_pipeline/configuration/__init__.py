"""YAML files of a user, validated: every error names file, line and key."""

from market_data_pipeline.configuration.yaml_file import Section, read_yaml, validated

__all__ = ["Section", "read_yaml", "validated"]
