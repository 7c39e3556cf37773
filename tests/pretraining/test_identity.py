"""Digests that tell one value from another, and are the same in every process."""

import functools
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping

from beatssl_sklearn import BeatSSL, VCGViews
from beatssl_sklearn.nn.beatnet import BeatNet
from beatssl_sklearn.nn.inference import inference_module
from beatssl_sklearn.pretraining.identity import digest_of, digest_of_callback

SCALE = 2.0


def scaled(x, present, generator, factor=1.0):
    return x * SCALE * factor, present


def through_another(x, present, generator):
    return scaled(x, present, generator)


def closing_over(value):
    def views(x, present, generator):
        return x * value, present

    return views


class Views:
    strength = 1.0

    def __init__(self, mask=None):
        self.mask = mask

    def __call__(self, x, present, generator):
        return self.drawn(x), present

    def drawn(self, x):
        return x * self.strength

    @property
    def twice(self):
        return 2 * self.strength


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


def objects(value):
    found = np.empty(2, dtype=object)
    found[:] = [np.arange(5000.0), "x"]
    found[0][2500] = value
    return found


def network(value):
    module = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(module.weight, value)
    torch.nn.init.zeros_(module.bias)
    return module


class Other(Views):
    def drawn(self, x):
        return -x


DIFFERENT = {
    "closures": (closing_over(1), closing_over(2)),
    "partials": (functools.partial(scaled, factor=2), functools.partial(scaled, factor=3)),
    "partials of tensors": tuple(functools.partial(scaled, factor=torch.full((3,), v)) for v in (1.0, 2.0)),
    "lambdas": (lambda x: x + 1, lambda x: x + 2),
    "ufuncs": (np.negative, np.abs),
    "builtins": (len, abs),
    "functions of torch": (torch.abs, torch.neg),
    "tensors": (torch.zeros(3), torch.ones(3)),
    "modules": (network(1.0), network(2.0)),
    "attributes": (Views(1), Views(2)),
    "bound methods": (Views(1).drawn, Views(2).drawn),
    "methods of a subclass": (Views().drawn, Other().drawn),
    "slots": (Slotted(1), Slotted(2)),
    "paths": (Path("a"), Path("b")),
    "patterns": (re.compile("a"), re.compile("b")),
    "ranges": (range(3), range(4)),
    "generators": (np.random.default_rng(1), np.random.default_rng(2)),
    "long arrays in arrays": (objects(1), objects(2)),
    "keys": ({1: 2}, {"1": 2}),
    "components": (BeatSSL(views=VCGViews(angle=1)), BeatSSL(views=VCGViews(angle=2))),
    "deep lists": tuple(functools.reduce(lambda inner, _: [inner], range(40), v) for v in (1, 2)),
    "callbacks": (EarlyStopping(patience=2), EarlyStopping(patience=3)),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_has_other_digests(name):
    first, second = DIFFERENT[name]
    assert digest_of(first) == digest_of(first) != digest_of(second)


@pytest.mark.parametrize("function", [scaled, through_another])
def test_globals_that_a_function_reads_count(function, monkeypatch):
    before = digest_of(function)
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert digest_of(function) != before


@pytest.mark.parametrize("name", ["strength", "drawn", "twice", "new"])
def test_all_entries_of_a_users_class_count(name, monkeypatch):
    before = digest_of(Views), digest_of(Views())
    monkeypatch.setattr(Views, name, property(lambda self: 5) if name == "twice" else 5.0, raising=False)
    assert digest_of(Views) != before[0] and digest_of(Views()) != before[1]


def test_a_network_that_has_been_used_is_the_same_one():
    """Its weights in the layout of the processor are kept from the first use on, and left out of copies."""
    network = inference_module(BeatNet(100.0, widths=(4, 4, 4), n_dims=4))
    before = digest_of(network)
    network(torch.zeros(2, 1000, 12))
    assert digest_of(network) == before


CALLS: list[int] = []
ANGLES = [10, 20]


def counted(x):
    CALLS.append(len(x))
    return x


def turned(x):
    return x * ANGLES[0]


def test_what_a_function_fills_is_its_state_and_what_it_reads_is_not(monkeypatch):
    before = digest_of(counted), digest_of(turned)
    counted([1])
    monkeypatch.setitem(globals(), "ANGLES", [30, 20])
    assert digest_of(counted) == before[0] and digest_of(turned) != before[1]


def test_circles_end():
    circle = [1]
    circle.append(circle)

    def again(n):
        return again(n - 1)

    assert digest_of(circle) == digest_of(circle) and digest_of(again) == digest_of(again)


def test_what_nothing_tells_apart_is_the_same_only_as_itself():
    lock = threading.Lock()
    assert digest_of(lock) == digest_of(lock) != digest_of(threading.Lock())


class Looker(Callback):
    def __init__(self, n=1):
        self.n = n


def test_the_state_of_a_callback_does_not_count():
    stop = EarlyStopping(patience=2)
    before = digest_of_callback(stop)
    stop.on_train_begin(None)
    stop.misses_ = 7
    assert digest_of_callback(stop) == before == digest_of_callback(("name", EarlyStopping(patience=2)))
    assert digest_of_callback(Looker) != digest_of_callback(Looker()) != digest_of_callback(Looker(2))


def test_digests_are_the_same_in_every_process():
    code = "import test_identity as t; print([t.digest_of(v) for pair in t.DIFFERENT.values() for v in pair])"
    found = set()
    for seed in ("1", "2"):
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-W", "ignore", "-c", code]
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
        found.add(run.stdout)
    assert len(found) == 1 and found.pop().count("'") == 4 * len(DIFFERENT)
