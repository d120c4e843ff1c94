"""Soak and churn: a server under ten thousand clients, good and bad, until something leaks.

``python -m tests.soak --minutes 30`` (or ``make soak``) runs it; ``test_soak.py`` runs a few
seconds of it with every test run. It stands with the tests and not with the benchmarks because it
passes or fails: what it measures is only there to be judged.

- ``app`` is what is served, and ``server`` its process, watched from outside.
- ``ledger`` knows who must get which message.
- ``line`` is one connection that may do what no library would; ``crowd`` holds thousands of them.
- ``goodbyes`` and ``villains`` are the ways to leave and to misbehave, each one a short story.
- ``world`` is one process of clients; ``conductor`` starts and kills worlds and takes samples.
- ``verdict`` judges.
"""
