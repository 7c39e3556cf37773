"""Optional packages that are missing, and the line that a warning points at."""

from __future__ import annotations

import _thread
import os
import queue
import subprocess
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
import skorch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import beatssl_sklearn
from beatssl_sklearn._optional import find_stack_level, import_optional


def test_a_module_is_imported() -> None:
    assert import_optional("json.decoder", "reading", "json").JSONDecoder is not None


def test_a_missing_package_names_purpose_and_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"writing \.parquet needs pyarrow: pip install 'beatssl-sklearn\[parquet\]'"):
        import_optional("pyarrow.parquet", "writing .parquet", "parquet")


def function_in(module: ModuleType, source: str, **names: Any) -> Callable[..., Any]:
    """Define the function `f` as if a file beside the module's own held it."""
    assert module.__file__ is not None
    path = os.path.join(os.path.dirname(module.__file__), "deep", "file.py")
    namespace = dict(names)
    exec(compile(source, path, "exec"), namespace)
    return namespace["f"]


warn = function_in(
    beatssl_sklearn,
    "def f(x=None):\n    warnings.warn('odd', stacklevel=find_stack_level())\n    return x",
    warnings=warnings,
    find_stack_level=find_stack_level,
)


def file_of_the_warning(call: Callable[[], Any]) -> str:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    (warning,) = found
    return warning.filename


@pytest.mark.parametrize("between", [beatssl_sklearn, sklearn, joblib, skorch])
def test_frames_of_packages_are_skipped(between: ModuleType) -> None:
    middle = function_in(between, "def f():\n    return warn()", warn=warn)
    again = function_in(beatssl_sklearn, "def f():\n    return middle()", middle=middle)
    assert file_of_the_warning(warn) == file_of_the_warning(again) == __file__


def test_real_calls_of_packages() -> None:
    pipeline = make_pipeline(FunctionTransformer(warn), FunctionTransformer())
    assert file_of_the_warning(lambda: pipeline.fit_transform(np.eye(2))) == __file__
    assert file_of_the_warning(lambda: joblib.Parallel(n_jobs=1)([joblib.delayed(warn)()])) == __file__


def test_the_first_frame_outside_counts_and_not_the_last() -> None:
    other = function_in(pytest, "def f():\n    return warn()", warn=warn)
    assert file_of_the_warning(function_in(sklearn, "def f():\n    return other()", other=other)).endswith(
        os.path.join("pytest", "deep", "file.py")
    )


def test_a_package_with_a_longer_name_is_outside() -> None:
    longer = ModuleType("sklearn_extra")
    longer.__file__ = os.path.join(os.path.dirname(sklearn.__file__) + "_extra", "__init__.py")
    user = function_in(longer, "def f():\n    return warn()", warn=warn)
    assert "sklearn_extra" in file_of_the_warning(user)


def test_without_a_frame_outside_the_last_frame_counts() -> None:
    """A thread of the interpreter itself starts with the function that it runs."""
    found: queue.Queue[int] = queue.Queue()
    inner = function_in(beatssl_sklearn, "def f():\n    return find_stack_level()", find_stack_level=find_stack_level)
    outer = function_in(beatssl_sklearn, "def f():\n    found.put(inner())", found=found, inner=inner)
    _thread.start_new_thread(outer, ())
    assert inner() == 2 and found.get(timeout=30) == 2


def test_it_imports_nothing_heavy() -> None:
    code = (
        f"import sys; sys.path.insert(0, {os.path.dirname(beatssl_sklearn.__file__)!r}); import _optional; "
        "print([name for name in ('numpy', 'sklearn', 'torch', 'pandas') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
