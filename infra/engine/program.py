"""Runs one Pulumi program inside the language host.

Owns what a program sees (its folder, config, root directory) and how its failure is told: an exception becomes one
engine error with the program's own traceback, without the host's frames. It must not know the engine's other calls.
"""

import asyncio
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pulumi
from pulumi.runtime import reset_options, run_in_stack, set_all_config
from pulumi.runtime.proto import language_pb2

# Every resource waits in a thread for its RPC; the engine's own degree of parallelism limits the work.
THREADS_PER_PARALLEL = 4
MOST_THREADS = 512
HOST_FOLDERS = [Path(file).resolve().parent for file in (__file__, pulumi.__file__, asyncio.__file__)]
HIDDEN_FRAMES = (*(str(folder) for folder in HOST_FOLDERS), "<frozen ", runpy.__file__)


def wrong_virtualenv(info: Any) -> str | None:
    """Why this interpreter may not run that program, or None. Programs run in this process, so there is one choice."""
    wanted = dict(info.options).get("virtualenv")
    if not wanted:
        return None
    folder = (Path(info.root_directory) / str(wanted)).resolve()
    if folder == Path(sys.prefix).resolve():
        return None
    return (
        f"Pulumi.yaml asks for the virtualenv {folder}, but this language host runs programs of {sys.prefix} only: "
        "name that one, or install Pulumi's own Python language host"
    )


def run_program(request: Any, engine_address: str) -> Any:
    """Run the program of a RunRequest to its end and answer a RunResponse."""
    # Failed resources are reported by the engine; asyncio would report their unobserved tasks again.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    reset_options(
        project=request.project,
        stack=request.stack,
        root_directory=request.info.root_directory,
        parallel=request.parallel,
        engine_address=engine_address,
        monitor_address=request.monitor_address,
        preview=request.dryRun,
        organization=request.organization or "organization",
    )
    set_all_config(dict(request.config), list(request.configSecretKeys))
    problem = wrong_virtualenv(request.info)
    if problem:
        pulumi.log.error(problem)
        return language_pb2.RunResponse(bail=True)
    folder = Path(request.info.program_directory or request.pwd)
    os.chdir(folder)
    program = str(folder / (request.info.entry_point or "."))
    arguments = list(request.args)
    loop = asyncio.new_event_loop()
    threads = min(max(request.parallel, 1) * THREADS_PER_PARALLEL, MOST_THREADS)
    loop.set_default_executor(ThreadPoolExecutor(threads))
    asyncio.set_event_loop(loop)
    loop.set_exception_handler(_stop_on_lost_engine)
    try:
        loop.run_until_complete(run_in_stack(lambda: _execute(program, arguments)))
    except BaseException as error:  # noqa: BLE001  whatever a program raises becomes an engine error
        return _failure(error)
    finally:
        _close(loop)
    return language_pb2.RunResponse()


def _execute(program: str, arguments: list[str]) -> None:
    sys.argv[:] = [program, *arguments]
    runpy.run_path(program, run_name="__main__")


def _failure(error: BaseException) -> Any:
    if isinstance(error, SystemExit) and not error.code:
        return language_pb2.RunResponse()
    if isinstance(error, grpc.RpcError) and error.code() == grpc.StatusCode.UNAVAILABLE:
        return language_pb2.RunResponse()  # the engine is shutting down and says why itself
    pulumi.log.error(_describe(error))
    return language_pb2.RunResponse(bail=True)


def _describe(error: BaseException) -> str:
    if isinstance(error, pulumi.RunError):
        return str(error)  # a message for the reader, not a defect
    if isinstance(error, grpc.RpcError):
        return f"the engine refused a call: {error.details()}"
    if isinstance(error, SystemExit):
        return f"the program ended with exit status {error.code}"
    shown = traceback.TracebackException.from_exception(error)
    _hide_frames(shown)
    return "the program raised an exception\n" + "".join(shown.format()).rstrip()


def _hide_frames(shown: traceback.TracebackException | None) -> None:
    """Drop the host's and the SDK's frames, where anything of the program is left."""
    if shown is None:
        return
    own = [frame for frame in shown.stack if not frame.filename.startswith(HIDDEN_FRAMES)]
    if own:
        shown.stack[:] = own
    _hide_frames(shown.__cause__)
    _hide_frames(shown.__context__)


def _stop_on_lost_engine(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), grpc.RpcError):
        loop.stop()
    else:
        loop.default_exception_handler(context)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with suppress(BaseException):
            loop.run_until_complete(task)
    asyncio.set_event_loop(None)
    loop.close()
    sys.stdout.flush()
    sys.stderr.flush()
