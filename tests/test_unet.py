"""Every variant of the U-Net passes the same tests; and what the whole network promises."""

import copy
import gc
import io
import pickle
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.resnet import Bottleneck

from course_utils.encoders import LITE0, create_encoder
from course_utils.experiments.ablations import multiply_adds
from course_utils.hooks import Hooks
from course_utils.layers import BottleneckBlock, InstanceNorm, ResBlock
from course_utils.memory_format import match_gradient_format
from course_utils.unet import TAILS, DynamicUnet, UnetBlock

CHEAP = {"block": "bottleneck", "tail": "unshuffle"}
VARIANTS = {
    "defaults": {},
    "nearest": {"upsample": "nearest"},
    "bilinear": {"upsample": "bilinear"},
    "transposed": {"upsample": "transposed"},
    "transposed k2": {"upsample": "transposed", "upsample_options": {"kernel_size": 2}},
    "transposed k4": {"upsample": "transposed", "upsample_options": {"kernel_size": 4}},
    "random start": {"upsample_options": {"icnr": False}},
    "res": {"block": "res"},
    "bottleneck": {"block": "bottleneck"},
    "bottleneck, unshuffled": CHEAP | {"norm_type": "batch"},
    "bottleneck everywhere": CHEAP | {"middle": "bottleneck"},
    "add": {"skip": "add"},
    "no skips": {"skip": "none"},
    "blur": {"blur": True},
    "attention": {"self_attention": True},
    "y_range": {"y_range": (-1.0, 2.0)},
    "no last_cross": {"last_cross": False},
    "bottle": {"bottle": True},
    "unshuffled": {"tail": "unshuffle"},
    "merged": {"tail": "merged"},
    "cheapest": CHEAP | {"tail": "merged", "middle": "bottleneck", "norm_type": "batch"},
    "unshuffled, bottle": {"tail": "unshuffle", "bottle": True},
    "unshuffled, no last_cross": {"tail": "unshuffle", "last_cross": False},
    "unshuffled, weight": {"tail": "unshuffle", "norm_type": "weight"},
    "unshuffled, spectral": {"tail": "unshuffle", "norm_type": "spectral"},
    "leaky": {"act_cls": nn.LeakyReLU},
    "in place": {"act_cls": partial(nn.ReLU, inplace=True), "skip": "none", "upsample": "nearest"},
    "batch": {"norm_type": "batch"},
    "instance": {"norm_type": "instance"},
    "weight": {"norm_type": "weight"},
    "spectral": {"norm_type": "spectral"},
}


def make(encoder: str = "resnet18", size: tuple[int, int] = (64, 96), n_out: int = 4, **options) -> DynamicUnet:
    torch.manual_seed(0)
    return DynamicUnet(create_encoder(encoder, pretrained=False), n_out, size, **options)


@pytest.mark.parametrize("tail", TAILS)
def test_no_picture_gives_no_scores(tail):
    model = make(tail=tail).eval()
    assert model(torch.zeros(0, 3, 61, 90)).shape == (0, 4, 61, 90)
    assert model.train()(torch.zeros(2, 3, 61, 90)).shape == (2, 4, 61, 90)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
class TestEveryVariant:
    def test_trains_and_every_parameter_gets_a_gradient(self, options):
        model = make(**options)
        out = model(torch.randn(2, 3, 64, 96))
        assert out.shape == (2, 4, 64, 96)
        out.square().mean().backward()
        silent = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert silent == []

    def test_pickles_and_copies_after_a_training_pass(self, options):
        model = make(**options)
        x = torch.randn(2, 3, 64, 96)
        model(x).mean().backward()
        model.eval()
        with torch.no_grad():
            expected = model(x)
            for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
                assert torch.equal(twin(x), expected)


@pytest.mark.parametrize("tail", ["full", "unshuffle", "merged"])
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (75, 107), (64, 160)])
def test_any_size_comes_back_at_its_own(size, tail):
    model = make(tail=tail).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("encoder", ["densenet121", "vgg11_bn", "convnext_tiny", "mobilenet_v3_small", LITE0])
def test_any_encoder(encoder):
    model = make(encoder).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 65, 90)).shape == (1, 4, 65, 90)


class PlainReLU(nn.ReLU):
    """A ReLU that the network does not know: it works on a copy, and wherever it was asked for."""


