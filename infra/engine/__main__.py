"""`./pulumiw` lands here, before anything is installed: standard library only."""

import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)  # this folder would shadow nothing today; keep it so

from infra.engine.cli import main  # noqa: E402  the path is set above

if __name__ == "__main__":
    # Python ignores SIGPIPE, and the engine would inherit that; `get | head` must end as any command does
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(ROOT, sys.argv[1:]))
