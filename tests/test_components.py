"""Component, Bounds, the registry."""

import inspect
import re
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import clone

from beatssl_sklearn import _registry
from beatssl_sklearn.components import (
    Bounds,
    Component,
    Nested,
    check_bounds,
    component_named,
    is_registered,
    register,
    registered,
    seed_of,
)


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """What a test registers is gone after it."""
    registered()  # Rooms register their classes when they are imported, which happens once.
    monkeypatch.setattr(_registry, "_CLASSES", dict(_registry._CLASSES))


class Inner(Component):
    bounds: ClassVar = {"width": Bounds(Integral, 1, 9), "kind": ("a", "b")}

    def __init__(self, width=3, kind="a", extra=None):
        self.width, self.kind, self.extra = width, kind, extra


class Outer(Component):
    defaults: ClassVar = {"inner": Inner}
    bounds: ClassVar = {"share": Bounds(Real, 0, 1, or_none=True)}

    def __init__(self, share=0.5, inner=None):
        self.share, self.inner = share, inner


@pytest.mark.parametrize(
    ("component", "error", "message"),
    [
        (Inner(0), ValueError, "width must be an integer between 1 and 9, got 0"),
        (Inner(2.5), TypeError, "width must be an integer, got 2.5"),
        (Inner(True), TypeError, "width must be an integer, got True"),
        (Inner(np.int64(10)), ValueError, "width must be an integer between 1 and 9"),
        (Inner(kind="c"), ValueError, "kind must be one of a, b, got 'c'"),
        (Inner(kind=None), ValueError, "kind must be one of a, b, got None"),
        (Outer(2), ValueError, "share must be a number between 0 and 1, got 2"),
        (Outer(float("nan")), ValueError, "share must be a number between 0 and 1, got nan"),
        (Outer(inner=Inner(0)), ValueError, "width must be an integer"),
    ],
)
def test_parameters_are_checked(component, error, message):
    with pytest.raises(error, match=message):
        component.check()


def test_good_parameters_pass():
    for component in (Inner(), Inner(np.int32(9), "b"), Outer(), Outer(None), Outer(0, Inner(1))):
        component.check()
    check_bounds({"x": 3}, {"x": Bounds(Real, 3)})


def test_equality_is_by_type_and_parameters():
    assert Outer(inner=Inner(2)) == Outer(inner=Inner(2)) != Outer(inner=Inner(3))
    assert Inner() != Outer() and Inner(extra=np.arange(3)) == Inner(extra=np.arange(3))
    assert Inner(extra={"a": np.arange(2)}) != Inner(extra={"a": np.arange(3)})
    assert clone(Outer(inner=Inner(2))) == Outer(inner=Inner(2))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Inner())


def test_none_becomes_the_default_where_a_nested_parameter_is_set():
    outer = Outer().set_params(inner__width=5)
    assert outer.inner == Inner(5)
    assert Outer(inner=Inner(2)).set_params(inner=None, inner__kind="b").inner == Inner(kind="b")
    assert Outer().component("inner") == Inner() and Outer(inner=Inner(4)).component("inner") == Inner(4)
    with pytest.raises(ValueError, match="Invalid parameter 'depth'"):
        Outer().set_params(inner__depth=3)


def test_names_are_found_in_two_spellings():
    register(Inner)
    assert component_named("Inner") == component_named("inner") == Inner()
    assert Outer(inner="inner").component("inner") == Inner()
    assert Outer(inner="inner").set_params(inner__width=2).inner == Inner(2)
    with pytest.raises(ValueError, match="'nothing' is not registered .known: .*BeatSSL.*Inner"):
        component_named("nothing")
    with pytest.raises(ValueError, match="inner='BeatSSL': 'BeatSSL' is not registered"):
        Outer(inner="BeatSSL").component("inner", Inner)


def test_the_registry_is_full_before_anything_is_looked_up():
    names = {"BeatSSL", "BeatSSLPretrainer", "FittedEncoder", "FrontEnd", "RhythmEmbedder", "WaveSegmenter"}
    assert names | {"FineTunedClassifier", "BeatClassifier", "VCGViews", "WaveAugment"} <= set(registered())
    assert set(registered(Component)) < set(registered()) and "FrontEnd" not in registered(Component)


def test_two_classes_of_one_name_are_refused():
    @register
    @dataclass(frozen=True)
    class Twice:
        x: int = 0

    assert is_registered(Twice)
    again = type("Twice", (), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="Twice is already the name of .*Twice; choose another name"):
        register(again)
    assert not is_registered(again) and registered()["Twice"] is Twice


@pytest.mark.parametrize("state", [3, np.int64(3), np.random.RandomState(0), np.random.default_rng(0), None])
def test_seeds(state):
    assert 0 <= seed_of(state) < 2**31


@pytest.mark.parametrize("state", [-1, 1.5, "x", True])
def test_what_is_no_seed(state):
    with pytest.raises(ValueError, match="random_state must be"):
        seed_of(state)


def test_estimators_may_hold_components():
    class Estimator(Nested):
        defaults: ClassVar = {"part": Inner}

        def __init__(self, part=None):
            self.part = part

    assert Estimator().set_params(part__width=2).get_params()["part__width"] == 2


class Deep(Nested):
    defaults: ClassVar = {"outer": Outer}

    def __init__(self, outer=None):
        self.outer = outer


class Open(Nested):
    def __init__(self, **others):
        self.others = others


@pytest.mark.parametrize(
    ("cls", "name", "message"),
    [
        (Outer, "width", "Outer has no parameter 'width': inner has it; write inner=Inner(width=...) or set_params"),
        (Deep, "share", "outer has it; write outer=Outer(share=...) or set_params(outer__share=...)"),
        (Deep, "width", "outer__inner has it; write inner=Inner(width=...) or set_params(outer__inner__width=...)"),
        (Outer, "nothing", "unexpected keyword argument 'nothing'"),
    ],
)
def test_a_parameter_of_a_component_is_found_by_its_owner(cls, name, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        cls(**{name: 1})
    with pytest.raises(ValueError, match=re.escape(message) if "has it" in message and cls is Deep else name):
        cls().set_params(**{name: 1})


def test_hints_do_not_change_a_constructor():
    assert list(inspect.signature(Outer).parameters) == ["share", "inner"]
    assert clone(Outer(0.25)) == Outer(0.25) and Open(a=1).others == {"a": 1}


def test_true_or_false():
    check_bounds({"flag": np.bool_(True)}, {"flag": bool})
    for value in (1, None, "yes"):
        with pytest.raises(TypeError, match=f"flag must be True or False, got {value!r}"):
            check_bounds({"flag": value}, {"flag": bool})


@pytest.mark.parametrize("value", [None, 5, "nothing", Inner])
def test_a_parameter_of_what_has_none(value):
    """`inner` of Inner has no default: its None stands for no component."""
    with pytest.raises(ValueError, match=r"Invalid parameter 'extra__width' for estimator Inner: extra=.* has no par"):
        Inner(extra=value).set_params(extra__width=3)
    register(Inner)
    assert Inner(extra="Inner").set_params(extra__width=3).extra == Inner(3)
    assert Inner(extra=value).set_params(extra=Inner(), extra__width=3).extra == Inner(3)


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), np.float32("inf")])
def test_infinity_is_no_number(value):
    with pytest.raises(ValueError, match="x must be a finite number, got"):
        check_bounds({"x": value}, {"x": Bounds(Real, 1e-6)})
    with pytest.raises(ValueError, match="x must be a number between 0 and 1, got"):
        check_bounds({"x": value}, {"x": Bounds(Real, 0, 1)})
