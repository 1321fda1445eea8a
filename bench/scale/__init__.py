"""(scale) One bars asset of 100 instruments x 2,500 sessions: what it costs, and how that grows."""
