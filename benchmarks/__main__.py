"""Every figure of the documentation: `make bench`, or `python -m benchmarks`.  Takes about ten minutes on two cores."""

from __future__ import annotations

import argparse
import subprocess
import sys

PARTS = {
    "environment": "phases of `up`, no-op `up`, preview, retrain, destroy, memory",
    "preview": "offline previews of the AWS stack files against a program that only imports the same SDKs",
    "pools": "offline previews of production with 10, 50 and 100 GPU pools",
    "serving": "the model server against bare FastAPI and `mlflow models serve`",
}


def main() -> int:
    """Run the named parts, or all; each prints its own tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, epilog="example: make bench")
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="; ".join(f"{k}: {v}" for k, v in PARTS.items()))
    parts = parser.parse_args().part or list(PARTS)
    failed = [
        part for part in parts if subprocess.run([sys.executable, "-m", f"benchmarks.{part}"], check=False).returncode
    ]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
