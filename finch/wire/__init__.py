"""Bytes to values and back. Nothing in this folder awaits, reads a clock or uses trio.

Input and output are plain ``bytes``, without any connection. So a test of malformed input takes
three lines.
"""
