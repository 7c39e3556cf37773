"""Networks: encoders, heads and pooling of regions, in torch alone."""

from .blocks import Encoder
from .encoders import build_encoder
from .heads import build_predictor, build_projector
from .inference import inference_module

__all__ = ["Encoder", "build_encoder", "build_predictor", "build_projector", "inference_module"]
