"""The commands of ``python -m finch``: one module for each, and what they share."""
