"""The command `beatssl info`: lines for every estimator that can be saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from beatssl_sklearn import BeatEmbedder, FineTunedClassifier, WaveSegmenter, load, make_ecg, register, save
from beatssl_sklearn.cli.main import main

Info = Callable[..., dict[str, str]]


def test_a_pretrainer(model: Path, info: Info) -> None:
    rows, found = info(model), load(model)
    assert rows["class"] == "BeatSSLPretrainer"
    assert rows["encoder"] == "beatnet size=s"
    assert int(rows["encoder parameters"].replace(",", "")) == sum(a.size for a in found.encoder_.weights.values())
    assert rows["rate of the network"] == "100 Hz"
    Z = found.embed(make_ecg(1, random_state=0).data)
    assert rows["dimensions per record"] == str(Z.rhythm.shape[1])
    assert rows["dimensions per beat"] == str(Z.beat[0].shape[1])
    names = found.get_feature_names_out()
    assert rows["columns"] == f"{names[0]} to {names[-1]}"
    assert rows["beat window"] == "0.25 s before to 0.45 s after the R peak, in 7 parts"
    assert rows["R-peak detector"] == "multilead" and rows["missing samples"] == "refused"
    assert rows["objective"] == "BeatSSL()" and rows["epochs"] == "1"
    assert rows["last training loss"] == f"{found.history_[-1]['train_loss']:.4f}"
    assert rows["other parameters"] == "batch_size=3, random_state=3"
    assert "model card" not in rows


def test_an_untrained_encoder(good: Path, info: Info, tmp_path: Path) -> None:
    out = tmp_path / "m.bssl"
    changed = ["--set", "temperature=.2", "--set", "views=NoViews", "--allow-nan", "--fs-model", "50"]
    assert main(["pretrain", str(good), "--out", str(out), "--size", "s", "--epochs", "0", "--quiet", *changed]) == 0
    rows = info(out)
    assert rows["last training loss"] == "none (random initialisation)"
    assert rows["objective"] == "BeatSSL(temperature=0.2, views=NoViews())"
    assert rows["missing samples"] == "allowed" and rows["rate of the network"] == "50 Hz"


def test_an_embedder_shows_what_it_embeds_with(model: Path, info: Info, tmp_path: Path) -> None:
    save(BeatEmbedder(load(model), fs=250, batch_size=2), tmp_path / "beats.bssl")
    rows, inner = info(tmp_path / "beats.bssl"), info(model)
    assert rows["class"] == "BeatEmbedder" and rows["other parameters"] == "batch_size=2"
    for name in ("encoder", "encoder parameters", "dimensions per beat", "objective", "epochs", "last training loss"):
        assert rows[name] == inner[name]
    assert rows["columns"].startswith("beat1_0 to ")
    assert "dimensions per record" not in rows and "dimensions per token" not in rows


def test_a_segmenter(wave_model: Path, segmenter: WaveSegmenter, info: Info) -> None:
    rows = info(wave_model)
    assert rows["class"] == "WaveSegmenter" and rows["epochs"] == str(segmenter.n_iter_)
    assert rows["labels of samples"] == "background, P, QRS, T" and rows["rate of labels"] == "250 Hz"
    assert rows["training windows"] == "5.12 s, 6 leads, 8 per step"
    assert rows["last training loss"] == f"{segmenter.history_[-1]['train_loss']:.4f}"
    assert "wave_params={'min_confidence': 0.3, 'need_qrs': False}" in rows["other parameters"]
    total = sum(int(rows[f"{name} parameters"].replace(",", "")) for name in ("encoder", "U-Net"))
    assert int(rows["numbers in the file"].replace(",", "")) >= total
    assert "objective" not in rows
    assert rows["waves"] == "onset, peak and offset of P, QRS, T, in each lead and by consensus"
    # A segmenter embeds nothing by itself.
    assert not any(name.startswith("dimensions") for name in rows) and "beat window" not in rows


def test_an_aligner(aligner: Path, told: Path, reports: Path, info: Info, tmp_path: Path) -> None:
    rows = info(aligner)
    assert rows["class"] == "ReportAligner" and rows["epochs"] == "2"
    assert rows["objective"] == "ReportAlignment()" and rows["encoder"] == "beatnet size=s"
    found = load(aligner)
    assert rows["text encoder"] == f"TfidfText(), {found.objective_.text_.n_dims_} dimensions"
    assert rows["reports used"] == "12" and rows["words of reports"] == str(len(found.objective_.words_))
    assert rows["shared space"] == "256 dimensions" and rows["columns"] == "reportaligner0 to reportaligner255"
    assert rows["records in the file"] == "vectors of 12" and rows["reports in the file"] == "2, word by word"
    assert rows["encoder in the fit"] == "kept as it was"
    out = tmp_path / "m.bssl"
    given = ["--reports", str(reports), "--start", "ptbxl-s", "--epochs", "1", "--quiet", "--out", str(out)]
    assert main(["align", str(told), *given, "--encoder-lr", "1e-5", "--forget-records"]) == 0
    rows = info(out)
    assert rows["encoder in the fit"] == "trained, too" and rows["reports in the file"] == "none"


def test_a_classifier(info: Info, tmp_path: Path) -> None:
    ecg = make_ecg(8, rhythm=["sinus", "lbbb"], fs=100, duration=2, random_state=0)
    classifier = FineTunedClassifier("ptbxl-s", fs=100, max_epochs=1, batch_size=4, device="cpu", random_state=0)
    save(classifier.fit(ecg.data, ecg.rhythm), tmp_path / "c.bssl")
    rows = info(tmp_path / "c.bssl")
    assert rows["class"] == "FineTunedClassifier" and rows["classes"] == "lbbb, sinus"
    assert rows["encoder"] == "beatnet size=s" and rows["rate of arrays"] == "100 Hz" and rows["epochs"] == "1"


@pytest.mark.parametrize(
    ("name", "licence"), [("ptbxl", "CC BY 4.0"), ("ptbxl-s", "CC BY 4.0"), ("waves", "ODC-BY 1.0")]
)
def test_shipped_models_have_a_card(name: str, licence: str, info: Info) -> None:
    rows = info(name)
    assert Path(rows["model card"]).read_text(encoding="utf-8").startswith("# Model card: `")
    assert f"`{name}`" in Path(rows["model card"]).read_text(encoding="utf-8").splitlines()[0]
    assert rows["licence of its data"] == licence
    of_ludb, of_ptbxl = ("LUDB 1.0.1", "150 of the 200 records"), ("PTB-XL 1.0.3", "17,418 records")
    database, number = of_ludb if name == "waves" else of_ptbxl
    assert rows["trained on"].startswith(database) and number in rows["trained on"] and "](" not in rows["trained on"]
    assert rows["use"] == "For research only. This is not a medical device"


@register
class Thresholds(BaseEstimator):
    """An estimator of a user's own, which knows nothing of encoders."""

    _in_file = ("levels_",)

    def __init__(self, title: str = "", n_levels: int = 2) -> None:
        self.title = title
        self.n_levels = n_levels

    def fit(self, X: np.ndarray, y: object = None) -> Thresholds:
        self.levels_ = np.quantile(X, np.linspace(0, 1, self.n_levels))
        return self


