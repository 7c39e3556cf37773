"""Networks for programs without Python: ONNX files, and what they take."""

from .onnx_export import export_onnx
from .onnx_inputs import onnx_inputs

__all__ = ["export_onnx", "onnx_inputs"]
