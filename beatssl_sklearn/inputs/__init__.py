"""X, whatever users pass as it: checked, read block by block, prepared for a network."""
