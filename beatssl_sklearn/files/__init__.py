"""Files: safetensors with a digest, tables that grow record by record, and atomic writing."""
