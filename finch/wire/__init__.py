"""Bytes to values and back. Nothing in here awaits, reads a clock or knows of trio.

What comes in is a ``bytes`` from anywhere, what goes out is a ``bytes`` for anywhere, so that a
malformed input is a three-line test.
"""
