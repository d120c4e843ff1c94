"""What the processes of one application share: numbering, missed messages, publishing.

history.py      numbers messages and keeps the last ones: plain data
backplane.py    the one door from an audience to the world, and its form inside one process
"""
