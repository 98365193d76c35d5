"""Scripts that fetch, make and check the course's data: each runs as ``python -m data_scripts.NAME --help``."""
