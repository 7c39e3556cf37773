"""ResNet1d: a ResNet-18 whose token is 32 samples."""

import pytest
import torch
from torch import nn

from beatssl_sklearn.nn.resnet1d import ResNet1d


def test_it_has_the_layers_of_resnet_18():
    encoder = ResNet1d(500.0)
    convolutions = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size[1] > 1]
    # ResNet-18 counts its linear layer, which is left out here.
    assert len(convolutions) == 17
    assert encoder.stride == 32 and encoder.n_dims == 512 and encoder.n_dims_record == 3 * 512


@torch.inference_mode()
def test_width_sets_the_dimensions():
    encoder = ResNet1d(250.0, width=8).eval()
    x = torch.randn(2, 320, 12, generator=torch.Generator().manual_seed(0))
    assert encoder(x).shape == (2, 10, 64)


@pytest.mark.parametrize("params", [{"fs_model": 0.0}, {"width": 0}, {"kernel_size": 2}])
def test_wrong_parameters_are_named(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        ResNet1d(**({"fs_model": 100.0} | params))
