"""P, QRS and T in every lead."""

from .augment import WaveAugment
from .calibration import WaveCalibration
from .fitted_unet import FittedUNet
from .inference import label_block
from .segmenter import WaveSegmenter
from .wave_measures import WaveMeasures

__all__ = ["FittedUNet", "WaveAugment", "WaveCalibration", "WaveMeasures", "WaveSegmenter", "label_block"]
