"""The room of pictures as a whole."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def test_matplotlib_is_lazy_and_pyplot_unused() -> None:
    code = (
        "import sys, numpy as np, beatssl_sklearn.plotting as p\n"
        "assert 'matplotlib' not in sys.modules\n"
        "p.plot_ecg(np.zeros((1, 500)), 500.0); p.plot_history([{'train_loss': 1.0}]); p.plot_embedding(np.eye(4))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
