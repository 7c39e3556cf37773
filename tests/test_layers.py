"""What may import what, by what each file imports, and what importing the package does."""

import ast
import importlib
import inspect
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import beatssl_sklearn

PACKAGE = "beatssl_sklearn"
ROOT = Path(beatssl_sklearn.__file__).parent
REPOSITORY = ROOT.parent
FILES = sorted(ROOT.rglob("*.py"))

# Rooms and what each may import of the package, besides itself. A room is a folder, or a file at the top.
# A lazy import, and one by importlib, counts like any other.
FLOOR_1 = {"_version", "_optional", "_registry", "_file_values", "components", "nn", "contrast"}
FLOOR_2 = FLOOR_1 | {"ecg", "files"}
FLOOR_3 = FLOOR_2 | {"formats", "text", "views", "inputs", "training", "plotting", "datasets", "persistence"}
FLOOR_4 = FLOOR_3 | {"embedding", "classifiers", "quality", "records", "sequences"}
FLOOR_5 = FLOOR_4 | {"pretraining", "finetuning", "segmentation"}
MAY_IMPORT = {
    "_version": set(),
    "_registry": set(),
    "_optional": set(),
    "components": {"_optional", "_registry"},
    "_file_values": {"components"},
    "nn": set(),
    "contrast": {"nn"},
    "ecg": {"_optional", "files"},
    "files": {"_optional"},
    "formats": {"_optional", "ecg"},
    "text": {"_file_values", "nn", "components"},
    "views": {"ecg", "contrast", "nn", "components"},
    "inputs": {"_optional", "_version", "ecg", "components"},
    "quality": {"_optional", "ecg", "inputs"},
    "records": {"_optional", "ecg", "inputs"},
    "training": {"nn", "files", "components", "_file_values", "_optional", "_version"},
    "plotting": {"_optional", "ecg"},
    "datasets": {"_optional", "ecg"},
    "persistence": {"_optional", "_version", "components", "files"},
    "embedding": {"_optional", "_file_values", "inputs", "nn", "ecg", "components", "persistence", "quality"},
    "classifiers": {"_optional", "_file_values", "inputs", "nn", "ecg", "components", "persistence"},
    "sequences": {"_optional", "_file_values", "inputs", "nn", "ecg", "components", "persistence"},
    "pretraining": FLOOR_4,
    "finetuning": FLOOR_4,
    "segmentation": FLOOR_4,
    "evaluation": FLOOR_5,
    "scale": FLOOR_5,
    "export": FLOOR_5,
    "": FLOOR_5 | {"evaluation", "export", "scale"},
    "__main__": {"cli"},
    "cli": FLOOR_5 | {"evaluation", "scale", ""},
}
# Foreign packages that a room may import; the standard library and numpy are everybody's.
FOREIGN_OF = {
    "components": {"sklearn"},
    "nn": {"torch"},
    "contrast": {"torch"},
    "ecg": {"scipy", "soundfile", "sleepecg", "torch", "pandas"},
    "files": {"safetensors", "pandas", "pyarrow"},
    "formats": {"ecgdatakit", "edfio", "h5py", "pydicom", "scipy"},
    "text": {"torch", "sklearn", "scipy", "tqdm"},
    "views": {"torch"},
    "inputs": {"sklearn", "joblib", "scipy"},
    "quality": {"pandas"},
    "records": {"fsspec", "h5py", "numcodecs", "pyarrow", "tqdm", "zarr"},
    "training": {"torch", "skorch", "tqdm"},
    "plotting": {"matplotlib", "sklearn", "scipy"},
    "datasets": {"wfdb", "sklearn", "tqdm"},
    "persistence": {"sklearn", "huggingface_hub"},
    "embedding": {"torch", "sklearn", "joblib", "pandas"},
    "classifiers": {"torch", "sklearn", "scipy"},
    "sequences": {"torch", "sklearn", "scipy"},
    "pretraining": {"torch", "sklearn", "skorch", "joblib", "scipy", "tqdm"},
    "finetuning": {"torch", "sklearn", "skorch", "scipy"},
    "segmentation": {"torch", "sklearn", "skorch", "scipy", "pandas", "tqdm"},
    "evaluation": {"joblib", "sklearn", "scipy", "tqdm", "pandas"},
    "scale": {"joblib", "sklearn", "tqdm", "pandas", "pyarrow", "filelock"}
    | {"dask", "distributed", "ray", "pyspark", "py4j"},
    "export": {"torch", "onnx", "onnxruntime"},
    "cli": {"joblib", "sklearn", "tqdm", "pandas", "matplotlib"},
}
# Slow to import, or not always there: only where they are used.
LATE_ONLY = {
    *("dask", "distributed", "ecgdatakit", "edfio", "fsspec", "h5py", "huggingface_hub", "matplotlib", "numcodecs"),
    *("onnx", "onnxruntime", "pandas", "py4j", "pyarrow", "pydicom", "pyspark", "ray", "sleepecg", "wfdb", "zarr"),
}


