"""A TWS API gateway on a real socket: try the whole Interactive Brokers path with no account, and hurt it."""
