"""The allocator switch says the truth about what it did, and does not change results."""

import platform
import subprocess
import sys


def test_takes_effect_exactly_where_there_is_glibc_and_changes_no_result():
    code = (
        "import torch; from course_utils.memory import keep_freed_memory; print({switch});"
        "torch.manual_seed(0); print(torch.nn.Conv2d(3, 8, 3)(torch.randn(2, 3, 64, 64)).sum().item())"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code.format(switch=switch)], capture_output=True, text=True, check=True)
        for switch in ("keep_freed_memory()", "None")
    ]
    (took_effect, with_switch), (_, without) = (output.stdout.split() for output in outputs)
    assert took_effect == str(platform.libc_ver()[0] == "glibc")
    assert with_switch == without


def test_elsewhere_it_does_nothing(monkeypatch):
    from course_utils import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    assert memory.keep_freed_memory() is False
