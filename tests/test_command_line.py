"""What the command lines share: the command that a record names gives the same settings again."""

import argparse
import shlex

from course_utils.command_line import command_again


def parser():
    parse = argparse.ArgumentParser(prog="python -m something")
    parse.add_argument("kind", choices=("one", "two"))
    parse.add_argument("--only", nargs="+")
    parse.add_argument("--size", type=int, nargs=2, default=[72, 96])
    parse.add_argument("--fast", action="store_true")
    parse.add_argument("--out")
    return parse


def test_the_command_named_gives_the_same_settings():
    words = ["two", "--only", "a b", "it's", "--size", "32", "64", "--fast", "--out", "x.json"]
    named = command_again(parser(), parser().parse_args(words), ("out",))
    again = shlex.split(named)
    assert again[:3] == ["python", "-m", "something"]
    assert parser().parse_args([*again[3:], "--out", "x.json"]) == parser().parse_args(words)


def test_defaults_are_left_out():
    assert command_again(parser(), parser().parse_args(["one"]), ()) == "python -m something one"
