"""What the processes of one application share: numbering, missed messages, publishing.

history.py      numbers messages and keeps the last ones: plain data
backplane.py    the one door from an audience to the world
inprocess.py    its form inside one process
choice.py       which backplane an application has

The form over Redis, which needs coredis:

redis.py        the backplane
hearing.py      the channels that are heard here, and their mirrors
posting.py      what this process publishes, on its way
line.py         the connection, which comes back
address.py      where it leads to
shards.py       one connection to all nodes of a Redis Cluster
slots.py        which node has what: plain data
election.py     which process leads
layout.py       what is kept in Redis: names, scripts, messages: plain data
sequence.py     which numbered message comes next, and which are missing: plain data
unsent.py       what waits to be sent: plain data
"""
