"""DynamicUnet computes what the reference library's network of that name computes (recorded in tests/reference)."""

import json

import pytest
import torch

from course_utils.unet import DynamicUnet
from tests.reference.numbered_weights import fill_by_number, numbered_picture
from tests.reference.record_unet import CASES, N_OUT, RECORD, SIZE, resnet_body, summarise

CASES_RECORDED = json.loads(RECORD.read_text())["cases"]


@pytest.mark.parametrize("name", CASES)
def test_same_weights_give_the_recorded_output(name):
    options = dict(CASES[name])
    size = options.pop("size", SIZE)
    expected = CASES_RECORDED[name]
    model = DynamicUnet(resnet_body(), N_OUT, size, **options).double().eval()
    assert len(model.state_dict()) == expected["entries"]
    assert sum(parameter.numel() for parameter in model.parameters()) == expected["parameters"]
    fill_by_number(model)
    with torch.no_grad():
        found = summarise(model(numbered_picture(size).double()))
    assert found["shape"] == expected["shape"]
    scale = expected["std"]
    assert scale > 0
    assert found["mean"] == pytest.approx(expected["mean"], abs=1e-9 * scale)
    assert found["std"] == pytest.approx(expected["std"], rel=1e-9)
    assert found["values"] == pytest.approx(expected["values"], abs=1e-9 * scale, rel=1e-9)
