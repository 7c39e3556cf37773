"""Contrastive losses: similarities, targets, losses and diagnostics."""
