"""Models on a hub, which is a server on this machine: there and back, pinned, and every way that it can fail."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from local_hub import local_hub
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from beatssl_sklearn import BeatSSLPretrainer, RhythmEmbedder, from_pretrained, make_ecg, push_to_hub
from beatssl_sklearn.persistence.card import model_card

X = make_ecg(4, fs=100, duration=3, random_state=0).data
TINY = {"fs": 100, "encoder_params": {"widths": (4, 4, 4), "n_dims": 4}, "max_epochs": 0, "batch_size": 4}
OWN = "someone/tiny-ecg"


def fitted(seed=0):
    return BeatSSLPretrainer(**TINY, random_state=seed, device="cpu").fit(X)


MODEL, OTHER = fitted(), fitted(1)


@pytest.fixture
def hub():
    with local_hub() as running:
        yield running


@pytest.fixture
def there(hub, tmp_path):
    """Arguments of `from_pretrained` for the local hub, with a cache of the test's own."""
    return {"endpoint": hub.endpoint, "cache_dir": tmp_path / "cache", "token": False}


def push(hub, model, **changes):
    return push_to_hub(model, OWN, endpoint=hub.endpoint, token="secret", **changes)


# There and back


def test_what_is_pushed_comes_back(hub, there):
    push(hub, MODEL)
    again = from_pretrained(OWN, **there)
    assert np.array_equal(again.transform(X), MODEL.transform(X))
    embedder = RhythmEmbedder(again)
    assert np.array_equal(embedder.transform(X), MODEL.transform(X))
    assert sorted(hub.files(OWN)[1]) == ["README.md", "model.bssl"]


def test_a_revision_stays_what_it_was(hub, there):
    first = push(hub, MODEL)
    second = push(hub, OTHER)
    assert first != second and len(first) == 40
    found = {name: from_pretrained(OWN, revision=name, **there).transform(X) for name in (first, second, None)}
    assert np.array_equal(found[first], MODEL.transform(X))
    assert np.array_equal(found[second], OTHER.transform(X)) and np.array_equal(found[None], found[second])


def test_the_cache_answers_without_the_hub(hub, there):
    commit = push(hub, MODEL)
    from_pretrained(OWN, **there)
    n = len(hub.requests)
    again = from_pretrained(OWN, **there, local_files_only=True)
    pinned = from_pretrained(OWN, **there, revision=commit)
    assert len(hub.requests) == n
    assert np.array_equal(again.transform(X), pinned.transform(X))
    from_pretrained(OWN, **there)
    # The newest commit is asked for, the file is not sent again.
    assert [r.split()[0] for r in hub.requests[n:]] == ["HEAD"]


def test_the_digest_pins_the_file(hub, there):
    push(hub, MODEL)
    content = hub.files(OWN)[1]["model.bssl"]
    digest = hashlib.sha256(content).hexdigest()
    assert digest in hub.files(OWN)[1]["README.md"].decode()
    from_pretrained(OWN, digest=digest.upper(), **there)
    with pytest.raises(ValueError, match=f"has the SHA-256 digest {digest}, not digest='0+'"):
        from_pretrained(OWN, digest="0" * 64, **there)


def test_half_precision_has_half_the_size(hub):
    push(hub, MODEL)
    whole = len(hub.files(OWN)[1]["model.bssl"])
    push(hub, MODEL, half=True)
    assert len(hub.files(OWN)[1]["model.bssl"]) < whole


# Nothing but a file of this package is read


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "pytorch_model.bin", "model.bssl.pkl", None, "x\0.bssl"])
def test_no_other_kind_of_file_is_asked_for(hub, there, name):
    with pytest.raises(ValueError, match="filename must end in '.bssl'"):
        from_pretrained(OWN, filename=name, **there)
    assert hub.requests == []


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def damaged():
    with local_hub() as running:
        push(running, MODEL)
        content = bytearray(running.files(OWN)[1]["model.bssl"])
    content[-1] ^= 1
    return bytes(content)


