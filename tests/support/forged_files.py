"""Model files made to harm: every value of a description changed in turn, with a digest that is right."""

import copy

import numpy as np

# What a forger puts in place of a value.
VALUES = [
    *(None, True, False, 0, -1, 1, 2, 7, 20_000, 10**9, 2**31, 2**62, 2**63, 10**30, 0.5, -0.5, 1e-320, 1e30, 1e308),
    *(float("nan"), float("inf"), float("-inf"), "", "x", "ptbxl", "m", "cpu", "/dev/zero", "../../x", "\x1b[2J\n"),
    *("\ud800", "é" * 3, "x" * 5000, [], {}, [None], [0], [[]], ["a", 1], [10**9] * 3, {"a": 1, "b": 2}),
    *({"dict": {}}, {"dict": {"x": 1}}, {"dict": []}, {"dict": {"n_dims": 20_000}}, {"dict": {"size": 7}}),
    *({"tuple": []}, {"tuple": 3}, {"tuple": [1, 2]}, {"tuple": [1e308, 1e308]}, {"tuple": [4096] * 3}),
    *({"pairs": [[[], 1]]}, {"pairs": [[1, 2]]}, {"pairs": 3}, {"array": "nowhere"}, {"array": 3}, {"array": []}),
    *({"text": [1]}, {"text": "abc"}, {"text": [["a"], ["b"]]}, {"texts": [["a"], ["b", "c"]]}, {"texts": []}),
    *({"type": "os.system"}, {"type": "BeatSSL"}, {"unknown": 1}, {"class": 3}, {"class": "BeatSSL"}),
    {"class": "FrontEnd", "fields": {}},
    {"class": "BeatSSL", "parameters": {}, "fitted": {}},
    {"class": "Pipeline", "parameters": {"steps": []}, "fitted": {}},
    {"class": "Popen", "parameters": {}, "fitted": {}},
    {"class": "NoViews", "parameters": [], "fitted": 1},
    {"class": "LogisticRegression", "parameters": {}, "fitted": {}},
]


def places(part, path=()):
    """Yield the path of every value in a description."""
    if path:
        yield path
    if len(path) > 40:
        return
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for key, value in items:
        yield from places(value, (*path, key))


def nested(depth, kind):
    value = [] if kind == "list" else 0
    for _ in range(depth):
        value = [value] if kind == "list" else {kind: {"x": value} if kind == "dict" else [value]}
    return value


def forged(arrays, config, rng):
    """Return arrays and a description with one to three changes, drawn by a generator."""
    arrays, config = dict(arrays), copy.deepcopy(config)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        if arrays and rng.random() < 0.25:
            _forge_array(arrays, rng)
        else:
            _forge_value(config, rng)
    return arrays, config


def _forge_value(config, rng):
    every = list(places(config))
    if rng.random() < 0.85:
        # Most values are names of arrays, and all of those are alike.
        every = [path for path in every if not {"weights", "heads_"} & set(path[:-1])]
    path = every[int(rng.integers(len(every)))]
    part = config
    for key in path[:-1]:
        part = part[key]
    action = rng.choice(["value", "value", "value", "value", "remove", "add", "swap", "deep", "wrap"])
    if action == "remove":
        del part[path[-1]]
    elif action == "add" and isinstance(part, dict):
        part[str(rng.choice(["x", "_ready", "__class__", "memory", "device", "fitted", "class", "steps"]))] = _draw(rng)
    elif action == "swap":
        other, found = every[int(rng.integers(len(every)))], config
        try:
            for key in other:
                found = found[key]
            part[path[-1]] = copy.deepcopy(found)
        except (KeyError, IndexError, TypeError, RecursionError):
            # Another change was there before, or the part is nested too deep to be copied.
            return
    elif action == "deep":
        part[path[-1]] = nested(int(rng.choice([5, 60, 300])), str(rng.choice(["list", "tuple", "dict"])))
    elif action == "wrap":
        part[path[-1]] = [part[path[-1]]]
    else:
        part[path[-1]] = _draw(rng)


def _draw(rng):
    return copy.deepcopy(VALUES[int(rng.integers(len(VALUES)))])


def _forge_array(arrays, rng):
    names = sorted(arrays)
    name = names[int(rng.integers(len(names)))]
    array = arrays[name]
    action = rng.choice(["remove", "dtype", "shape", "empty", "values", "swap", "rename"])
    if action == "remove":
        del arrays[name]
    elif action == "dtype":
        with np.errstate(invalid="ignore", over="ignore"):
            arrays[name] = array.astype(rng.choice(["int8", "bool", "float64", "uint16", "int64", "float16"]))
    elif action == "shape":
        shapes = [array[None], array.ravel(), array.reshape(-1, 1), np.resize(array, (3, 5))]
        arrays[name] = shapes[int(rng.integers(4))]
    elif action == "empty":
        arrays[name] = np.zeros(rng.choice([0, 1, 3]), dtype=array.dtype)
    elif action == "values" and array.dtype.kind == "f":
        arrays[name] = np.full_like(array, rng.choice([np.nan, np.inf, 1e30 if array.itemsize > 2 else 6e4, -1, 0]))
    elif action == "swap":
        arrays[name] = arrays[names[int(rng.integers(len(names)))]]
    else:
        arrays["x" * int(rng.choice([1, 3000]))] = arrays.pop(name)
