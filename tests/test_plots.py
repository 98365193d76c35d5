"""Every drawing function draws, names its classes in words, and shows the numbers it was given."""

import base64
import io

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from skimage.color import rgb2lab

from course_utils import plots
from course_utils.classes import CLASS_COLOURS, CLASS_NAMES, VOID
from course_utils.history import History
from course_utils.plots import ablations as ablation_plots
from course_utils.plots import arithmetic as arithmetic_plots
from course_utils.plots import figures, scenes
from course_utils.plots import interpolation as interpolation_plots
from course_utils.plots import unet as unet_plots

# Linear RGB as a dichromat sees it: Machado, Oliveira & Fernandes 2009, severity 1.
SIGHT = {
    "normal": np.eye(3),
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}


@pytest.fixture
def scene():
    """A picture of noise; sky over road, a car, a rim of void; and a prediction that misses the car."""
    image = torch.randint(256, (3, 40, 60), generator=torch.Generator().manual_seed(0)).byte()
    mask = torch.zeros(40, 60, dtype=torch.uint8)
    mask[20:] = 3
    mask[24:36, 20:40] = VOID
    mask[25:35, 21:39] = 8
    prediction = torch.where(mask == 8, 3, mask)
    return image, mask, prediction


def words(figure):
    return {text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()}