@pytest.mark.parametrize("content", [pickle.dumps(Bomb()), b"", damaged()], ids=["pickle", "empty", "damaged"])
def test_a_file_of_the_hub_is_checked_as_any_file(hub, there, content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hub.commit(OWN, {"model.bssl": content})
    with pytest.raises(ValueError, match=r"model\.bssl is (damaged|not a beatssl_sklearn file)"):
        from_pretrained(OWN, **there)
    assert not Path("exploded").exists()


# What can fail


@pytest.mark.parametrize("repo_id", ["ptbxl", "a/b/c", "/name", "", 7, None, Path("a/b"), "owner/na me"])
def test_names_of_repositories_are_checked(hub, there, repo_id):
    for call in (lambda: from_pretrained(repo_id, **there), lambda: push_to_hub(MODEL, repo_id, endpoint=hub.endpoint)):
        with pytest.raises(ValueError, match="repo_id"):
            call()
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("revision", 3), ("revision", b"main"), ("digest", 3), ("endpoint", 3), ("cache_dir", 3), ("token", 3),
     ("local_files_only", "no")],
)  # fmt: skip
def test_parameters_of_the_wrong_type_are_named(hub, there, name, value):
    with pytest.raises(TypeError, match=f"{name} must be .*, got"):
        from_pretrained(OWN, **(there | {name: value}))
    assert hub.requests == []


@pytest.mark.parametrize(("name", "value"), [("half", "x"), ("private", "no"), ("message", 3), ("card", 3)])
def test_nothing_is_pushed_with_a_wrong_parameter(hub, name, value):
    with pytest.raises(TypeError, match=f"{name} must be .*, got"):
        push(hub, MODEL, **{name: value})
    with pytest.raises(ValueError, match="message must not be empty"):
        push(hub, MODEL, message="")
    assert hub.requests == []


def test_what_is_missing_is_named(hub, there):
    hub.commit(OWN, {"README.md": b"no model yet"})
    with pytest.raises(FileNotFoundError, match="'no/one'.*no such repository, or it is private"):
        from_pretrained("no/one", **there)
    with pytest.raises(FileNotFoundError, match="'model.bssl' from 'someone/tiny-ecg'.*has no such file"):
        from_pretrained(OWN, **there)
    with pytest.raises(FileNotFoundError, match="at the revision 'v9'.*no such revision"):
        from_pretrained(OWN, revision="v9", **there)


def test_without_a_hub(tmp_path):
    with local_hub() as gone:
        address = gone.endpoint
    given = {"endpoint": address, "cache_dir": tmp_path, "token": False}
    with pytest.raises(OSError, match="the hub was not reached, and the cache .* has no such file"):
        from_pretrained(OWN, **given)
    with pytest.raises(OSError, match="cache of this machine"):
        from_pretrained(OWN, **given, local_files_only=True)
    with pytest.raises(OSError, match="cannot push to 'someone/tiny-ecg'"):
        push_to_hub(MODEL, OWN, endpoint=address, token="secret")


def test_who_may_not_write_is_told(hub):
    with pytest.raises(OSError, match="cannot push to 'someone/tiny-ecg'"):
        push_to_hub(MODEL, OWN, endpoint=hub.endpoint, token="wrong")
    assert hub.repositories == {}


def test_what_cannot_be_saved_reaches_no_hub(hub):
    with pytest.raises(NotFittedError):
        push(hub, BeatSSLPretrainer())
    with pytest.raises(TypeError, match="use joblib"):
        push(hub, object())
    assert hub.requests == []


# The card


def test_a_card_is_written(hub):
    push(hub, MODEL)
    text = hub.files(OWN)[1]["README.md"].decode()
    assert text.startswith("---\nlibrary_name: beatssl_sklearn\n") and "For research only" in text
    assert f'from_pretrained("{OWN}")' in text and "`BeatSSLPretrainer`" in text
    assert "| sampling rate of arrays [Hz] | 100" in text


def test_classes_are_on_the_card():
    model = LogisticRegression().fit(np.arange(4.0)[:, None], ["af", "sinus"] * 2)
    assert "| classes | af, sinus |" in model_card(model, OWN, "0")


def test_a_card_of_ones_own_is_kept_and_says_what_it_is_for(tmp_path):
    header = "---\nlicense: mit\n---\n\n"
    (tmp_path / "card.md").write_text(f"{header}# Mine\n\nFor research only.\n", encoding="utf-8")
    assert model_card(MODEL, OWN, "0", tmp_path / "card.md") == f"{header}# Mine\n\nFor research only.\n"
    plain = model_card(MODEL, OWN, "0", "# Mine\n\nÜber Herzen")
    assert plain.startswith("---\nlibrary_name") and "Über Herzen" in plain and "**For research only." in plain


@pytest.mark.parametrize(
    ("card", "error", "message"),
    [
        ("card.md", ValueError, r"pass pathlib.Path\('card.md'\)"),
        (" \n", ValueError, "card is empty"),
        (Path("nowhere.md"), OSError, "nowhere.md"),
    ],
)
def test_cards_that_cannot_be_used(hub, card, error, message):
    with pytest.raises(error, match=message):
        push(hub, MODEL, card=card)
    assert hub.requests == []