@pytest.mark.parametrize("variant", [name for name, options in VARIANTS.items() if "act_cls" not in options])
def test_relus_in_place_and_left_out_change_no_bit(variant):
    options, results = VARIANTS[variant], []
    for act_cls in (nn.ReLU, PlainReLU):
        model = make(**options, act_cls=act_cls)
        out = model(torch.randn(2, 3, 64, 90, generator=torch.Generator().manual_seed(1)))
        out.square().mean().backward()
        results.append([out, *(parameter.grad for parameter in model.parameters())])
    assert all(map(torch.equal, *results))


def test_three_wide_tensors_wait_for_the_way_back_on_the_pictures_grid():
    """What the last block gets, what lies between its convolutions, and what it returns."""
    wide = 2 * 96 * 64 * 96 * 4

    def kept(**options) -> int:
        model, sizes = make(**options), {}
        weights = {parameter.data_ptr() for parameter in model.parameters()}

        def pack(x):
            sizes[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            out = model(torch.randn(2, 3, 64, 96))
        assert out.requires_grad
        return sum(size >= wide for address, size in sizes.items() if address not in weights)

    assert (kept(), kept(act_cls=PlainReLU)) == (3, 4)


def test_torch_func_finds_the_gradients_of_backward():
    model, x = make().eval(), torch.randn(1, 3, 64, 64)
    parameters = dict(model.named_parameters())
    found = torch.func.grad(lambda p: torch.func.functional_call(model, p, x).square().mean())(parameters)
    model(x).square().mean().backward()
    for name, parameter in parameters.items():
        torch.testing.assert_close(found[name], parameter.grad, msg=name)


def test_parameter_count_of_the_lecture():
    def count(model):
        return sum(parameter.numel() for parameter in model.parameters())

    model = DynamicUnet(create_encoder("resnet34", pretrained=False), 12, (360, 480))
    assert (count(model), count(model.encoder), count(model.middle)) == (41_222_168, 21_284_672, 9_438_720)
    normed = DynamicUnet(create_encoder("resnet34", pretrained=False), 12, (360, 480), norm_type="batch")
    assert count(normed) == 41_230_122


def test_levels_of_the_lecture():
    """Shapes at 360×480, where 23 rows come from 45 and back."""
    model = DynamicUnet(create_encoder("resnet34", pretrained=False), 12, (360, 480)).eval()
    with torch.no_grad(), Hooks([model.middle, *model.blocks, model.final_up, model.last_block, model.head]) as hooks:
        model(torch.zeros(1, 3, 360, 480))
        shapes = [tuple(stored.shape[1:]) for stored in hooks.stored]
    assert shapes == [
        (512, 12, 15),
        (512, 23, 30),
        (384, 45, 60),
        (256, 90, 120),
        (96, 180, 240),
        (96, 360, 480),
        (99, 360, 480),
        (12, 360, 480),
    ]


@pytest.mark.parametrize(("last_cross", "width"), [(True, 96 + 4 * 3), (False, 96)])
def test_an_unshuffled_tail_works_on_the_finest_grid_of_the_encoder(last_cross, width):
    model = make(tail="unshuffle", last_cross=last_cross).eval()
    with torch.no_grad(), Hooks([model.blocks[-1], model.head]) as hooks:
        out = model(torch.zeros(1, 3, 64, 96))
        shapes = [tuple(stored.shape[1:]) for stored in hooks.stored]
    assert shapes == [(96, 32, 48), (4 * 4, 32, 48)] and out.shape == (1, 4, 64, 96)
    assert model.head[0].in_channels == width
    if last_cross:
        assert model.last_block.convpath[0][0].in_channels == width


def test_a_bottleneck_block_computes_what_torchvisions_does():
    torch.manual_seed(0)
    ours = BottleneckBlock(128, 128).eval()
    reference = Bottleneck(128, 32).eval()  # the block of ResNet-50: a quarter of the channels inside
    with torch.no_grad():
        for norm in (module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.weight.normal_()
            norm.running_mean.normal_()
    names = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")
    layers = [layer for conv_layer in ours.convpath for layer in conv_layer if not isinstance(layer, nn.ReLU)]
    for name, layer in zip(names, layers, strict=True):
        getattr(reference, name).load_state_dict(layer.state_dict())
    x = torch.randn(2, 128, 9, 7)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), reference(x))


