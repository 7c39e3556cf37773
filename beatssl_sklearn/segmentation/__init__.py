"""P, QRS and T in every lead."""

from .augment import WaveAugment
from .calibration import WaveCalibration
from .fitted_unet import FittedUNet
from .inference import label_block
from .segmenter import WaveSegmenter

__all__ = ["FittedUNet", "WaveAugment", "WaveCalibration", "WaveSegmenter", "label_block"]
