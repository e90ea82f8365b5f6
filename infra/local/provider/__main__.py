"""Where the engine starts the provider: puts the project on the import path and serves."""

import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
# the provider is imported as `infra.local.provider`, never by the bare names of its modules
sys.path[:] = [str(_FOLDER.parents[2]), *(entry for entry in sys.path if Path(entry or ".").resolve() != _FOLDER)]

if __name__ == "__main__":
    from infra.local.provider.server import main

    main(sys.argv[1:])
