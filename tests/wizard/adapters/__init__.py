"""Tests of the adapters: through real parts."""
