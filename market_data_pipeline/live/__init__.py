"""Live warm-up: history into a trading node before it trades, so that a strategy is ready before its first live bar."""
