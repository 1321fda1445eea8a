"""What answers look like: as lines for a person, as objects for programs. Nothing here reads the catalog."""
