"""Several processes over one Redis, while one after the other is killed, paused or wiped.

``python -m tests.soak.cluster`` runs it. ``app.py`` is what is served, ``world.py`` the processes,
``crowd.py`` who sends and listens, ``faults.py`` what goes wrong, ``ledger.py`` judges what came,
``conductor.py`` puts them together.
"""
