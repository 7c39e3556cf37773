"""Folders of records: indexing, splitting, lists of names, and names that leave the folder."""

from __future__ import annotations

import os
import pickle
import shutil

import joblib
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


class TestLists:
    @pytest.fixture
    def write_list(self, tmp_path):
        """Writes a file RECORDS into a subfolder."""

        def write(inner, *names):
            (tmp_path / inner).mkdir(parents=True, exist_ok=True)
            (tmp_path / inner / "RECORDS").write_text("".join(f"{name}\n" for name in names))

        return write

    def test_lists_of_inner_folders_count(self, write_record, write_list, tmp_path):
        for name in ("30/x", "30/y", "9"):
            write_record(tmp_path / name)
            (tmp_path / name / "rec_1.hea").write_text("a segment, which is no record of its own\n")
        write_list("30/x", "rec")
        write_list("30", "x/", "./y/rec", "# a comment", "")
        assert WFDBFolder(tmp_path / "30/x").names == ("rec",)
        assert WFDBFolder(tmp_path / "30").names == ("x/rec", "y/rec")
        # Without a list of its own, a folder has its headers and what its subfolders list.
        assert WFDBFolder(tmp_path).names == ("9/rec", "9/rec_1", "30/x/rec", "30/y/rec")
        write_list("", "30/")
        assert WFDBFolder(tmp_path).names == ("30/x/rec", "30/y/rec")
        assert WFDBFolder(tmp_path)[0].info["record"] == "30/x/rec"

    def test_names_of_header_files(self, write_record, write_list, tmp_path):
        write_record(tmp_path)
        write_list("", "rec.hea")
        assert WFDBFolder(tmp_path).names == ("rec",) == WFDBFolder(tmp_path, names=["rec.hea"]).names

    @pytest.mark.parametrize("name", ["a/" * 200_000 + "x", "x" * 400_000, "a/" * 200_000])
    def test_a_name_without_end_is_refused_at_once(self, write_list, tmp_path, name):
        write_list("", name)
        with pytest.raises(ValueError, match="40000[01] characters, at most 1024"):
            WFDBFolder(tmp_path)

    def test_a_list_may_not_lead_back(self, write_list, tmp_path):
        write_list("b", "./")
        with pytest.raises(ValueError, match="leads back to its own folder"):
            WFDBFolder(tmp_path / "b")
        write_list("a", "again/")
        (tmp_path / "a/again").symlink_to(".")
        with pytest.raises(ValueError, match="'again/RECORDS' leads back to its own folder"):
            WFDBFolder(tmp_path / "a")

    def test_folders_are_not_nested_without_end(self, tmp_path):
        (tmp_path / "/".join("a" * 70)).mkdir(parents=True)
        with pytest.raises(ValueError, match="nested more than 64 times"):
            WFDBFolder(tmp_path)


class TestPattern:
    def test_names_that_match(self, folder, tmp_path):
        assert WFDBFolder(tmp_path, pattern="sub/*").names == ("sub/1/rec",)
        assert WFDBFolder(tmp_path, pattern=["9/*", "1?/rec"]).names == ("9/rec", "10/rec")
        assert WFDBFolder(tmp_path, names=["9/rec", "10/rec"], pattern="9*").names == ("9/rec",)

    def test_refused(self, folder, tmp_path):
        for pattern in ("REC", []):
            with pytest.raises(ValueError, match="matches none of its 3 records"):
                WFDBFolder(tmp_path, pattern=pattern)
        with pytest.raises(TypeError, match="pattern must be"):
            WFDBFolder(tmp_path, pattern=[3])


class TestNothingIsDroppedSilently:
    @pytest.fixture
    def locked(self, folder, tmp_path, monkeypatch):
        """The folder "10" cannot be searched; permissions do not bind every user, so the call fails instead."""
        scandir = os.scandir

        def refused(path):
            if os.path.basename(os.path.normpath(path)) == "10":
                raise PermissionError(13, "Permission denied", path)
            return scandir(path)

        monkeypatch.setattr("beatssl_sklearn.ecg.wfdb.listing.os.scandir", refused)
        return tmp_path

    def test_a_subfolder_that_cannot_be_searched_is_an_error(self, locked):
        with pytest.raises(OSError, match=r"'10/ \(Permission denied\)' cannot be searched; skip_unreadable=True"):
            WFDBFolder(locked)

    def test_or_a_warning(self, locked):
        with pytest.warns(UserWarning, match=r"'10/ \(Permission denied\)' cannot be searched: its records"):
            folder = WFDBFolder(locked, skip_unreadable=True)
        assert folder.names == ("9/rec", "sub/1/rec") and folder.unreadable == ("10/ (Permission denied)",)
        assert WFDBFolder(locked, names=["9/rec"]).unreadable == ()

    def test_links_to_folders_outside_are_told(self, folder, tmp_path):
        (tmp_path / "10/out").symlink_to(tmp_path / "9")
        with pytest.warns(UserWarning, match="folder '10': 'out' is a link to a folder outside and is not followed"):
            assert WFDBFolder(tmp_path / "10").names == ("rec",)
        # Inside the folder, the records are found where they are.
        assert WFDBFolder(tmp_path).names == ("9/rec", "10/rec", "sub/1/rec")

    def test_a_folder_that_is_gone(self, folder, tmp_path):
        shutil.rmtree(tmp_path / "9")
        with pytest.raises(FileNotFoundError, match="record 'rec': there is no file 'rec.hea'"):
            folder[0]
        shutil.rmtree(tmp_path)
        with pytest.raises(FileNotFoundError, match="is gone: record 'sub/1/rec' cannot be read"):
            folder[2]


class TestPicklesNoticeChanges:
    def test_files_of_the_records_and_no_others(self, folder, tmp_path):
        before, first = joblib.hash(folder), joblib.hash(folder[:1])
        assert joblib.hash(pickle.loads(pickle.dumps(folder))) == before
        (tmp_path / "9/rec.atr").write_bytes(b"\0\0")
        assert joblib.hash(folder) == before
        os.utime(tmp_path / "10/rec.dat", ns=(1, 1))
        assert joblib.hash(folder) != before and joblib.hash(folder[:1]) == first

    @pytest.mark.parametrize("change", ["rec.dat", "rec.hea"])
    def test_changed_and_missing_files(self, folder, tmp_path, change):
        seen = {joblib.hash(folder)}
        with open(tmp_path / "9" / change, "ab") as stream:
            stream.write(b"# more\n")
        seen.add(joblib.hash(folder))
        (tmp_path / "9" / change).unlink()
        seen.add(joblib.hash(folder))
        assert len(seen) == 3

    def test_files_of_segments(self, folder, tmp_path):
        os.replace(tmp_path / "9/rec.hea", tmp_path / "9/seg.hea")
        (tmp_path / "9/rec.hea").write_text("rec/2 3 500 600\nseg 300\nseg 300\n")
        before = joblib.hash(folder[:1])
        os.utime(tmp_path / "9/rec.dat", ns=(1, 1))
        assert joblib.hash(folder[:1]) != before


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
