"""What is done: guides, plans, checks, session, adapters, command line, sandbox."""

__version__ = "0.1.0"
