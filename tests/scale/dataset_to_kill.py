"""A program that embeds a data set, to be killed: ``python dataset_to_kill.py FOLDER ENGINE N_RECORDS SHARD_SIZE``."""

from __future__ import annotations

import sys

from beatssl_sklearn import RhythmEmbedder, embed_dataset, make_ecg

if __name__ == "__main__":
    folder, engine, n_records, shard_size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    X = make_ecg(n_records, fs=100, duration=4, random_state=0).data
    embedder = RhythmEmbedder("ptbxl-s", fs=100, check="ignore", device="cpu")
    print("begins", flush=True)
    own = None if engine == "none" else engine
    n_jobs = None if own is None else 2
    embed_dataset(embedder, X, folder, engine=own, n_jobs=n_jobs, batch_size=shard_size, shard_size=shard_size)