@pytest.mark.parametrize(("in_channels", "out_channels"), [(64, 64), (64, 32), (12, 20)])
def test_a_bottleneck_block_starts_as_its_identity_path(in_channels, out_channels):
    block = BottleneckBlock(in_channels, out_channels).eval()
    x = torch.randn(2, in_channels, 6, 5)
    with torch.no_grad():
        torch.testing.assert_close(block(x), F.relu(block.idpath(x)), atol=2e-3, rtol=0)  # the norm's bias: 1e-3


def test_bottleneck_blocks_keep_every_width_and_multiply_far_less():
    full, cheap = (make("resnet34", **options, norm_type="batch").eval() for options in ({}, CHEAP))
    assert [block.out_channels for block in cheap.blocks] == [block.out_channels for block in full.blocks]
    decoders = [multiply_adds(model, (64, 96)) - multiply_adds(model.encoder, (64, 96)) for model in (full, cheap)]
    assert decoders[0] > 4 * decoders[1]


def test_a_bottleneck_in_the_middle_keeps_the_channels_and_drops_the_weights_counted_by_hand():
    wide, narrow = (make("resnet34", middle=name, norm_type="batch") for name in ("double_conv", "bottleneck"))
    x = torch.randn(2, 512, 2, 3)
    assert narrow.middle(x).shape == wide.middle(x).shape == x.shape
    with_norms = 2 * 9 * 512 * 1024 + 2 * (1024 + 512)
    narrowed = 2 * 512 * 128 + 9 * 128 * 128 + 2 * (128 + 128 + 512)
    counted = [sum(parameter.numel() for parameter in model.parameters()) for model in (wide, narrow)]
    assert counted[0] - counted[1] == with_norms - narrowed


@pytest.mark.parametrize("tail", ["unshuffle", "merged"])
def test_an_unshuffled_tail_sees_every_pixel_and_puts_each_score_where_it_belongs(tail):
    """By hand: with a tail that only copies the picture, the scores are the picture, pixel by pixel."""
    model = make(tail=tail, n_out=3, encoder="resnet18").eval()
    if tail == "merged":
        last = model.blocks[-1]
        last.skip_norm, last.relu, last.convs = nn.Identity(), nn.Identity(), nn.Identity()
        width = 2 * last.out_channels  # what the convolutions would have halved
    else:
        model.last_block, width = nn.Identity(), 96 + 12
    copy_picture = nn.Conv2d(width, 12, 1, bias=False)
    with torch.no_grad():
        copy_picture.weight.zero_()
        copy_picture.weight[:, -12:, 0, 0] = torch.eye(12)
    model.head = copy_picture
    picture = torch.randn(2, 3, 75, 107)
    with torch.no_grad():
        assert torch.equal(model(picture), picture)


def test_a_merged_tail_is_one_block_less_and_needs_a_picture_to_join():
    late, merged = (make(tail=tail) for tail in ("unshuffle", "merged"))
    assert late.last_block is not None and merged.last_block is None
    assert merged.blocks[-1].skip_norm.num_features == late.blocks[-1].skip_norm.num_features + 12
    for wrong in ({"last_cross": False}, {"bottle": True}, {"skip": "none"}):
        with pytest.raises(ValueError, match='tail="merged" joins the picture'):
            make(tail="merged", **wrong)


@pytest.mark.parametrize("tail", ["unshuffle", "merged"])
def test_an_unshuffled_tail_starts_without_a_checkerboard(tail):
    model = make(tail=tail).eval()
    with torch.no_grad():
        blocks = F.pixel_unshuffle(model(torch.randn(1, 3, 64, 96)), model.fold).unflatten(1, (4, model.fold**2))
    torch.testing.assert_close(blocks, blocks[:, :, :1].expand_as(blocks))


@pytest.mark.parametrize(("encoder", "fold"), [("convnext_tiny", 4), ("vgg11_bn", 1), (LITE0, 2)])
@pytest.mark.parametrize(
    ("tail", "size"), [("unshuffle", (64, 96)), ("merged", (64, 96)), ("unshuffle", (65, 90)), ("merged", (65, 90))]
)
def test_an_unshuffled_tail_fits_any_encoder(encoder, fold, tail, size):
    model = make(encoder, size=size, tail=tail, skip="add" if size[1] == 90 else "concat").eval()
    assert model.fold == fold
    with torch.no_grad():
        assert model(torch.randn(1, 3, *size)).shape == (1, 4, *size)
        assert model(torch.randn(1, 3, 71, 83)).shape == (1, 4, 71, 83)


