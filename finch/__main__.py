"""``python -m finch``."""

import sys

from finch.cli import main

sys.exit(main())