def test_any_registered_estimator(info: Info, tmp_path: Path) -> None:
    save(Thresholds(n_levels=3).fit(np.arange(5.0)), tmp_path / "t.bssl")
    assert info(tmp_path / "t.bssl") == {
        "class": "Thresholds",
        "other parameters": "n_levels=3",
        "numbers in the file": "3",
    }


def test_nothing_in_a_file_reaches_the_terminal_as_a_command(
    info: Info, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(Thresholds(title="\x1b[2J\r\n\u202eevil\ud800\x07").fit(np.arange(5.0)), tmp_path / "t.bssl")
    rows = info(tmp_path / "t.bssl")
    assert all(c.isprintable() for value in rows.values() for c in value) and "evil" in rows["other parameters"]
    ecg = make_ecg(4, rhythm="sinus", fs=100, duration=2, random_state=0)
    labels = np.array(["a\x1b[31m", "b"] * 2)
    classifier = FineTunedClassifier("ptbxl-s", fs=100, max_epochs=0, batch_size=2, device="cpu", random_state=0)
    save(classifier.fit(ecg.data, labels), tmp_path / "c.bssl")
    assert info(tmp_path / "c.bssl")["classes"] == "a\\x1b[31m, b"


def test_what_cannot_be_read(model: Path, good: Path, refusal: Callable[..., str], tmp_path: Path) -> None:
    assert "'no.bssl' is neither a file nor a shipped model" in refusal("info", "no.bssl")
    damaged = tmp_path / "damaged.bssl"
    damaged.write_bytes(model.read_bytes()[:-1])
    # Every command shows the path as it was given.
    for command in (["info", damaged], ["embed", damaged, good, "--out", tmp_path / "t.csv"]):
        assert refusal(*command).startswith(f"beatssl: {damaged}: ")
    assert refusal("delineate", damaged, good, "--out", tmp_path / "o").startswith(f"beatssl: {damaged}: ")
