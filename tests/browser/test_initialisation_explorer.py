"""Every control of the initialisation explorer changes its picture and its sentence, worked by keyboard.

Alone in a small notebook: that notebook 04, with its long contest, runs clean is tested with the other notebooks.
"""

import nbformat
import pytest

pytestmark = pytest.mark.browser

SOURCE = "from course_utils.initialisation_widget import InitialisationExplorer\n\nInitialisationExplorer()"


@pytest.fixture
def alone(server):
    """The explorer in a notebook beside those of the course."""
    folder = server.folder / "explorers"
    folder.mkdir(exist_ok=True)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)], metadata={"kernelspec": kernel})
    nbformat.write(book, folder / "initialisation.ipynb")
    return "explorers/initialisation.ipynb"


def test_every_control_by_keyboard(lab, alone):
    notebook = lab(alone)
    explorer = notebook.widget("initialisation-explorer")
    assert explorer.sentence.startswith("Random start, no blur, × 2, before training")
    explorer.press("Steps", "ArrowRight", "ArrowRight", until="after 10 steps")
    explorer.press("Blur", "Space", until="Random start, blur, × 2, after 10 steps")
    explorer.press("Start", "Tab", "Enter", until="ICNR start, blur, × 2, after 10 steps")
    explorer.press("Scale", "Tab", "Enter", until="ICNR start, blur, × 3, after 10 steps")
    notebook.screenshot("initialisation-explorer")
    notebook.assert_clean()
