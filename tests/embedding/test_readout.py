"""A readout in a file: whatever a forger puts into it is refused before a record is embedded."""

import dataclasses

import numpy as np
import pytest

from beatssl_sklearn import BeatSSLPretrainer, RhythmEmbedder, load, make_ecg, save
from beatssl_sklearn.embedding.readout import Readout
from beatssl_sklearn.files.tensor_file import read_tensor_file, write_tensor_file

X = make_ecg(3, fs=100, duration=3, random_state=0).data
N_HIDDEN = 5


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """An encoder with a readout of five columns, in a file."""
    tiny = {"encoder_params": {"widths": (4, 4, 4), "n_dims": 4}, "max_epochs": 0, "random_state": 0, "device": "cpu"}
    encoder = BeatSSLPretrainer(fs=100, **tiny).fit(X).encoder_
    rng = np.random.default_rng(0)
    n_dims = RhythmEmbedder(encoder).transform(X).shape[1]
    weight, bias = rng.normal(size=(n_dims, N_HIDDEN)).astype("f4"), np.zeros(N_HIDDEN, "f4")
    low = np.full(n_dims, -1, "f4")
    path = tmp_path_factory.mktemp("readout") / "model.bssl"
    save(RhythmEmbedder(encoder.with_readout(Readout(low, -low, weight, bias))), path)
    return path, n_dims


def test_it_comes_back(file):
    path, n_dims = file
    assert load(path).transform(X).shape == (3, n_dims + N_HIDDEN)


def wider(array):
    return np.concatenate([array, array[:1]])


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Readout)])
@pytest.mark.parametrize(
    "forge",
    [
        wider,
        lambda a: a[None],
        lambda a: a[:0],
        lambda a: np.full_like(a, np.nan),
        lambda a: np.full_like(a, np.inf),
        lambda a: a.astype(np.int32),
        lambda a: a > 0,
        None,
    ],
    ids=["longer", "one more axis", "empty", "NaN", "infinite", "integers", "truth", "absent"],
)
def test_forged_arrays_are_refused(file, forge, name, tmp_path):
    arrays, config = read_tensor_file(file[0])
    (key,) = [key for key in arrays if key.endswith(f"readout.{name}")]
    forged = dict(arrays)
    forged.pop(key)
    if forge is not None:
        forged[key] = forge(arrays[key])
    # The digest is that of the forged content.
    write_tensor_file(tmp_path / "forged.bssl", forged, config)
    with pytest.raises(ValueError, match=r"^forged\.bssl: .*(low|high|weight|bias)"):
        load(tmp_path / "forged.bssl")


def test_bounds_in_the_wrong_order_and_layers_of_another_width_are_refused(file, tmp_path):
    arrays, config = read_tensor_file(file[0])
    keys = {name: next(key for key in arrays if key.endswith(f"readout.{name}")) for name in ("low", "high", "weight")}
    swapped = arrays | {keys["low"]: arrays[keys["high"]], keys["high"]: arrays[keys["low"]]}
    write_tensor_file(tmp_path / "forged.bssl", swapped, config)
    with pytest.raises(ValueError, match="low must not be above high"):
        load(tmp_path / "forged.bssl")
    # All arrays of the readout fit each other, and not the network.
    narrow = arrays | {key: arrays[key][:-1] for key in keys.values()}
    write_tensor_file(tmp_path / "forged.bssl", narrow, config)
    with pytest.raises(ValueError, match=r"readout\.weight must be an array of shape"):
        load(tmp_path / "forged.bssl")


def test_a_flipped_bit_is_noticed(file, tmp_path):
    content = bytearray(file[0].read_bytes())
    content[-3] ^= 1
    (tmp_path / "damaged.bssl").write_bytes(content)
    with pytest.raises(ValueError, match="digest|damaged"):
        load(tmp_path / "damaged.bssl")
