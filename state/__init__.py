"""What is remembered: events, journal, store."""
