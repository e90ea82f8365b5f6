"""A training run on a shared cluster, whose pods run already and cannot be given a file.

`python -m infra.kubernetes.incluster.shared_run VARIABLE`: writes the run spec, base64 in the environment variable, to
a file and becomes `python -m training --spec FILE`.
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from pathlib import Path


def main(variable: str) -> None:
    """Become the training job.

    Raises:
        SystemExit: the variable is not set.
    """
    encoded = os.environ.pop(variable, None)
    if encoded is None:
        raise SystemExit(f"the environment variable {variable} with the run spec is not set: run `up` again")
    file = Path(tempfile.mkdtemp(prefix="run-")) / "spec.json"
    file.write_bytes(base64.b64decode(encoded, validate=True))
    os.execv(sys.executable, [sys.executable, "-m", "training", "--spec", str(file)])  # noqa: S606 - no shell wanted


if __name__ == "__main__":
    main(sys.argv[1])
