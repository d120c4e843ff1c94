"""``python -m finch``."""

import gc
import sys

gc.disable()  # imports leave nothing to collect; tune_gc enables it again

from finch.cli import main  # noqa: E402

sys.exit(main())
