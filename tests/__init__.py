"""Unit tests, the browser tests, and `python -m tests.refresh_notebooks`."""
