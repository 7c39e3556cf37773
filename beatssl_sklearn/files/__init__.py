"""Files: safetensors with a digest, tables that grow record by record, and writing whole or not at all."""