def test_gradient_reaches_the_encoder_through_every_skip():
    model = make()
    grads = gradients_at_skips(model, torch.randn(2, 3, 64, 96))
    assert len(grads) == 4 and all(grad.norm() > 0 for grad in grads)
    # And the skips are the encoder's own activations, not detached copies of them.
    attached = []
    handles = [block.register_forward_pre_hook(lambda _, inputs: attached.append(inputs[1])) for block in model.blocks]
    model(torch.randn(1, 3, 64, 96))
    assert all(skip.grad_fn is not None for skip in attached)
    for handle in handles:
        handle.remove()


def gradients_at_skips(model: DynamicUnet, x: torch.Tensor) -> list[torch.Tensor]:
    received = []

    def remember(block, inputs):
        skip = inputs[1].detach().requires_grad_()
        received.append(skip)
        return inputs[0], skip

    handles = [block.register_forward_pre_hook(remember) for block in model.blocks]
    model(x).square().mean().backward()
    for handle in handles:
        handle.remove()
    return [skip.grad for skip in received]


@pytest.mark.parametrize(("skip", "influences"), [("concat", True), ("add", True), ("none", False)])
def test_the_skip_option_decides_whether_skips_matter(skip, influences):
    grads = gradients_at_skips(make(skip=skip), torch.randn(2, 3, 64, 96))
    assert [grad is not None and bool(grad.abs().sum() > 0) for grad in grads] == [influences] * len(grads)


def test_kinds_of_skip_have_the_same_widths():
    widths = {skip: [block.out_channels for block in make(skip=skip).blocks] for skip in ("concat", "add", "none")}
    assert widths["concat"] == widths["add"] == widths["none"]


def test_upsample_options_reach_every_upsampler():
    for kernel_size in (2, 3, 4):
        model = make(upsample="transposed", upsample_options={"kernel_size": kernel_size})
        kernels = {m.kernel_size for m in model.modules() if isinstance(m, nn.ConvTranspose2d)}
        assert kernels == {(kernel_size, kernel_size)}
    for options, equal in ((None, True), ({"icnr": True}, True), ({"icnr": False}, False)):
        model = make(upsample_options=options)
        starts = [up[0][0].weight for up in (*(block.up for block in model.blocks), model.final_up)]
        assert [torch.equal(weight[0], weight[1]) for weight in starts] == [equal] * 5


def test_nothing_outlives_a_forward_pass():
    model = make().eval()
    alive = []

    def watch(module, inputs, output):
        alive.append(weakref.ref(output))

    handles = [module.register_forward_hook(watch) for module in model.modules()]
    with torch.no_grad():
        model(torch.randn(1, 3, 64, 64))
    gc.collect()
    assert len(alive) > 50
    assert [reference for reference in alive if reference() is not None] == []
    for handle in handles:
        handle.remove()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("loss_format", [torch.contiguous_format, torch.channels_last])
def test_batch_norm_gets_its_gradient_in_the_format_of_its_output(memory_format, loss_format):
    """From a slice, or another format, PyTorch goes back by a slower way on a CPU."""
    model = make(norm_type="batch", **CHEAP).to(memory_format=memory_format)
    seen = {}
    for name, module in model.named_modules():
        if name.endswith("skip_norm") or name == "head":
            module.register_full_backward_pre_hook(lambda _, grads, name=name: seen.update({name: grads[0]}))
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(torch.randn(2, 3, 64, 96).contiguous(memory_format=memory_format))
    scores.backward(torch.randn_like(scores).contiguous(memory_format=loss_format))
    assert len(seen) == len(model.blocks) + 1
    assert all(grad.is_contiguous(memory_format=memory_format) for grad in seen.values())


