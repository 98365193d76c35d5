"""Where a record comes from, in lines that fit beside JupyterLab's side bar."""

import textwrap
from collections.abc import Mapping

WIDTH = 100


def shown_command(command: str) -> str:
    """A command on as many lines as it needs, none broken within a word."""
    options = {"break_on_hyphens": False, "break_long_words": False}
    return textwrap.fill(command, WIDTH, initial_indent="  ", subsequent_indent="      ", **options)


def origin(record: Mapping) -> str:
    """Date and hardware of a record, below them the command that made it."""
    return f"{record['date']}, {record['hardware']}\n{shown_command(record['command'])}"