def module_of(path):
    parts = (PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def room_of(module):
    """First name below the package, for its files as for its folders; "" is the package itself."""
    return module[1] if len(module) > 1 else ""


def typing_only(tree):
    """Imports below ``if TYPE_CHECKING`` never run."""
    guarded = (n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))
    return {inner for node in guarded for statement in node.body for inner in ast.walk(statement)}


def inside_functions(tree):
    functions = [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {inner for function in functions for inner in ast.walk(function)}


def absolute(node, package):
    """Return the module that a ``from`` statement names."""
    base = package[: len(package) - node.level + 1] if node.level else ()
    return base + tuple(node.module.split(".") if node.module else ())


def imported_by_call(node):
    """Return the module that a call such as ``import_module("x")`` names; None for other calls."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    name = ast.unparse(node.func).rpartition(".")[2]
    if name not in ("import_module", "__import__", "import_optional"):
        return None
    first = node.args[0]
    return first.value if isinstance(first, ast.Constant) else "?"


def imports_of(path):
    """Yield (imported module as a tuple of names, whether inside a function)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    late, skipped = inside_functions(tree), typing_only(tree)
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    for node in ast.walk(tree):
        if node in skipped:
            continue
        called = imported_by_call(node)
        if called is not None:
            yield tuple(called.split(".")), node in late
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield tuple(alias.name.split(".")), node in late
        elif isinstance(node, ast.ImportFrom):
            module = absolute(node, package)
            # `from . import x` may import a module: count the names, too.
            names = [alias.name for alias in node.names] if module[:1] == (PACKAGE,) else [None]
            for name in names:
                yield module + ((name,) if name else ()), node in late


IMPORTS = [(path, module, late) for path in FILES for module, late in imports_of(path)]
ROOMS = {room_of(module_of(path)) for path in FILES}
OWN = [
    (path, room_of(module) if room_of(module) in ROOMS else "", late)
    for path, module, late in IMPORTS
    if module[0] == PACKAGE
]
FOREIGN = [(path, module[0], late) for path, module, late in IMPORTS if module[0] not in (PACKAGE, "?")]


def room(path):
    return room_of(module_of(path))


def shown(rows):
    return sorted({f"{path.relative_to(ROOT)} imports {name or PACKAGE}" for path, name, _ in rows})


def test_the_audit_sees_the_package():
    assert len(FILES) > 100 and len(OWN) > 300 and len(FOREIGN) > 300
    assert ROOMS == set(MAY_IMPORT)
    assert {name for path, name, _ in FOREIGN if room(path) == "pretraining"} >= {"torch", "sklearn"}


def test_rooms_import_what_the_table_allows():
    wrong = [row for row in OWN if row[1] not in MAY_IMPORT[room(row[0])] | {room(row[0])}]
    assert not wrong, shown(wrong)


def test_the_table_has_no_circle():
    """Nothing that a room may import may import that room."""
    done = set()
    while len(done) < len(MAY_IMPORT):
        ready = {name for name, below in MAY_IMPORT.items() if name not in done and below <= done}
        assert ready, f"a circle among {sorted(set(MAY_IMPORT) - done)}"
        done |= ready


def test_files_import_each_other_in_no_circle():
    modules = {module_of(path) for path in FILES}

    def module_in(name):
        while name not in modules:
            name = name[:-1]
        return name

    below = {m: set() for m in modules}
    for path, module, _ in IMPORTS:
        if module[0] == PACKAGE:
            target = module_in(module)
            own = module_of(path)
            # A room's door imports its files, and they never the door.
            if target != own:
                below[own].add(target)
    done = set()
    while len(done) < len(modules):
        ready = {m for m in modules if m not in done and below[m] <= done}
        assert ready, f"a circle among {sorted('.'.join(m) for m in modules - done)}"
        done |= ready


def test_rooms_import_foreign_packages_of_the_table():
    known = set(sys.stdlib_module_names) | {"numpy"}
    wrong = [row for row in FOREIGN if row[1] not in known | FOREIGN_OF.get(room(row[0]), set())]
    assert not wrong, shown(wrong)


def test_signals_know_no_torch_but_tensors_that_users_pass():
    wrong = [r for r in FOREIGN if room(r[0]) == "ecg" and r[1] == "torch" and not (r[2] and r[0].name == "rpeaks.py")]
    assert not wrong, shown(wrong)


def test_optional_packages_are_imported_where_they_are_used():
    wrong = [row for row in FOREIGN if row[1] in LATE_ONLY and not row[2]]
    assert not wrong, shown(wrong)


def test_no_import_is_hidden_from_this_audit():
    """A module's name that is computed can be anything."""
    hidden = [(path, "a computed name", late) for path, module, late in IMPORTS if module == ("?",)]
    assert not [row for row in hidden if row[0].name not in ("_optional.py", "__init__.py")], shown(hidden)


def test_private_names_stay_in_their_file():
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong += [f"{path.relative_to(ROOT)}: {a.name}" for a in node.names if a.name[:1] == "_" != a.name[1:2]]
    # The files of datasets are private as a whole, and so are two at the top.
    assert not [w for w in wrong if not w.endswith(("_folders", "_lazy", "_version", "_optional"))], wrong


def test_imports_inside_the_package_are_relative():
    wrong = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith(PACKAGE):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, wrong


@pytest.mark.parametrize("path", [p for p in FILES if room(p) != "cli"], ids=lambda p: p.name)
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
    # A forked child has no other thread to set.
    allowed = ("cli", "nn/devices.py:")
    assert not [w for w in wrong if not w.startswith(allowed)], wrong


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
    import sklearn.feature_extraction.text
    before, random_state = set(sys.modules), (random.getstate(), numpy.random.get_state()[1].tolist())
    filters, threads, torch_state = list(warnings.filters), torch.get_num_threads(), torch.get_rng_state()

    def refuse(*args, **kwargs):
        raise RuntimeError("network at import")

    socket.socket.connect = socket.getaddrinfo = refuse
    import beatssl_sklearn
    beatssl_sklearn.BeatSSLPretrainer
    new = {m.split(".")[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)
    print(json.dumps({
        "new": sorted(new),
        "matplotlib": "matplotlib" in sys.modules,
        "cuda": torch.cuda.is_initialized(),
        "handlers": len(logging.getLogger().handlers),
        "same state": random_state == (random.getstate(), numpy.random.get_state()[1].tolist())
        and torch.equal(torch_state, torch.get_rng_state()) and threads == torch.get_num_threads()
        and filters == warnings.filters,
    }))
"""


def test_importing_is_quiet():
    """Beyond the packages that it stands on, an import needs no network, no optional package, and changes nothing."""
    code = textwrap.dedent(IMPORT)
    # skorch's own warnings are not of this package.
    options = ["-W", "error", "-W", "ignore::DeprecationWarning:skorch"]
    run = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and run.stderr == "", run.stderr[-3000:]
    found = json.loads(run.stdout)
    assert set(found["new"]) <= {PACKAGE, "safetensors"}
    assert not found["matplotlib"] and not found["cuda"] and found["handlers"] == 0 and found["same state"]


def test_importing_warns_of_nothing():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import {PACKAGE}"], capture_output=True, text=True, timeout=120
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


# Names that users may import: the top level, the doors of the rooms, and modules whose paths are documented.
DEEP_PATHS = {f"{PACKAGE}.{path}" for path in ("evaluation.probing", "evaluation.metrics", "persistence")}


def test_benchmarks_use_public_names_only():
    wrong = []
    for path in sorted((REPOSITORY / "benchmarks").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE):
                module = importlib.import_module(node.module)
                door = hasattr(module, "__path__") or node.module in DEEP_PATHS
                public = set(getattr(module, "__all__", ())) | ({"persistence"} if node.module == PACKAGE else set())
                if not door or not {a.name for a in node.names} <= public:
                    wrong.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
            private = isinstance(node, ast.Attribute) and node.attr[:1] == "_" and node.attr[:2] != "__"
            if private and not ast.unparse(node.value).startswith(("self", "cls")):
                wrong.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert not wrong, wrong


def test_no_public_constructor_has_more_than_27_parameters():
    classes = [value for name in beatssl_sklearn.__all__ if isinstance(value := getattr(beatssl_sklearn, name), type)]
    too_long = {cls.__name__: n for cls in classes if (n := len(inspect.signature(cls).parameters)) > 27}
    assert len(classes) > 15 and not too_long


def test_public_names_are_where_the_package_says():
    """`__all__`, what type checkers see, and what is imported when it is first used."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    (guarded,) = (n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.name for node in guarded.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == set(beatssl_sklearn.__all__) - {"__version__"} == set(beatssl_sklearn._ROOM_OF)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = beatssl_sklearn.nothing


def test_the_package_itself_imports_nothing_heavy():
    heavy = ("torch", "sklearn", "numpy", "pandas")
    code = f"import sys, beatssl_sklearn; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr
