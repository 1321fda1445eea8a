"""(r) What a big catalog costs, and how the costs grow with it."""
