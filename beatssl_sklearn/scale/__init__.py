"""Data sets of any size: embeddings and waves in shards, by several processes or machines, resumable."""

from .dataset import delineate_dataset, embed_dataset, read_dataset
from .job import DatasetResult

__all__ = ["DatasetResult", "delineate_dataset", "embed_dataset", "read_dataset"]
