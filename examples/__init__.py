"""The examples of Finch. `python -m finch examples` serves them all."""
