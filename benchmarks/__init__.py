"""Measurements, each run as ``python -m benchmarks.NAME``.

Every file states its command, what it measures and what it cannot show. Speed is CPU time of one thread: set
``OMP_NUM_THREADS=1``. Absolute figures drift by 10 % and more between runs and machines, so each figure is given
beside something measured in the same run, mostly the speed of plain matrix products (`benchmarks.roof`).
"""
