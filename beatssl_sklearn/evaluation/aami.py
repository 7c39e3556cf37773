"""Scores of classified heartbeats as ANSI/AAMI EC57 counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score

from ..inputs.groups import group_codes
from ..inputs.labels import as_ids, as_labels
from .aami_counts import Answers, Detections, codes_of, count_answers, pair_answers
from .aami_rates import AAMIRates, outcomes_of
from .aami_results import AAMIScores
from .aami_rules import Exempt, Rules, distinct, rules_of

__all__ = ["AAMIRates", "AAMIScores", "aami_scores", "dominant_record"]


def aami_scores(
    y: Sequence[Any],
    predicted: Sequence[Any],
    *,
    records: Sequence[Any] | None = None,
    patients: ArrayLike | None = None,
    without: Any = (),
    rpeaks: Sequence[ArrayLike] | None = None,
    detected: Sequence[ArrayLike] | None = None,
    fs: float | None = None,
    tolerance: float = 0.150,
    classes: Sequence[Any] = ("N", "S", "V", "F", "Q"),
    scored: Sequence[Any] | None = None,
    exempt: Exempt = "ec57",
    probability: Sequence[ArrayLike] | None = None,
    columns: Sequence[Any] | None = None,
) -> AAMIScores:
    """Score classified heartbeats as ANSI/AAMI EC57 counts them.

    Without positions, the n-th predicted label is that of the n-th reference beat. With `rpeaks`, `detected` and `fs`,
    beats are paired within `tolerance`: a reference beat without a detection is missed by its class, and a detection
    without a reference beat is a false one of the class predicted for it.

    Parameters
    ----------
    y : sequence of n_records arrays (n_beats,)
        Reference labels. A beat whose label is None or NaN does not count, nor does what was predicted for it.
    predicted : sequence of n_records arrays (n_beats,), or (n_detected,)
        Predicted labels. None or NaN is no answer: the beat is missed.
    records : sequence of n_records, default=None
        Names of the records, each another one; None numbers them from 0.
    patients : array-like of shape (n_records,), default=None
        Patient of each record; None makes each record a patient.
    without : record, or collection of records, default=()
        Names of the records to leave out, such as ``dominant_record(y, "S")``.
    rpeaks, detected : sequence of n_records arrays (n_beats,) and (n_detected,), default=None
        Positions of the annotated and of the detected beats [samples], in any order, one per label.
    fs : float, default=None
        Sampling rate of the positions [Hz].
    tolerance : float, default=.150
        Largest distance of a pair [s], inclusive, as for `match_beats`.
    classes : sequence of n_classes labels, default=("N", "S", "V", "F", "Q")
        All labels that beats may have; rows and columns of the confusion.
    scored : sequence of labels, default=None
        The classes that have rates. None is all of `classes` but "Q", unless there is no other.
    exempt : {"ec57", "none"} or dict of label to labels, default="ec57"
        Answers that are not false ones: for a class, the reference classes that may get this answer. "ec57" is
        ``{"V": ("F", "Q"), "S": ("Q",)}``. "none" counts as scikit-learn does, without the beats of classes that are
        not scored.
    probability : sequence of n_records arrays (n_beats, n_columns), or (n_detected, n_columns), default=None
        Probabilities for the precision-recall area. A row with NaN is no answer.
    columns : sequence of n_columns labels, default=None
        The class of each column, as in ``classifier.classes_``; needed for `probability`.

    Returns
    -------
    AAMIScores
        Confusion, rates and counts.

    Raises
    ------
    TypeError
        If labels are not one sequence per record.
    ValueError
        If numbers of records, beats or labels differ, a label is none of `classes`, a record is unknown or has the name
        of another, no beat has a label, only some of `rpeaks`, `detected` and `fs` are given, or a parameter is out of
        range; the message names the record.

    Notes
    -----
    What the standard says:

    - Five classes: N (normal and bundle branch block), S (supraventricular ectopic), V (ventricular ectopic), F (fusion
      of V and N) and Q (paced or unclassifiable). A detection belongs to a beat within 150 ms.
    - Se and positive predictivity are reported for V and S, and the false positive rate for V. Answer V for a beat of
      F or Q, and answer S for a beat of Q, counts neither for nor against V or S. A beat of F with the answer V is
      missed by F.
    - In the false positive rate, true negatives are all other beats and extra detections that did not get the answer V.
      Missed beats are not among them.
    - "Gross" statistics pool all beats. "Average" statistics are the mean of each record's, over the records where the
      statistic is defined.
    - Records with paced beats and the first five minutes, in which an algorithm may learn, are left out. This function
      leaves out what you do not give, and beats without a label.

    What is ours: rates of N and F, F1, the macro F1, the mean over patients and the precision-recall area. A beat of a
    class that is not scored, as Q, is a false one of no class. The standard gives the counts and no F1; with its
    exemptions the F1 of V is higher than that of scikit-learn, or equal. For the area of a class, the beats that are
    exempt from it are left out, and a beat without an answer is never found; its intervals come from
    `bootstrap_interval`.

    References
    ----------
    ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm and ST segment measurement
    algorithms (beat-by-beat comparison). The counts of each rate are those that the program bxb of the WFDB software
    package prints.

    P. de Chazal, M. O'Dwyer, R. B. Reilly: Automatic classification of heartbeats using ECG morphology and heartbeat
    interval features. IEEE Transactions on Biomedical Engineering 51(7), 1196-1206, 2004 (five classes of MIT-BIH).

    Examples
    --------
    >>> from beatssl_sklearn.evaluation import aami_scores
    >>> scores = aami_scores([["N", "N", "V", "F"], ["S", "V"]], [["N", "V", "V", "V"], ["N", "V"]])
    >>> scores.confusion[:4, :4].tolist()
    [[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 2, 0], [0, 0, 1, 0]]
    >>> round(scores.gross.of("V")["ppv"], 3)
    0.667
    """
    names = distinct(classes, "classes")
    rules = rules_of(names, scored, exempt)
    answers = pair_answers(
        codes_of(y, "y", names),
        codes_of(predicted, "predicted", names),
        _detections(rpeaks, detected, fs, tolerance),
        len(names),
    )
    ids = _record_names(records, len(answers))
    own = as_labels(ids, "patients") if patients is None else as_ids(patients, len(ids), "patients")
    group_codes(own, len(ids), "patients")
    kept = _kept(ids, without)
    counts = count_answers([answers[i] for i in kept], len(names))
    if not counts[:, rules.numbers].any():
        raise ValueError(f"y: no beat has a label of the scored classes {list(rules.scored)}")
    area = None
    if probability is not None or columns is not None:
        tables = _tables(probability, columns, [len(labels) for labels in predicted])
        area = _average_precision([answers[i] for i in kept], [tables[i] for i in kept], columns, rules)
    return AAMIScores(
        classes=names,
        scored=rules.scored,
        records=tuple(ids[i] for i in kept),
        patients=own[kept],
        counts=counts,
        outcomes=outcomes_of(np.where(rules.counted[:, None], counts, 0), rules.numbers, rules.penalised),
        average_precision=area,
    )


def dominant_record(y: Sequence[Any], label: Any, *, records: Sequence[Any] | None = None) -> Any:
    """Return the record that has most beats of a class, to see what the scores are without it.

    Parameters
    ----------
    y : sequence of n_records arrays (n_beats,)
        Labels; None or NaN where a beat has none.
    label : object
        The class.
    records : sequence of n_records, default=None
        Names of the records; None numbers them from 0.

    Returns
    -------
    object
        The name of the record; of several, the first.

    Raises
    ------
    ValueError
        If no beat has this label, or the number of records differs.
    TypeError
        If labels are not one sequence per record.

    Examples
    --------
    >>> from beatssl_sklearn.evaluation import dominant_record
    >>> dominant_record([["N", "S"], ["S", "S", "V"]], "S", records=[231, 232])
    232
    """
    found = [codes == 0 for codes in codes_of(y, "y", (label,), others=True)]
    names = _record_names(records, len(found))
    n = [int(own.sum()) for own in found]
    if not any(n):
        raise ValueError(f"label: no beat of y has the label {label!r}")
    return names[int(np.argmax(n))]


def _record_names(records: Any, n_records: int) -> tuple[Any, ...]:
    if not n_records:
        raise ValueError("y has no record")
    names = tuple(range(n_records)) if records is None else distinct(records, "records")
    if len(names) != n_records:
        raise ValueError(f"records names {len(names)} records, y holds the labels of {n_records}")
    return names


def _kept(names: tuple[Any, ...], without: Any) -> list[int]:
    """Return the positions of the records that count."""
    out = [without] if isinstance(without, str) or not hasattr(without, "__iter__") else list(without)
    unknown = [name for name in out if name not in names]
    if unknown:
        raise ValueError(f"without has the record {unknown[0]!r}, which is none of {list(names)!r:.200}")
    kept = [i for i, name in enumerate(names) if name not in out]
    if not kept:
        raise ValueError(f"without leaves out all {len(names)} records")
    return kept


def _detections(rpeaks: Any, detected: Any, fs: float | None, tolerance: float) -> Detections | None:
    given = {"rpeaks": rpeaks, "detected": detected, "fs": fs}
    missing = [name for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if missing or fs is None:
        raise ValueError(f"rpeaks, detected and fs belong together, but {missing[0]} is missing")
    return Detections(rpeaks, detected, fs, tolerance)


def _tables(probability: Any, columns: Any, lengths: list[int]) -> list[NDArray[np.float64]]:
    """Return the probabilities of each record's answers (n, n_columns)."""
    if probability is None or columns is None:
        raise ValueError("probability and columns, as in classifier.classes_, belong together: one is missing")
    width = len(distinct(columns, "columns"))
    if len(probability) != len(lengths):
        raise ValueError(f"probability holds {len(probability)} records, predicted holds {len(lengths)}")
    tables = []
    for i, (rows, n) in enumerate(zip(probability, lengths, strict=True)):
        table = np.asarray(rows, dtype=np.float64)
        if table.shape != (n, width) and (n or table.size):
            raise ValueError(f"probability of record {i} must have the shape {(n, width)}, got {table.shape}")
        if np.isinf(table).any():
            raise ValueError(f"probability of record {i} must be finite, or NaN for no answer, got infinity")
        tables.append(table.reshape(n, width))
    return tables


def _average_precision(
    answers: list[Answers], tables: list[NDArray[np.float64]], columns: Any, rules: Rules
) -> NDArray[np.float64]:
    """Return the precision-recall area of each scored class; NaN without a beat or a column of the class."""
    names = distinct(columns, "columns")
    reference = np.concatenate([own.reference for own in answers])
    missed = np.concatenate([own.predicted == len(rules.counted) - 1 for own in answers])
    # Position -1, of a missed beat, is that of the row added.
    gap = np.full(len(names), np.nan)
    pairs = zip(answers, tables, strict=True)
    rows = np.concatenate([np.vstack([table, gap])[own.position] for own, table in pairs])
    ranked = ~missed & np.isfinite(rows).all(axis=1)
    out = np.full(len(rules.scored), np.nan)
    for k, (label, number) in enumerate(zip(rules.scored, rules.numbers, strict=True)):
        true = reference == number
        if label in names and true.any():
            used = ranked & (true | rules.penalised[reference, k])
            # A beat that has no rank is never found: the curve ends at the share of those that have one.
            share = true[used].sum() / true.sum()
            score = rows[used, names.index(label)]
            out[k] = share * average_precision_score(true[used], score) if share else 0.0
    return out
