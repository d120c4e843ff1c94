"""``python -m finch``."""

import gc
import sys

gc.disable()  # there is nothing to collect in what is being imported; tune_gc enables it

from finch.cli import main  # noqa: E402

sys.exit(main())
