"""What callbacks have learnt goes into a checkpoint and comes back; what cannot go is named."""

import json

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping

from beatssl_sklearn.training.callback_state import checked_state, lost_attributes, restore_state, state_of


class Learner(Callback):
    def __init__(self, patience=3):
        self.patience = patience

    def initialize(self):
        self.best_ = {"loss": 0.5, "rows": [1, (2.0, None)], "names": ["a"]}
        self.mean_ = np.arange(3.0)
        self.weights_ = {"w": torch.arange(4.0).reshape(2, 2)}
        self.number_ = np.float64(2.5)
        return self


def there_and_back(callback):
    arrays = {}
    kept = json.loads(json.dumps(state_of([("c", callback)], arrays)))
    return kept, arrays


def test_plain_values_arrays_and_tensors_come_back():
    kept, arrays = there_and_back(Learner().initialize())
    again = Learner(patience=5)
    restore_state([("other name", again)], kept, arrays)
    assert again.best_ == {"loss": 0.5, "rows": [1, (2.0, None)], "names": ["a"]} and again.number_ == 2.5
    assert np.array_equal(again.mean_, np.arange(3.0)) and isinstance(again.weights_["w"], torch.Tensor)
    assert torch.equal(again.weights_["w"], torch.arange(4.0).reshape(2, 2))
    assert again.patience == 5, "parameters are the user's"


def test_what_cannot_be_kept_is_named():
    callback = Learner().initialize()
    callback.file_, callback.keyed_ = open(__file__, "rb"), {1: 2}
    with callback.file_:
        kept, _ = there_and_back(callback)
    assert lost_attributes([("c", callback)], kept) == ["Learner.file_", "Learner.keyed_"]
    assert "mean_" in kept[0]["state"]


WRONG = [
    3,
    [],
    [{}],
    [{"class": "EarlyStopping", "state": {}}],
    [{"class": "Learner", "state": {}, "lost": []}],
    [{"class": "EarlyStopping", "state": [], "lost": []}],
    [{"class": "EarlyStopping", "state": {}, "lost": [3]}],
    [{"class": "EarlyStopping", "state": {"on_epoch_end": 1}, "lost": []}],
    [{"class": "EarlyStopping", "state": {"patience": 1}, "lost": []}],
    [{"class": "EarlyStopping", "state": {"__class__": 1}, "lost": []}],
    [{"class": "EarlyStopping", "state": {"misses_": {"tensor": "nowhere"}}, "lost": []}],
    [{"class": "EarlyStopping", "state": {"misses_": {}}, "lost": []}],
    [{"class": "EarlyStopping", "state": {"misses_": [1]}, "lost": []}],
]


@pytest.mark.parametrize("kept", WRONG)
def test_states_of_others_are_refused(kept):
    stop = EarlyStopping()
    before = dict(vars(stop))
    with pytest.raises(ValueError, match="it (holds|sets)"):
        checked_state([("stop", stop)], kept, {})
    assert vars(stop) == before


def test_a_number_stays_a_number():
    stop = EarlyStopping()
    stop.on_train_begin(None)
    kept = [{"class": "EarlyStopping", "state": {"misses_": "many"}, "lost": []}]
    with pytest.raises(ValueError, match="sets EarlyStopping.misses_ to 'many', no number"):
        restore_state([("stop", stop)], kept, {})


def test_a_callback_that_was_not_there_before_begins_anew():
    kept, arrays = there_and_back(Learner().initialize())
    new, again = Callback(), Learner()
    restore_state([("new", new), ("again", again)], kept, arrays)
    assert vars(new) == {} and again.number_ == 2.5
