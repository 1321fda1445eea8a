"""Answers from published calendars, written down by hand; none comes from the code under test or from a calendar library."""
