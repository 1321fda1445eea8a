"""The terminal: `mdp`. Commands are a few lines each and call one use case; what they print is made in `rendering`."""
