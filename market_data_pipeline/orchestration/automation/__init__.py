"""What runs by itself: the watchlist becomes partitions, sessions are loaded after their close, gaps are filled, files are taken from the inbox."""
