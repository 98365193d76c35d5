"""What notebook 05 builds, taken out of the notebook itself, is what the library holds."""

import ast
import copy
import weakref
from pathlib import Path

import nbformat
import pytest
import torch
from torch import nn

import course_utils.hooks
from course_utils.encoders import LITE0, create_encoder
from course_utils.hooks import activation_sizes, size_change_indices
from course_utils.unet import DynamicUnet
from course_utils.unet2015 import UNet2015, centre_crop

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "05_skip_connections_and_hooks.ipynb"


def definitions(path: Path) -> dict:
    """Namespace of all imports, functions and classes that the notebook's code cells hold; nothing else is run."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    body = [node for source in cells for node in ast.parse(source).body if isinstance(node, kept)]
    namespace = {"__name__": "notebook_05"}
    exec(compile(ast.Module(body, type_ignores=[]), path.name, "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def defined():
    return definitions(NOTEBOOK)


def test_the_classes_are_the_notebooks_own(defined):
    source = "\n".join(c.source for c in nbformat.read(NOTEBOOK, as_version=4).cells if c.cell_type == "code")
    assert "from course_utils.hooks" not in source and "from course_utils.layers" not in source
    for name in ("PublishedUnet", "Hook", "Hooks", "UnetBlock", "ResBlock", "HookedUnet"):
        assert defined[name].__module__ == "notebook_05", name


def test_the_published_network_equals_the_librarys(defined):
    torch.manual_seed(0)
    ours, library = defined["PublishedUnet"](3, 4, width=4).eval(), UNet2015(3, 4, width=4).eval()
    library.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 188, 220)
    assert torch.equal(ours(x), library(x))
    skip = torch.randn(1, 2, 9, 12)
    assert torch.equal(defined["crop_to"](skip, skip[..., :4, :6]), centre_crop(skip, (4, 6)))


@pytest.mark.parametrize("detach", [True, False])
def test_hooks_store_what_the_librarys_store(defined, detach):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    x = torch.randn(1, 3, 9, 9)
    with course_utils.hooks.Hooks(model, detach) as expected, defined["Hooks"](model, detach) as ours:
        model(x)
        for mine, theirs in zip(ours.stored, expected.stored, strict=True):
            assert torch.equal(mine, theirs)
            assert mine.requires_grad == theirs.requires_grad == (not detach)
        kept = weakref.ref(ours.stored[1])
    assert ours.stored == expected.stored == [None] * 3
    assert kept() is None or not detach
    assert not any(layer._forward_hooks for layer in model)
    ours.remove()


def test_hooks_are_gone_after_an_exception_too(defined):
    model = nn.Sequential(nn.ReLU())
    with pytest.raises(RuntimeError, match="stop"), defined["Hooks"](model):
        raise RuntimeError("stop")
    assert not model[0]._forward_hooks


@pytest.mark.parametrize("encoder", ["resnet18", "densenet121", LITE0, "vgg11_bn"])
class TestTheWholeNetwork:
    def pair(self, defined, encoder):
        torch.manual_seed(0)
        ours = defined["HookedUnet"](create_encoder(encoder, pretrained=False), 5, (64, 64))
        library = DynamicUnet(create_encoder(encoder, pretrained=False), 5, (64, 64))
        library.load_state_dict(ours.state_dict())
        return ours, library

    def test_outputs_are_equal_at_even_and_odd_sizes(self, defined, encoder):
        ours, library = (model.eval() for model in self.pair(defined, encoder))
        with torch.no_grad():
            for size in ((64, 64), (75, 45)):
                x = torch.randn(1, 3, *size)
                assert torch.equal(ours(x), library(x))
                assert torch.equal(copy.deepcopy(ours)(x), library(x))
        assert not any(module._forward_hooks for module in ours.modules())

    def test_gradients_are_equal_and_a_detached_skip_carries_none(self, defined, encoder):
        ours, library = self.pair(defined, encoder)
        x = torch.randn(2, 3, 64, 64)

        def gradients(model):
            model.eval().zero_grad()
            model(x).square().mean().backward()
            return [parameter.grad.clone() for parameter in model.parameters()]

        def skips_learn():
            seen = []
            listeners = [
                block.register_forward_pre_hook(lambda block, inputs: seen.append(inputs[1].requires_grad))
                for block in ours.blocks
            ]
            ours(x)
            for listener in listeners:
                listener.remove()
            return seen

        mine, theirs = gradients(ours), gradients(library)
        torch.testing.assert_close(mine, theirs)
        assert skips_learn() == [True] * len(ours.blocks)
        ours.detach = True
        assert skips_learn() == [False] * len(ours.blocks)
        with torch.no_grad():
            assert torch.equal(ours(x), library(x)), "outputs do not show it"
        assert any(not torch.allclose(a, b) for a, b in zip(gradients(ours), mine, strict=True))


def test_skips_start_where_the_library_finds_them(defined):
    for name in ("resnet18", "densenet121", LITE0):
        encoder = create_encoder(name, pretrained=False)
        shapes = defined["output_shapes"](encoder, (75, 107))
        assert shapes == [tuple(size) for size in activation_sizes(encoder, (75, 107))]
        assert defined["last_on_each_grid"](shapes) == size_change_indices(shapes)


def test_the_mask_keeps_two_paths_apart(defined):
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, bias=False)
    nn.utils.parametrize.register_parametrization(conv, "weight", defined["BlockDiagonal"](conv.weight, 3, 2))
    x = torch.randn(1, 5, 6, 6, requires_grad=True)
    for outputs, silent, heard in ((slice(0, 3), slice(2, 5), slice(0, 2)), (slice(3, 7), slice(0, 2), slice(2, 5))):
        (gradient,) = torch.autograd.grad(conv(x)[:, outputs].square().sum(), x)
        assert gradient[:, silent].abs().max() == 0 < gradient[:, heard].abs().max()
