"""Waves of the heartbeat: found in probabilities, in tables and annotation files, over all leads, and intervals."""

from .annotations import read_waves, write_waves
from .consensus import consensus
from .find import WAVES, Waves, find_waves
from .intervals import beat_intervals, record_intervals
from .measures import WAVE_MEASURES, wave_measures
from .table import make_table, table_of_marks
from .usual_measures import USUAL_MEASURES

__all__ = [
    "USUAL_MEASURES",
    "WAVES",
    "WAVE_MEASURES",
    "Waves",
    "beat_intervals",
    "consensus",
    "find_waves",
    "make_table",
    "read_waves",
    "record_intervals",
    "table_of_marks",
    "wave_measures",
    "write_waves",
]
