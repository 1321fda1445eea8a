"""YAML files of a user, validated: every error names file, line and key."""

from market_data_pipeline.configuration.yaml_file import Section, mistakes_in, parse_yaml, plain_yaml, read_text, read_yaml, validated
from market_data_pipeline.configuration.yaml_list import add_items, remove_items

__all__ = ["Section", "add_items", "mistakes_in", "parse_yaml", "plain_yaml", "read_text", "read_yaml", "remove_items", "validated"]
