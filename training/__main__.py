"""`python -m training --spec FILE [--regate]`: the command that a runtime submits as a job.

It owns the process: environment, signals, exit status.  What a training run is stands in `training.job`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from training import environment, spec
from training.console import Refused, Stopped, say
from training.entrypoint import EntrypointFailed


def main() -> int:
    """Run the job and return the exit status; what went wrong is the end of what it prints."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description="train, evaluate, gate and register a model"
    )
    parser.add_argument("--spec", type=Path, required=True, help="the run spec, a JSON file")
    parser.add_argument("--regate", action="store_true", help="judge the finished run again; nothing is trained")
    arguments = parser.parse_args()
    environment.prepare()
    signal.signal(signal.SIGTERM, _stop)
    try:
        given = spec.read(arguments.spec)
        from training import job  # noqa: PLC0415  imports MLflow, which reads the environment

        job.regate(given) if arguments.regate else job.ensure(given)
    except Refused as refused:
        say("refused", str(refused))
        return 1
    except EntrypointFailed as failed:
        say("failed", f"{failed}\n{failed.report}")
        return 1
    except Stopped:
        say("stopped", "the job was told to stop; run it again to start over")
        return 128 + signal.SIGTERM
    except Exception as error:  # noqa: BLE001  the end of the process: shown whole, and still ended fast
        traceback.print_exc(file=sys.stdout)
        say("failed", f"{type(error).__name__}: {error}")
        return 1
    return 0


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Stopped


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # Ray and MLflow take seconds to wind down, and everything is written
