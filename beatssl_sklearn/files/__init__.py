"""Files: safetensors with a digest, tables that grow record by record, and atomic writing."""

from .cell_text import escape_text, unescape_text

__all__ = ["escape_text", "unescape_text"]
