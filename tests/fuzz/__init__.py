"""Fuzzing: whatever a peer sends is accepted or is a protocol error, and nothing else.

``inputs`` makes what a peer may send and breaks it; each target takes bytes, and raises where
Finch did what it must not. ``python -m tests.fuzz`` runs them for long, ``test_fuzz`` shortly.
"""
