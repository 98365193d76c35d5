"""A file of weights is data: reading it runs nothing that stands in it."""

from pathlib import Path

import pytest
import torch

from course_utils.trained_network import FORMAT, load_network


class Touch:
    """What pickle would call while it reads this object."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_the_file_is_not_run(tmp_path):
    file, trace = tmp_path / "weights.pt", tmp_path / "it ran"
    torch.save({"format": FORMAT, "network": {}, "codes": [], "weights": Touch(trace)}, file)
    torch.load(file, weights_only=False)
    assert trace.exists(), "so the file would run it"
    trace.unlink()
    with pytest.raises(ValueError, match="holds no weights, or is damaged"):
        load_network(file)
    assert not trace.exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.pt is no file; name one that train_camvid --save-weights"):
        load_network(tmp_path / "gone.pt")
