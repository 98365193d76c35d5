"""Settings of all unit tests: hypothesis draws the same examples in every run, and slow machines do not fail them."""

from hypothesis import settings

settings.register_profile("course", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("course")
