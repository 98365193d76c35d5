"""`pytest -n` hands out notebooks, files and all browser tests as wholes, browser tests first; kernels share cores."""

from tests.nbval_hooks import kernel_threads
from tests.side_by_side import rank, unit_of


def test_a_notebook_a_file_and_all_browser_tests_are_one_unit_each():
    assert unit_of("notebooks/01_a.ipynb::Cell 0") == unit_of("notebooks/01_a.ipynb::Cell 7") == "notebooks/01_a.ipynb"
    assert unit_of("notebooks/solutions/01_a.ipynb::Cell 0") != unit_of("notebooks/01_a.ipynb::Cell 0")
    assert unit_of("tests/test_a.py::Group::test_x[1::2]") == "tests/test_a.py"
    assert unit_of("tests/browser/test_a.py::test_x") == unit_of("tests/browser/test_b.py::test_y")


def test_browser_tests_come_first_and_notebooks_next():
    ids = ["tests/test_a.py::test_x", "notebooks/01_a.ipynb::Cell 0", "tests/browser/test_a.py::test_x"]
    assert sorted(ids, key=rank) == ids[::-1]


def test_kernels_side_by_side_share_the_cores_and_one_alone_has_two_threads():
    assert [kernel_threads(cores, processes=2) for cores in (1, 2, 3, 4, 16)] == [1, 1, 1, 2, 2]
    assert [kernel_threads(cores, processes=1) for cores in (1, 2, 16)] == [2, 2, 2]
