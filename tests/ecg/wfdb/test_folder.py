"""Folders of records: indexing, splitting, lists of names, and names that leave the folder."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from beatssl_sklearn.ecg.wfdb import WFDBFolder


@pytest.fixture
def folder(write_record, tmp_path):
    for name in ("10", "9", "sub/1"):
        write_record(tmp_path / name)
    return WFDBFolder(tmp_path)


def test_indexing(folder):
    assert folder.names == ("9/rec", "10/rec", "sub/1/rec") and folder.shape == (3,) and len(folder) == 3
    assert folder[-1].signal.shape == (3, 300) and folder[np.int64(0)].fs == 500
    assert folder[1:].names == folder.names[1:]
    assert folder[[2, 0]].names == folder[np.array([2, 0])].names == ("sub/1/rec", "9/rec")
    assert folder[np.array([True, False, True])].names == folder[np.array([0, 2]), ...].names
    assert len(folder[[]]) == 0 and [record.fs for record in folder] == [500] * 3
    for key in (3, [True], [0.5], "9"):
        with pytest.raises(IndexError):
            folder[key]


def test_pickle_and_repr_hold_no_signals(folder, tmp_path):
    again = pickle.loads(pickle.dumps(folder[1:]))
    assert again.names == folder.names[1:] and len(pickle.dumps(folder)) < 2000
    assert str(tmp_path.parent) not in repr(folder) and "n_records=3" in repr(folder)


def test_scikit_learn_can_split_it(folder):
    from sklearn.model_selection import GroupKFold, train_test_split
    from sklearn.utils import _safe_indexing, indexable

    train, test = train_test_split(folder, test_size=1, random_state=0)
    assert isinstance(train, WFDBFolder) and len(train) == 2 and len(test) == 1
    splits = list(GroupKFold(3).split(folder, groups=[0, 1, 2]))
    assert sorted(_safe_indexing(folder, part)[0].fs for _, part in splits) == [500] * 3
    assert indexable(folder, [0, 1, 2])[0] is folder


def test_becomes_an_array(write_record, folder, tmp_path):
    assert np.asarray(folder).shape == (3, 3, 300) and np.asarray(folder, dtype=np.float64).dtype == np.float64
    write_record(tmp_path / "10", first="rec 3 250 300")
    with pytest.raises(ValueError, match="'10/rec' differs from '9/rec'"):
        np.asarray(folder)


def test_records_file_comes_first(folder, tmp_path):
    (tmp_path / "RECORDS").write_text("sub/1/rec\n9/rec\n")
    assert WFDBFolder(tmp_path).names == ("sub/1/rec", "9/rec")
    (tmp_path / "RECORDS").write_text("sub/\n")
    assert WFDBFolder(tmp_path).names == ("sub/1/rec",)
    assert WFDBFolder(tmp_path, names=["9/rec"], leads=["II"])[0].leads == ("II",)


@pytest.mark.parametrize("name", ["../rec", "/etc/rec", "a/../../rec", "s3://b/rec", "a\\rec"])
def test_names_stay_in_the_folder(folder, tmp_path, name):
    with pytest.raises(ValueError, match="leaves the folder"):
        WFDBFolder(tmp_path, names=[name])
    (tmp_path / "RECORDS").write_text(name + "\n")
    with pytest.raises(ValueError, match="leaves the folder"):
        WFDBFolder(tmp_path)


def test_directories_behind_links_are_refused(folder, tmp_path):
    (tmp_path / "10/out").symlink_to(tmp_path / "9")
    with pytest.raises(ValueError, match="a link leads record 'rec' outside"):
        WFDBFolder(tmp_path / "10", names=["out/rec"])


def test_missing_and_empty(tmp_path):
    with pytest.raises(ValueError, match="no records"):
        WFDBFolder(tmp_path)
    with pytest.raises(OSError, match="not an existing folder"):
        WFDBFolder(tmp_path / "absent")
    with pytest.raises(TypeError, match="names"):
        WFDBFolder(tmp_path, names="rec")


def test_warnings_point_to_the_caller(write_record, tmp_path):
    write_record(tmp_path, checksum=1)
    for read in (lambda f: f[0], list):
        with pytest.warns(UserWarning, match="record 'rec': checksum") as caught:
            read(WFDBFolder(tmp_path))
        assert os.path.basename(caught[0].filename) == os.path.basename(__file__)
