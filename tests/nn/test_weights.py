"""Weights of modules as arrays, devices and precisions, and networks that are kept ready."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import torch

from beatssl_sklearn.nn.ready import ReadyNetworks
from beatssl_sklearn.nn.weights import load_module_arrays, module_arrays, trained_arrays


def test_arrays_there_and_back():
    a, b = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    arrays = module_arrays(a)
    load_module_arrays(b, arrays)
    assert torch.equal(a.weight, b.weight)
    arrays["weight"][:] = 0
    assert not torch.equal(a.weight, torch.zeros(2, 3)) and torch.equal(a.weight, b.weight), "arrays are copies"
    with pytest.raises(ValueError, match="the weights do not fit the network"):
        load_module_arrays(torch.nn.Linear(4, 2), arrays)


def test_weights_that_are_not_finite_are_an_error():
    layer = torch.nn.Linear(3, 2)
    assert set(trained_arrays(layer, 0.1)) == {"weight", "bias"}
    with torch.no_grad():
        layer.bias[0] = torch.nan
    with pytest.raises(FloatingPointError, match="bias is not finite with lr=0.1"):
        trained_arrays(layer, 0.1)


def test_ready_networks_are_no_part_of_what_they_belong_to():
    ready, made = ReadyNetworks(), []

    def make():
        made.append(object())
        return made[-1]

    empty = joblib.hash(ready)
    assert ready.get("cpu", make) is ready.get("cpu", make) is made[0] and ready.get("cuda", make) is made[1]
    assert joblib.hash(ready) == empty
    for again in (pickle.loads(pickle.dumps(ready)), copy.deepcopy(ready), copy.copy(ready)):
        assert again.get("cpu", make) not in made[:2]


def test_equal_arrays_have_equal_hashes():
    assert joblib.hash(module_arrays(torch.nn.ReLU())) == joblib.hash({})
    assert np.array_equal(*(module_arrays(torch.nn.LayerNorm(2))["weight"] for _ in range(2)))
