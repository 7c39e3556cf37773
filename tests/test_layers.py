"""The layers of the package, by what each file imports, and what importing the package does."""

import ast
import importlib
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import beatssl_sklearn

PACKAGE = "beatssl_sklearn"
ROOT = Path(beatssl_sklearn.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
LAYERS = ("ecg", "views", "contrast", "nn", "estimators", "evaluation", "datasets")
FRAMEWORKS = {"sklearn", "skorch"}
TORCH_LAYERS = {"views", "contrast", "nn"}
# What people see on their screen is printed by commands only.
COMMANDS = ("cli", "__main__", "demo")


def module_of(path):
    parts = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def layer_of(module):
    """First name below the package, for its files as for its folders."""
    return module[1] if len(module) > 1 else ""


def typing_only(tree):
    """Imports below ``if TYPE_CHECKING`` never run."""
    guarded = (n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))
    return {inner for node in guarded for statement in node.body for inner in ast.walk(statement)}


def imports_of(path):
    """Yield (imported module as a tuple of names, whether inside a function)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    late = {inner for function in functions for inner in ast.walk(function)}
    skipped = typing_only(tree)
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split(".")), node in late
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = base + tuple(node.module.split(".") if node.module else ())
            # `from . import x` may import a module: count the names, too.
            names = [alias.name for alias in node.names] if module[:1] == (PACKAGE,) else [None]
            for name in names:
                yield module + ((name,) if name else ()), node in late


IMPORTS = [(path, module, late) for path in FILES for module, late in imports_of(path)]
OWN = [(path, layer_of(module), late) for path, module, late in IMPORTS if module[0] == PACKAGE]
FOREIGN = [(path, module[0], late) for path, module, late in IMPORTS if module[0] != PACKAGE]


def of_layer(rows, *layers):
    return [(path, name, late) for path, name, late in rows if layer_of(module_of(path)) in layers]


def shown(rows):
    return sorted({f"{path.relative_to(ROOT)} imports {name}" for path, name, _ in rows})


def test_the_audit_sees_the_package():
    assert len(FILES) > 40 and len(OWN) > 100 and len(FOREIGN) > 100
    assert set(LAYERS) <= {layer_of(module_of(path)) for path in FILES}
    assert {name for _, name, _ in of_layer(FOREIGN, "estimators")} >= {"torch", "sklearn", "skorch", "numpy"}
    assert {name for _, name, _ in of_layer(OWN, "estimators")} >= {"ecg", "nn", "contrast", "views"}


def test_signals_know_no_frameworks():
    wrong = [row for row in of_layer(FOREIGN, "ecg") if row[1] in FRAMEWORKS]
    wrong += [
        (path, name, late)
        for path, name, late in of_layer(FOREIGN, "ecg")
        if name == "torch" and not (late and path.name == "rpeaks.py")
    ]
    assert not wrong, shown(wrong)


def test_signals_import_signals_only():
    wrong = [row for row in of_layer(OWN, "ecg") if row[1] != "ecg"]
    assert not wrong, shown(wrong)


def test_views_contrast_and_networks_import_torch_and_each_other_only():
    allowed = set(sys.stdlib_module_names) | {"torch", "numpy"}
    wrong = [row for row in of_layer(FOREIGN, *TORCH_LAYERS) if row[1] not in allowed]
    wrong += [row for row in of_layer(OWN, *TORCH_LAYERS) if row[1] not in TORCH_LAYERS]
    assert not wrong, shown(wrong)


def test_estimators_know_nothing_of_what_is_built_on_them():
    above = {"evaluation", "cli", "plotting", "datasets", "demo", "embedding_table"}
    wrong = [row for row in of_layer(OWN, "estimators") if row[1] in above]
    # An embedder loads the file that it is given when it needs it.
    wrong += [row for row in of_layer(OWN, "estimators") if row[1] == "persistence" and not row[2]]
    assert not wrong, shown(wrong)


def test_nothing_imports_the_command_line():
    wrong = [row for row in OWN if row[1] in ("cli", "cli_parser", "__main__") and not row[0].name.startswith(COMMANDS)]
    assert not wrong, shown(wrong)


def test_optional_packages_are_imported_where_they_are_used():
    optional = {"matplotlib", "pandas", "pyarrow", "sleepecg", "wfdb"}
    wrong = [row for row in FOREIGN if row[1] in optional and not row[2]]
    assert not wrong, shown(wrong)


def test_foreign_packages_are_dependencies():
    declared = {"joblib", "numpy", "safetensors", "sklearn", "scipy", "skorch", "torch", "tqdm", "wfdb"}
    extras = {"matplotlib", "pandas", "pyarrow", "sleepecg"}
    wrong = [row for row in FOREIGN if row[1] not in declared | extras | set(sys.stdlib_module_names)]
    assert not wrong, shown(wrong)


@pytest.mark.parametrize("path", [p for p in FILES if not p.name.startswith(COMMANDS)], ids=lambda p: p.name)
def test_the_library_does_not_print(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    printing = [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id in ("print", "breakpoint")]
    assert not printing, f"lines {printing}"


def test_nothing_sets_global_state():
    """Seeds, thread numbers and filters belong to the program that uses the package."""
    names = {
        *("np.random.seed", "torch.manual_seed", "torch.cuda.manual_seed", "random.seed", "torch.set_num_threads"),
        *("torch.set_default_dtype", "torch.use_deterministic_algorithms", "np.seterr", "logging.basicConfig"),
        *("warnings.filterwarnings", "multiprocessing.set_start_method"),
    }
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node.func)}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]
    assert not [w for w in wrong if not w.startswith("cli")], wrong


def test_public_names_can_be_imported():
    assert len(set(beatssl_sklearn.__all__)) == len(beatssl_sklearn.__all__)
    for name in beatssl_sklearn.__all__:
        assert getattr(beatssl_sklearn, name) is not None
    for path in FILES:
        if path.name != "__main__.py":
            module = importlib.import_module(".".join(module_of(path)))
            for name in getattr(module, "__all__", ()):
                assert hasattr(module, name), f"{module.__name__}.__all__ names {name}"
    namespace: dict[str, object] = {}
    exec(f"from {PACKAGE} import *", namespace)
    assert set(beatssl_sklearn.__all__) <= set(namespace)


IMPORT = """
    import json, logging, random, socket, sys, time, warnings
    import numpy, scipy.signal, scipy.sparse, sklearn.base, sklearn.utils.validation, skorch, torch, tqdm, joblib
    before, random_state = set(sys.modules), (random.getstate(), numpy.random.get_state()[1].tolist())
    filters, threads, torch_state = list(warnings.filters), torch.get_num_threads(), torch.get_rng_state()

    def refuse(*args, **kwargs):
        raise RuntimeError("network at import")

    socket.socket.connect = socket.getaddrinfo = refuse
    started = time.perf_counter()
    import beatssl_sklearn
    seconds = time.perf_counter() - started
    new = {m.split(".")[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)
    print(json.dumps({
        "seconds": seconds,
        "new": sorted(new),
        "matplotlib": "matplotlib" in sys.modules,
        "cuda": torch.cuda.is_initialized(),
        "handlers": len(logging.getLogger().handlers),
        "same state": random_state == (random.getstate(), numpy.random.get_state()[1].tolist())
        and torch.equal(torch_state, torch.get_rng_state()) and threads == torch.get_num_threads()
        and filters == warnings.filters,
    }))
"""


def test_importing_is_cheap_and_quiet():
    """Beyond the packages that it stands on, an import takes no time, no network, and no optional package."""
    code = textwrap.dedent(IMPORT)
    # skorch's own warnings are not of this package.
    options = ["-W", "error", "-W", "ignore::DeprecationWarning:skorch"]
    run = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stderr == "", run.stderr[-3000:]
    found = json.loads(run.stdout)
    assert found["seconds"] < 2
    assert set(found["new"]) <= {PACKAGE, "safetensors"}
    assert not found["matplotlib"] and not found["cuda"] and found["handlers"] == 0 and found["same state"]


def test_importing_warns_of_nothing():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {PACKAGE}"], capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
