"""What people write by mistake, and what Finch says to it: each is made, and its answer kept.

``docs/mistakes.md`` is made from these entries by ``python -m tests.mistakes``. ``test_mistakes``
makes every mistake, checks that the answer has the words that help, and that the page says the
same.
"""
