"""Heartbeats and rhythms in sequence: the heads that ship, and the table of what each part is worth."""