def renders(figure):
    """Draw it for real: many mistakes only show then."""
    assert isinstance(figure, Figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return np.array(Image.open(buffer))[..., :3].std() > 1


def smallest_difference(colours, sight):
    """Between any two of the colours as seen with `sight`, in CIELAB, where 2 is just noticeable side by side."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = (linear @ SIGHT[sight].T).clip(0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]
    return np.linalg.norm(lab[:, None] - lab[None], axis=-1)[np.triu_indices(len(lab), 1)].min()


PALETTES = {
    "classes": [np.array(colour) / 255 for colour in (*CLASS_COLOURS, scenes.WRONG)],
    "curves and bars": figures.SERIES,
    "responses of kernels": [colour for _, colour in interpolation_plots._STYLES],
    "arithmetic": [arithmetic_plots.FRAME, arithmetic_plots.STAMP, arithmetic_plots.INK, arithmetic_plots.PALE_INK],
    "ablations": [colour for colour, _ in (ablation_plots._BETTER, ablation_plots._WORSE, ablation_plots._NOISE)],
    "the U-Net": [unet_plots.CHOSEN, unet_plots.SKIP, unet_plots.OFF],
}


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("palette", PALETTES)
def test_any_two_colours_of_a_palette_can_be_told_apart(palette, sight):
    assert smallest_difference(PALETTES[palette], sight) > (20 if palette == "classes" else 15)


def test_red_and_green_of_equal_lightness_would_be_found():
    red, green = (0.75, 0.32, 0.2), (0.42, 0.5, 0.12)
    assert smallest_difference([red, green], "normal") > 40 > 15 > smallest_difference([red, green], "deuteranopia")


def test_lines_and_dots_differ_by_more_than_colour():
    assert len(set(figures.DASHES)) == len(set(figures.MARKERS)) == len(figures.SERIES)
    assert len({dashes for dashes, _ in interpolation_plots._STYLES}) == len(interpolation_plots._STYLES)
    assert len({marker for _, marker in (ablation_plots._BETTER, ablation_plots._WORSE, ablation_plots._NOISE)}) == 3
    history = History(step_losses=[1.0, 0.5], epochs=[{"epoch": 1, "accuracy": 0.5}])
    figure = plots.training_curves(dict.fromkeys("abcdef", history), "accuracy", "six runs")
    for ax in figure.axes:
        assert len({line.get_linestyle() + str(line._dash_pattern) for line in ax.lines}) == 6


def test_colours_of_other_class_tables_are_distinct_and_keep_the_known_ones():
    codes = ["Road", *(f"class {i}" for i in range(31))]
    colours = plots.class_colours(codes)
    assert tuple(colours[0]) == CLASS_COLOURS[3]
    assert len({tuple(colour) for colour in colours}) == 32


def test_images_of_every_kind_become_the_same_picture():
    picture = torch.randint(256, (3, 5, 7), generator=torch.Generator().manual_seed(0)).byte()
    expected = picture.permute(1, 2, 0).numpy()
    for same in (picture, picture / 255, expected, expected / 255):
        assert np.array_equal(plots.to_rgb(same), expected)
    with pytest.raises(ValueError, match=r"\(1, 5, 7\)"):
        plots.to_rgb(picture[:1])
    with pytest.raises(ValueError, match="denormalise"):
        plots.to_rgb(torch.randn(3, 5, 7))


def test_overlay_mixes_colour_and_image_and_leaves_void(scene):
    image, mask, _ = scene
    rgb = plots.to_rgb(image)
    assert np.array_equal(plots.overlay(image, mask, 0), rgb)
    opaque = plots.overlay(image, mask, 1)
    assert tuple(opaque[0, 0]) == CLASS_COLOURS[0]
    assert tuple(opaque[39, 0]) == CLASS_COLOURS[3]
    assert np.array_equal(opaque[mask == VOID], rgb[mask == VOID])
    half = plots.overlay(image, mask, 0.5)[0, 0].astype(float)
    assert np.abs(half - (rgb[0, 0] / 2 + np.array(CLASS_COLOURS[0]) / 2)).max() <= 0.5


def test_error_picture_marks_exactly_the_wrong_labelled_pixels(scene):
    image, mask, prediction = scene
    prediction = torch.where(mask == VOID, 5, prediction)
    picture = plots.error_picture(image, mask, prediction, VOID)
    marked = (picture == np.array(scenes.WRONG)).all(axis=2)
    assert np.array_equal(marked, (mask == 8).numpy())


def test_show_segmentation_names_classes_and_the_error(scene):
    image, mask, prediction = scene
    figure = plots.show_segmentation(image, mask, prediction, title="a title")
    wrong = (10 * 18) / (40 * 60 - 12 * 20 + 10 * 18)
    assert {"Sky", "Road", "Car", "a title", f"wrong pixels: {wrong:.1%}"} <= words(figure)
    assert "Void" not in words(figure)
    assert len(figure.axes) == 4
    assert renders(figure)
    assert len(plots.show_segmentation(image, mask).axes) == 2


def test_class_names_are_written_inside_their_regions(scene):
    image, mask, _ = scene
    axes = plots.show_segmentation(image.repeat(1, 4, 4), mask.repeat_interleave(4, 0).repeat_interleave(4, 1)).axes[1]
    written = {
        text.get_text(): mask[int(text.get_position()[1]) // 4, int(text.get_position()[0]) // 4] for text in axes.texts
    }
    assert {name: CLASS_NAMES[code] for name, code in written.items()} == {name: name for name in written}
    assert set(written) >= {"Sky", "Road", "Car"}


@pytest.mark.parametrize("n", [1, 2, 4, 9])
def test_show_scenes_spreads_over_the_set(scene, n):
    image, mask, _ = scene
    figure = plots.show_scenes([image] * 7, [mask] * 7, n)
    titles = [text for text in words(figure) if text.startswith("picture")]
    assert len(titles) == min(n, 7)
    assert "picture 0" in titles
    assert {"Sky", "Road", "Car", "Void"} <= words(figure)
    assert renders(figure)


def test_scenes_stand_in_as_many_columns_as_asked_for(scene):
    image, mask, _ = scene
    figure = plots.show_scenes([image] * 4, [mask] * 4, n=4, columns=4)
    titled = [ax for ax in figure.axes if ax.get_title()]
    assert len(figure.axes) == 8 and [ax.get_title() for ax in titled] == [f"picture {i}" for i in range(4)]
    assert len({ax.get_subplotspec().rowspan.start for ax in titled}) == 1


def test_legend_has_index_and_name_of_every_class():
    assert words(plots.class_legend()) == {f"{i}  {name}" for i, name in enumerate(CLASS_NAMES)}


def test_bars_are_as_high_as_the_numbers():
    shares = torch.linspace(0, 0.3, 12)
    figure = plots.class_shares(shares)
    assert [bar.get_height() for bar in figure.axes[0].patches] == pytest.approx(shares.tolist())
    assert {"30.0%", *CLASS_NAMES} <= words(figure)
    assert renders(figure)


def test_iou_bars_leave_nan_out():
    figure = plots.per_class_iou({"a": torch.tensor([0.5, float("nan"), 1.0]), "b": [0.1, 0.2, 0.3]})
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx([0.5, 0, 1, 0.1, 0.2, 0.3])
    assert "0" not in words(figure)
    assert renders(figure)


def test_iou_bars_may_be_hatched_and_a_nought_is_written():
    ious = {"a": [0.5, 0.0], "b": [0.004, 0.006], "c": [0.1, 1.0]}
    figure = plots.per_class_iou(ious, ["Sky", "Road"], hatched=["b"])
    assert [bar.get_hatch() for bar in figure.axes[0].patches] == [None, None, "////", "////", None, None]
    noughts = [text.xy[0] for text in figure.axes[0].texts if text.get_text() == "0"]
    bars = [figure.axes[0].patches[place] for place in (1, 2)]
    assert noughts == pytest.approx([bar.get_x() + bar.get_width() / 2 for bar in bars])
    with pytest.raises(ValueError, match="hatched='d' is not one of 'a', 'b', 'c'"):
        plots.per_class_iou(ious, ["Sky", "Road"], hatched=["d"])
    assert renders(figure)


def test_error_by_distance_labels_its_bins():
    figure = plots.error_by_distance({"a": torch.tensor([0.5, 0.2, float("nan")])}, edges=(1, 4))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2–4", "> 4"]
    assert axes.lines[0].get_ydata()[:2].tolist() == [0.5, pytest.approx(0.2)]
    assert renders(figure)


def test_a_figure_shows_itself_without_pyplot():
    bundle = plots.class_legend()._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"].startswith("<")


def test_a_described_figure_is_its_picture_with_a_text_alternative():
    figure = plots.class_legend()
    described = plots.DescribedFigure(figure, 'Twelve "classes" & their colours.')
    bundle = described._repr_mimebundle_()
    assert bundle.keys() == {"text/html", "text/plain"} and bundle["text/plain"] == described.alt
    assert 'alt="Twelve &quot;classes&quot; &amp; their colours."' in bundle["text/html"]
    assert f'src="data:image/png;base64,{figure.png()}"' in bundle["text/html"]
    assert b"matplotlib" not in base64.b64decode(figure.png())


@pytest.mark.parametrize("column", [0, 40, 80])
def test_names_of_regions_at_the_edge_are_not_cut_off(column):
    mask = np.full((60, 100), 3, np.uint8)
    mask[15:45, column : column + 20] = 6
    figure = plots.show_segmentation(np.zeros((60, 100, 3), np.uint8), mask)
    figure.canvas.draw()
    ax = figure.axes[1]
    inside = ax.get_window_extent()
    names = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert "SignSymbol" in names
    for box in names.values():
        assert inside.x0 - 2 <= box.x0 and box.x1 <= inside.x1 + 2
