"""The study of delineation on LUDB: one command per table, resumable."""