@pytest.mark.parametrize("options", [{}, {"tail": "unshuffle"}, {"tail": "merged"}, {"block": "bottleneck"}])
def test_in_mixed_precision_the_full_size_layers_compute_in_16_bits(options):
    """A picture in float32 beside features in bfloat16 would make join and residual path float32."""
    model, seen = make(**options), {}
    for name, module in model.named_modules():
        if name.startswith(("last_block", "blocks")) and not list(module.children()):
            module.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: inputs[0].dtype}))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.randn(2, 3, 64, 96))
    assert set(seen.values()) == {torch.bfloat16}


@pytest.mark.filterwarnings("error")
def test_a_tensor_whose_gradient_is_matched_is_saved_without_a_warning():
    x = torch.zeros(1, 4, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    torch.save(match_gradient_format(x * 1), io.BytesIO())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_matched_gradient_keeps_its_values(dtype):
    x = torch.randn(2, 3, 4, 5).to(dtype, memory_format=torch.channels_last).requires_grad_()
    grad = torch.randn(2, 7, 4, 5).to(dtype)
    torch.cat([torch.zeros(2, 4, 4, 5, dtype=dtype), match_gradient_format(x * 1)], 1).backward(grad)
    assert torch.equal(x.grad, grad[:, 4:])


def test_two_networks_can_share_an_encoder_in_threads_at_once():
    encoder = create_encoder("resnet18", pretrained=False)
    models = [DynamicUnet(encoder, n_out, (64, 64), last_cross=False).eval() for n_out in (2, 3)]
    pictures = [torch.randn(1, 3, 64, 64), torch.randn(1, 3, 33, 80)]
    with torch.no_grad():
        expected = [model(x) for model, x in zip(models, pictures, strict=True)]

    def run(job: int) -> list[torch.Tensor]:
        with torch.no_grad():
            return [models[job % 2](pictures[job % 2]) for _ in range(3)]

    with ThreadPoolExecutor(4) as pool:
        for job, outputs in enumerate(pool.map(run, range(4))):
            for output in outputs:
                torch.testing.assert_close(output, expected[job % 2])


def test_nothing_is_left_after_an_exception_in_the_middle():
    model, alive = make().eval(), []
    handles = [m.register_forward_hook(lambda _, __, out: alive.append(weakref.ref(out))) for m in model.modules()]

    def stop(module, inputs, output):
        raise RuntimeError("stop")

    handles.append(model.blocks[1].register_forward_hook(stop))
    with pytest.raises(RuntimeError, match="stop"):
        model(torch.randn(1, 3, 64, 64))
    for handle in handles:
        handle.remove()
    gc.collect()
    assert alive and not any(reference() is not None for reference in alive)
    assert not any(module._forward_hooks for module in model.modules())


def test_models_and_copies_do_not_meet():
    """Two models and a copy run interleaved inside each other's forward pass, and none disturbs another."""
    model, other = make().eval(), make(norm_type="batch").eval()
    twin = copy.deepcopy(model)
    x, y = torch.randn(1, 3, 64, 64), torch.randn(1, 3, 96, 32)
    with torch.no_grad():
        expected = model(x)

        def intrude(module, inputs, output):
            twin(y)
            other(y)

        handle = model.middle.register_forward_hook(intrude)
        assert torch.equal(model(x), expected)
        handle.remove()


def test_parameter_groups_split_encoder_from_the_rest():
    model = make()
    encoder, decoder = model.parameter_groups()
    assert {id(p) for p in encoder} == {id(p) for p in model.encoder.parameters()}
    assert len(encoder) + len(decoder) == len(list(model.parameters()))
    assert not {id(p) for p in encoder} & {id(p) for p in decoder}


@pytest.mark.parametrize(
    ("encoder", "tail"),
    [("resnet18", "full"), ("resnet18", "unshuffle"), ("resnet18", "merged"), (LITE0, "full")],
)
def test_exports_to_one_graph_for_other_sizes_of_batch(encoder, tail):
    model = make(encoder, tail=tail).eval()
    batch = torch.export.Dim("batch", min=2, max=16)
    exported = torch.export.export(model, (torch.randn(2, 3, 64, 96),), dynamic_shapes=({0: batch},))
    x = torch.randn(3, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(exported.module()(x), model(x))


@pytest.mark.parametrize(
    ("encoder", "tail"),
    [("resnet18", "full"), ("resnet18", "unshuffle"), ("resnet18", "merged"), (LITE0, "full")],
)
def test_compiles_without_a_graph_break(encoder, tail):
    model = make(encoder, tail=tail).eval()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    x = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsample": "bicubic"}, "upsample='bicubic'"),
        ({"block": "dense"}, "block='dense'"),
        ({"skip": "multiply"}, "skip='multiply'"),
        ({"tail": "long"}, "tail='long'"),
        ({"middle": "wide"}, "middle='wide'"),
        ({"block": "bottleneck", "bottle": True}, "bottle=True narrows"),
        ({"norm_type": "layer"}, "norm_type='layer'"),
        ({"y_range": (1.0, 1.0)}, "low < high"),
        ({"y_range": (0.0, float("inf"))}, "numbers within"),
        ({"y_range": (-1e39, 1e39)}, "numbers within"),
        ({"y_range": ("a", "b")}, r"got \('a', 'b'\)"),
        ({"y_range": 5}, r"y_range=5 is not \(low, high\)"),
        ({"y_range": (0, 1, 2)}, r"y_range=\(0, 1, 2\)"),
        ({"act_cls": nn.ReLU()}, r"act_cls=ReLU\(\) makes no activations"),
        ({"act_cls": None}, "act_cls=None"),
        ({"act_cls": lambda: 3}, "makes no activations"),
        ({"act_cls": F.relu}, "makes no activations"),
        ({"last_cross": "False"}, "last_cross='False' is not True or False"),
        ({"self_attention": "no"}, "self_attention='no'"),
        ({"blur": True, "upsample": "nearest"}, "blur=True"),
        ({"upsample_options": {"kernel_size": 2}}, "'kernel_size', and upsample='pixel_shuffle' takes icnr"),
        ({"upsample": "nearest", "upsample_options": {"icnr": True}}, "'icnr', and upsample='nearest' takes none"),
        ({"upsample": "transposed", "upsample_options": {"kernel_size": 1}}, "kernel_size=1"),
        ({"upsample": "transposed", "upsample_options": {"kernel_size": True}}, "kernel_size=True"),
        ({"upsample_options": {"icnr": "no"}}, "icnr='no'"),
        ({"upsample_options": "icnr"}, "upsample_options='icnr' is no mapping"),
        ({"size": (16, 64)}, "at least 32"),
        ({"size": 64}, "img_size=64"),
        ({"size": (64.0, 64.0)}, "in whole pixels"),
        ({"n_out": 0}, "n_out=0"),
        ({"n_out": 2.0}, "n_out=2.0"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(**options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("block", [UnetBlock, BottleneckBlock, ResBlock])
def test_blocks_refuse_what_are_no_channels_or_activations(block):
    for channels in ((0, 4), (4, 0), ("4", 4), (4.0, 4), (True, 4)):
        with pytest.raises(ValueError, match="channels="):
            block(*channels)
    with pytest.raises(ValueError, match="makes no activations"):
        block(4, 4, act_cls=nn.ReLU())
    with pytest.raises(ValueError, match="in_channels=1: the block halves them"):
        UnetBlock(1, 4)


def test_an_encoder_must_be_sequential_and_change_its_grid():
    with pytest.raises(ValueError, match="not an nn"):
        DynamicUnet(nn.Conv2d(3, 4, 3), 4, (64, 64))
    with pytest.raises(ValueError, match="one grid"):
        DynamicUnet(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()), 4, (64, 64))


def test_self_attention_needs_a_third_block_from_the_top():
    encoder = nn.Sequential(*(nn.Conv2d(3 if i == 0 else 8, 8, 3, 2, 1) for i in range(3)))
    DynamicUnet(encoder, 4, (64, 64))
    with pytest.raises(ValueError, match="a third block from the top; this encoder gives 2"):
        DynamicUnet(encoder, 4, (64, 64), self_attention=True)


def test_an_encoder_needs_layers():
    with pytest.raises(ValueError, match="has no layers"):
        DynamicUnet(nn.Sequential(), 4, (64, 64))


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(3, 64, 64),
        torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
        torch.zeros(1, 1, 64, 64),
        np.zeros((1, 3, 64, 64), np.float32),
        None,
    ],
)
def test_inputs_that_are_no_batch_of_floats_are_named(x):
    with pytest.raises(ValueError, match=r"not floats \(N, 3, H, W\)"):
        make()(x)


def test_instance_norm_takes_the_smallest_picture_and_is_torchs_elsewhere():
    with torch.no_grad():
        assert make(norm_type="instance").eval()(torch.randn(2, 3, 32, 32)).shape == (2, 4, 32, 32)
    x = torch.randn(2, 5, 3, 4)
    alone = InstanceNorm(4, affine=True)
    alone(torch.randn(2, 4, 1, 1)).sum().backward()
    assert alone.weight.grad.count_nonzero() == 0 and alone.bias.grad.eq(2).all(), "each has one, as DDP asks"
    ours, torchs = InstanceNorm(5, affine=True), nn.InstanceNorm2d(5, affine=True)
    torch.testing.assert_close(ours(x), torchs(x))
    torch.testing.assert_close(ours(x[..., :1, :1]), torch.zeros(2, 5, 1, 1))


def takes_odd_and_even_sides(layer: nn.Module) -> bool:
    """Whether `layer`, exported with an even side, takes an odd one, too."""
    sides = {2: torch.export.Dim.AUTO}
    exported = torch.export.export(layer, (torch.randn(1, 1, 8, 8),), dynamic_shapes=(sides,)).module()
    try:
        exported(torch.randn(1, 1, 7, 8))
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("encoder", "traced_at", "way"),
    [
        ("resnet18", (64, 96), "eager"),
        ("resnet18", (75, 61), "strict"),
        ("resnet18", (75, 61), "trace"),
        ("efficientnet_lite0", (75, 61), "eager"),
        ("efficientnet_lite0", (64, 96), "trace"),
    ],
)
def test_exports_for_other_sizes_of_picture(encoder, traced_at, way):
    torch.manual_seed(0)
    model = DynamicUnet(create_encoder(encoder, pretrained=False), 3, (64, 96)).eval()
    x = torch.randn(1, 3, *traced_at)
    if way == "trace":
        with warnings.catch_warnings(action="ignore"):  # it is told that sizes may differ, and that it is old
            exported = torch.jit.trace(model, x)
    else:
        sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
        exported = torch.export.export(model, (x,), dynamic_shapes=(sides,), strict=way == "strict").module()
    sizes = [traced_at, (traced_at[0] + 32, traced_at[1] + 64)]  # odd and even on the same grids
    if encoder != "resnet18" or way == "trace" or takes_odd_and_even_sides(nn.MaxPool2d(3, 2, 1)):
        sizes += [(64, 96), (75, 61), (99, 130)]
    for size in sizes:
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(exported(x), model(x))


