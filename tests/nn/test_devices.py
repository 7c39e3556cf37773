"""Devices that are not here, and torch's default type."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch

from beatssl_sklearn import RhythmEmbedder, make_ecg
from beatssl_sklearn.nn.devices import resolve_device


def test_a_device_that_is_not_here_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='mps': Apple's graphics processor is not available here"):
        RhythmEmbedder("ptbxl-s", fs=500, device="mps").transform(make_ecg(1, random_state=0).data)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='cuda': CUDA is not available here"):
        resolve_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="device='cuda:3': there are 1 CUDA devices here"):
        resolve_device("cuda:3")
    assert resolve_device("cuda:0") == torch.device("cuda:0")


def test_torchs_default_type_changes_nothing():
    """In another process, because the type is of the whole program."""
    code = """
        import numpy as np, torch
        from beatssl_sklearn import BeatSSLPretrainer, FineTunedClassifier, RhythmEmbedder, WaveSegmenter, make_ecg

        ecg = make_ecg(8, rhythm="mixed", fs=100, duration=5, random_state=0)
        params = {"widths": (8, 16, 24), "n_dims": 12}
        torch.set_num_threads(1)

        def results():
            options = {"fs": 100, "random_state": 0, "device": "cpu"}
            pre = BeatSSLPretrainer(encoder_params=params, max_epochs=1, batch_size=4, **options).fit(ecg.data)
            tuned = FineTunedClassifier(pre, max_epochs=1, dropout=0.2, **options).fit(ecg.data, np.arange(8) % 2)
            segmenter = WaveSegmenter(pre, max_epochs=1, precision="fp32", widths=(4, 4, 4, 4), **options)
            return [
                RhythmEmbedder("ptbxl-s", fs=100, device="cpu").transform(ecg.data),
                pre.transform(ecg.data),
                tuned.predict_proba(ecg.data),
                segmenter.fit(ecg.data, ecg.masks).predict_proba(ecg.data),
            ]

        single = results()
        torch.set_default_dtype(torch.float64)
        for a, b in zip(single, results()):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-6 * np.abs(a).max())
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_computes_alone():
    """After a parallel region of the parent, another one in the child would wait for ever."""
    code = """
        import os, warnings
        import numpy as np, torch
        from beatssl_sklearn import RhythmEmbedder, make_ecg

        warnings.simplefilter("ignore")
        torch.set_num_threads(2)
        X = make_ecg(8, fs=100, duration=10, random_state=0).data
        embedder = RhythmEmbedder("ptbxl-s", fs=100, device="cpu")
        expected = embedder.transform(X)
        child = os.fork()
        if child == 0:
            same = np.allclose(embedder.transform(X), expected, rtol=1e-3, atol=1e-3)
            os._exit(0 if same and torch.get_num_threads() == 1 else 1)
        print(os.waitpid(child, 0)[1], torch.get_num_threads())
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["0", "2"]
