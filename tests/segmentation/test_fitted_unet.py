"""FittedUNet: what the training of a `WaveSegmenter` leaves behind."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import joblib
import numpy as np
import pytest
import torch
from closeness import assert_close_to_rounding

from beatssl_sklearn import FittedEncoder, FrontEnd
from beatssl_sklearn.nn.weights import module_arrays
from beatssl_sklearn.segmentation import FittedUNet
from beatssl_sklearn.segmentation.net import build_unet

FS, WIDTHS = 100.0, (8, 8, 8, 8)
FRONT_END = FrontEnd(fs_model=50.0, amplitude="relative")
CPU = torch.device("cpu")


def encoder_of(seed=0):
    return FittedEncoder.untrained("beatnet", {"widths": (8, 8, 8), "n_dims": 8}, FRONT_END, seed, fs=FS)


@pytest.fixture(scope="module")
def trained():
    """The network around another encoder than the one that training began with."""
    return build_unet(encoder_of(7).module(), fs=FS, fs_encoder=50.0, widths=WIDTHS, seed=3).eval()


@pytest.fixture
def unet(trained):
    return FittedUNet.trained(encoder_of(0), module_arrays(trained), FS, WIDTHS)


def inputs(seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(2, 3, 256, generator=draw), torch.randn(2, 128, 12, generator=draw)


def test_the_state_of_a_network_is_its_encoders_and_the_others(unet, trained):
    state = module_arrays(trained)
    assert not any(name.startswith("encoder.") for name in {**unet.weights, **unet.encoder.weights})
    joined = {**unet.weights, **{f"encoder.{name}": array for name, array in unet.encoder.weights.items()}}
    assert joined.keys() == state.keys() and all(np.array_equal(joined[name], array) for name, array in state.items())
    assert unet.encoder.front_end == FRONT_END and unet.encoder.fs == FS and unet.fs_model == FS


def test_the_encoder_that_training_began_with_stays(trained):
    start = encoder_of(0)
    before = joblib.hash(start)
    FittedUNet.trained(start, module_arrays(trained), FS, WIDTHS)
    assert joblib.hash(start) == before


def test_the_module_is_the_network_that_was_trained(unet, trained):
    module = unet.module().eval()
    with torch.inference_mode():
        assert torch.equal(module(*inputs()), trained(*inputs()))
    assert unet.module() is not module


def test_the_model_is_the_network_with_what_prepares_its_inputs(unet, trained):
    model = unet.model(CPU, torch.float32)
    assert model.fs == FS and model.coarse == FRONT_END
    assert model.fine == FrontEnd(fs_model=FS, amplitude="relative")
    with torch.inference_mode():
        assert_close_to_rounding(model.net(*inputs()), trained(*inputs()), 1e-5)


def test_models_are_made_once_for_each_device_and_type(unet):
    exact, rough = (unet.model(CPU, dtype) for dtype in (torch.float32, torch.bfloat16))
    assert unet.model(CPU, torch.float32) is exact is not rough and rough.dtype == torch.bfloat16
    assert {p.dtype for p in rough.net.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in exact.net.parameters()} == {torch.float32}


def test_it_never_changes(unet):
    with pytest.raises(FrozenInstanceError):
        unet.weights = {}


def test_copies_are_the_same_arrays_and_no_network(unet):
    before = joblib.hash(unet), len(pickle.dumps(unet))
    expected = unet.model(CPU, torch.float32).net(*inputs()).detach()
    assert (joblib.hash(unet), len(pickle.dumps(unet))) == before and b"torch" not in pickle.dumps(unet)
    for other in (pickle.loads(pickle.dumps(unet)), copy.deepcopy(unet), copy.copy(unet)):
        assert joblib.hash(other) == before[0]
        assert torch.equal(other.model(CPU, torch.float32).net(*inputs()).detach(), expected)
