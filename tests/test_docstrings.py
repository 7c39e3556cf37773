"""numpydoc's checks of the docstrings of all public names."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from numpydoc.validate import ERROR_MSGS, validate
from public_names import PACKAGE, public_names

# Checks that no docstring here has to pass.
NOT_CHECKED = {
    "SA01": "the API page groups what belongs together",
    "EX01": "the guide has the examples, and its blocks run in the tests",
    "ES01": "a summary that says all needs no second paragraph",
    "PR07": "a type says enough of parameters such as `X : as for `fit`` or `random_state`",
    "RT02": "returned values have names here, with their shapes",
}

FIELDS = "its fields are in the section Attributes, or have docstrings: nobody else makes one"
OF_THE_BASE = "the parameters are those of the base class, which the docstring names"
AS_FOR_FIT = "parameters and result are those of `fit`, which the docstring names"
CONTRACT = "`Objective`, whose method this one replaces, describes the parameters and what is returned"
A_CODE = "codes are those of the attribute `codes`"
SUMMARY = "the summary says what is returned"
CLS = "numpydoc takes an argument called cls for the class of a method"
PRIVATE = "an argument with an underscore is not for users"
NOTHING = "it has no parameters: the signature is that of `torch.nn.Module`"
PROTOCOL = "a type for checkers, which nobody makes"
# Checks that a name does not pass, and why.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "_registry.fitted_attributes": {"PR02": CLS},
    "_registry.is_registered": {"PR02": CLS},
    "_registry.register": {"PR02": CLS},
    "_registry.register_foreign": {"PR02": CLS},
    "ecg.features.table.FeatureTable": {"PR01": FIELDS},
    "ecg.simulate.make_ecg.SimulatedECG": {"PR01": FIELDS},
    "ecg.waves.find.Waves": {"PR01": FIELDS},
    "ecg.wfdb.annotations.Annotations": {"PR01": FIELDS},
    "embedding.embedders.SampleEmbedder": {"PR01": OF_THE_BASE},
    "embedding.fitted_encoder.FittedEncoder": {"PR01": PRIVATE},
    "evaluation.episodes.EpisodeScores": {"PR01": FIELDS},
    "evaluation.aami_rates.AAMIRates": {"PR01": FIELDS},
    "evaluation.aami_results.AAMIScores": {"PR01": FIELDS},
    "evaluation.label_fractions.LabelFractionCurve": {"PR01": FIELDS},
    "evaluation.metrics.BeatDetectionScores": {"PR01": FIELDS},
    "inputs.source.Block": {"PR01": FIELDS},
    "nn.blocks.Encoder": {"PR01": PROTOCOL},
    "quality.measured.Measured": {"PR01": FIELDS},
    "pretraining.beat_ssl.BeatSSL.diagnose": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.beat_ssl.BeatSSL.draw": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.beat_ssl.BeatSSL.heads": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.beat_ssl.BeatSSL.loss": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.beat_ssl.BeatSSL.measure": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.beat_ssl.BeatSSL.measurements": {"RT01": CONTRACT},
    "pretraining.beat_ssl.BeatSSL.prepare": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.beat_ssl.BeatSSLTargets": {"PR01": FIELDS},
    "pretraining.beat_ssl_heads.BeatSSLOutputs": {"PR01": FIELDS},
    "pretraining.beat_ssl_pretrainer.BeatSSLPretrainer": {"PR01": OF_THE_BASE},
    "pretraining.dual_stream.DualStream.batches": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.dual_stream.DualStream.draw": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.dual_stream.DualStream.heads": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.dual_stream.DualStream.loss": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.dual_stream.DualStream.measure": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.dual_stream.DualStream.prepare": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.dual_stream.DualStreamOutputs": {"PR01": FIELDS},
    "pretraining.lead_agnostic.LeadAgnostic.after_step": {"PR01": CONTRACT},
    "pretraining.lead_agnostic.LeadAgnostic.batches": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.lead_agnostic.LeadAgnostic.draw": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.lead_agnostic.LeadAgnostic.heads": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.lead_agnostic.LeadAgnostic.loss": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.lead_agnostic.LeadAgnostic.prepare": {"PR01": CONTRACT},
    "pretraining.lead_agnostic.LeadAgnosticTargets": {"PR01": FIELDS},
    "pretraining.lead_agnostic_heads.LeadAgnosticOutputs": {"PR01": FIELDS},
    "pretraining.pretrainer.Pretrainer.partial_fit": {"PR01": AS_FOR_FIT, "RT01": AS_FOR_FIT},
    "pretraining.pretrainer.Pretrainer.untrained_encoder": {"RT01": SUMMARY},
    "pretraining.report_alignment.ReportAlignment.after_step": {"PR01": CONTRACT},
    "pretraining.report_alignment.ReportAlignment.draw": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.report_alignment.ReportAlignment.heads": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.report_alignment.ReportAlignment.loss": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.report_alignment.ReportAlignment.measure": {"PR01": CONTRACT},
    "pretraining.report_alignment.ReportAlignment.prepare": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.report_alignment.ReportAlignment.settings": {"RT01": SUMMARY},
    "pretraining.sum.Sum.after_step": {"PR01": CONTRACT},
    "pretraining.sum.Sum.batches": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.sum.Sum.diagnose": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.sum.Sum.draw": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.sum.Sum.heads": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.sum.Sum.loss": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.sum.Sum.measure": {"PR01": CONTRACT, "RT01": CONTRACT},
    "pretraining.sum.Sum.measurements": {"RT01": CONTRACT},
    "pretraining.sum.Sum.prepare": {"PR01": CONTRACT, "RT01": CONTRACT},
    "scale.job.DatasetResult": {"PR01": FIELDS},
    "segmentation.fitted_unet.FittedUNet": {"PR01": PRIVATE},
    "sequences.chain.Chain": {"PR01": FIELDS},
    "text.glossary.Glossary.describe": {"RT01": SUMMARY},
    "text.glossary.Glossary.kind": {"PR01": A_CODE, "RT01": SUMMARY},
    "text.glossary.Glossary.load": {"RT01": SUMMARY},
    "text.glossary.Glossary.parents": {"PR01": A_CODE, "RT01": SUMMARY},
    "text.glossary.Glossary.phrases": {"RT01": SUMMARY},
    "text.glossary.Glossary.prompts_for": {"PR01": A_CODE, "RT01": SUMMARY},
}


def _defined_here(value: Any) -> bool:
    module = getattr(value, "__module__", None) or ""
    return (inspect.isclass(value) or inspect.isfunction(value)) and module.split(".")[0] == PACKAGE


def _methods(cls: type) -> Iterator[str]:
    """Yield the paths of public methods and properties, each in the class that defines it."""
    for base in cls.__mro__:
        if _defined_here(base):
            for name, value in vars(base).items():
                function = getattr(value, "__func__", value)
                if not name.startswith("_") and (inspect.isfunction(function) or isinstance(function, property)):
                    yield f"{base.__module__}.{base.__qualname__}.{name}"


def paths() -> list[str]:
    """Return where the public classes, functions and methods are defined, below the package."""
    found = set()
    for value in public_names().values():
        if _defined_here(value):
            found.add(f"{value.__module__}.{value.__qualname__}")
            found.update(_methods(value) if inspect.isclass(value) else ())
    return sorted(path.removeprefix(f"{PACKAGE}.") for path in found)


PATHS = paths()


@pytest.mark.parametrize("path", PATHS)
def test_docstring(path: str) -> None:
    """A docstring fails the checks in `EXCEPTIONS`, and no others."""
    wrong = [(code, text) for code, text in validate(f"{PACKAGE}.{path}")["errors"] if code not in NOT_CHECKED]
    expected = EXCEPTIONS.get(path, {})
    assert [f"{code} {text}" for code, text in wrong if code not in expected] == []
    assert set(expected) == {code for code, _ in wrong}, "an exception that is not needed"


def test_the_lists_name_what_there_is() -> None:
    assert len(PATHS) > 150
    assert sorted(set(EXCEPTIONS) - set(PATHS)) == []
    assert set(NOT_CHECKED) <= set(ERROR_MSGS)
