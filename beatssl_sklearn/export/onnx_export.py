"""export_onnx: a trained network as an ONNX file, run and compared before it is written."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .._optional import import_optional
from .._version import __version__
from ..files.atomic import write_atomically
from ..persistence.by_name import digest_of
from .graphs import Graph, graph_of, network_of

__all__ = ["export_onnx"]

# The oldest set of operators with all that the networks use; runtimes from 2022 on have it.
_OPSET = 17
# Tokens of the example that is traced; records and tokens of those that are compared. What is traced needs padding at
# the end, which other lengths need or not.
_TRACED, _COMPARED = 37, ((1, 37), (3, 64), (2, 101))
_TOLERANCE = 1e-4


def export_onnx(model: Any, path: str | os.PathLike[str]) -> None:
    """Write the network of an embedder or of a `WaveSegmenter` as an ONNX file, for programs without Python.

    It needs the extra ``[onnx]``. The file is run with onnxruntime, for other numbers of records and other lengths than
    the exporter saw, and is written only if the results are those of PyTorch to 1e-4 of their largest value.

    The graph is the network alone. Resampling, scaling and R peaks stay outside; `onnx_inputs` does them, and the guide
    has them step by step.

    An embedder's graph takes ``signal`` (n_records, 12, n_times) float32, prepared, at the network's rate, and
    ``beats`` (n_records, beat_phases, n_tokens) float32, the share of each token in each part of the mean beat. It
    gives ``embedding`` (n_records, n_dims), as of `RhythmEmbedder`, and ``tokens`` (n_records, n_tokens,
    n_token_dims), as of `SampleEmbedder`. `n_times` is a multiple of the samples per token.

    A segmenter's graph takes ``leads`` (n_records, n_leads, n_times) float32 at `fs_model`, where `n_times` is a
    multiple of 1.28 s, and, where the segmenter has an encoder, ``signal`` (n_records, 12, n_times_signal) of the same
    time at the encoder's rate. It gives ``probabilities`` (n_records, n_leads, n_times, 4) of background, P, QRS and T.

    Parameters
    ----------
    model : fitted estimator, FittedEncoder, path or str
        An embedder, a pretrainer, or a `WaveSegmenter`; the file or the name of one.
    path : path
        Name of the file. An older file is replaced.

    Raises
    ------
    ImportError
        If onnx or onnxruntime is missing.
    TypeError
        If the model is neither an embedder nor a segmenter, or `path` is no path.
    NotFittedError
        If it is not fitted.
    ValueError
        If the network cannot be exported, or the graph gives other results. No file is written.
    OSError
        If the file cannot be written; a path without a folder is refused at once.

    Notes
    -----
    The file's metadata have the rates, the leads, the samples per token, the beat window, the version of the package
    and a SHA-256 digest of the weights (`weights_sha256`).
    """
    onnx = import_optional("onnx", "export_onnx", "onnx")
    runtime = import_optional("onnxruntime", "export_onnx", "onnx")
    file = _writable(path)
    graph = graph_of(network_of(model))
    proto = onnx.load_model_from_string(_traced(graph))
    about = {
        **graph.metadata,
        "package": "beatssl_sklearn",
        "version": __version__,
        "weights_sha256": digest_of(graph.weights),
        "use": "for research only; this is not a medical device",
    }
    onnx.helper.set_model_props(proto, about)
    content = proto.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for n_records, n_pieces in _COMPARED:
        _compare(graph, session, n_records, n_pieces)
    write_atomically(file, content)


def _writable(path: Any) -> Path:
    """Return where the file goes; what cannot be its name is refused before the long work.

    Raises
    ------
    TypeError, OSError
        Naming the path.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be the name of a file, got {path!r:.80}")
    file = Path(path)
    if not file.name or file.is_dir():
        raise IsADirectoryError(f"path={str(path)!r:.120} is a folder; the name of a file is needed")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r:.120}: there is no folder {str(file.parent)!r:.120}")
    return file


def _traced(graph: Graph) -> bytes:
    """Return the graph as torch exports it."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        written = Path(folder) / "graph.onnx"
        # The exporter that needs no further package is on its way out of torch, and warns of each `if` that it passes;
        # `_compare` finds out whether one of them mattered.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        try:
            torch.onnx.export(
                graph.module,
                graph.example(2, _TRACED),
                str(written),
                dynamo=False,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_axes={**graph.inputs, **graph.outputs},
                opset_version=_OPSET,
            )
        except RuntimeError as error:
            raise ValueError(f"the network cannot be exported to ONNX: {error!s:.300}") from error
        return written.read_bytes()


def _compare(graph: Graph, session: Any, n_records: int, n_pieces: int) -> None:
    """Refuse a graph whose results differ from the network's.

    Raises
    ------
    ValueError
        Naming the output, the sizes of the inputs and the difference.
    """
    example = graph.example(n_records, n_pieces)
    with torch.inference_mode():
        expected = graph.module(*example)
    expected = [expected] if isinstance(expected, Tensor) else list(expected)
    sizes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in zip(graph.inputs, example, strict=True))
    try:
        found = session.run(None, {name: x.numpy() for name, x in zip(graph.inputs, example, strict=True)})
    except Exception as error:
        # The runtime's own errors have no common class but this one.
        raise ValueError(f"the exported graph does not run with {sizes}: {error!s:.300}") from error
    for name, ours, theirs in zip(graph.outputs, expected, found, strict=True):
        off = _difference(ours.numpy(), theirs)
        if not off <= _TOLERANCE:
            raise ValueError(
                f"the exported graph gives another {name} than the network, by {off:.1e} of its size, with {sizes}"
            )


def _difference(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    if ours.shape != theirs.shape:
        return float("inf")
    return float(np.abs(ours - theirs).max() / max(np.abs(ours).max(), 1e-30))
