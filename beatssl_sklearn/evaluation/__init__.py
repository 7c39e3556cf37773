"""How well it works: beat by beat, wave by wave, and with a probe on frozen embeddings."""
