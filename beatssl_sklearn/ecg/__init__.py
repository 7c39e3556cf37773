"""Signals come in: readers, leads, R peaks, beats, features and simulation, in numpy and scipy."""