def small_encoder() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1))


@pytest.mark.parametrize("tail", ["unshuffle", "merged"])
def test_an_unshuffled_tail_exports_for_other_sizes_of_picture(tail):
    torch.manual_seed(0)
    model = DynamicUnet(small_encoder(), 3, (64, 96), tail=tail).eval()
    sides = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    exported = torch.export.export(model, (torch.randn(1, 3, 64, 96),), dynamic_shapes=(sides,)).module()
    for size in ((33, 47), (64, 64), (40, 50)):
        x = torch.randn(1, 3, *size)
        torch.testing.assert_close(exported(x), model(x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [(33, 47), (64, 48)])
def test_what_an_unshuffled_tail_cuts_off_gets_no_gradient_and_the_rest_its_own(size):
    """By hand: the shuffled scores, sliced."""
    torch.manual_seed(0)
    model = DynamicUnet(small_encoder(), 2, (64, 96), tail="unshuffle").eval()
    x = torch.randn(1, 3, *size)
    with Hooks([model.head], detach=False) as hooks:
        out = model(x)
        by_hand = F.pixel_shuffle(hooks.stored[0], model.fold)[..., : size[0], : size[1]]
    assert torch.equal(out, by_hand)
    pull = torch.randn_like(out)
    ours, theirs = (torch.autograd.grad(y, model.head.parameters(), pull, retain_graph=True) for y in (out, by_hand))
    assert all(map(torch.equal, ours, theirs))


def test_an_encoder_with_one_layer_in_two_places_is_refused():
    pool = nn.MaxPool2d(2)
    with pytest.raises(ValueError, match=r"child 3 \(MaxPool2d\) is child 1 again"):
        DynamicUnet(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), pool, nn.ReLU(), pool), 4, (64, 64))
