"""Finding and calling the function that trains, and telling its failures from the job's own."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable

from training.console import Refused
from training.contracts import Trained, TrainingData, TrainSettings

DEFAULT = "training.train:train"


class EntrypointFailed(Exception):
    """The user's code raised; `report` is its traceback, from its own first line on."""

    def __init__(self, entrypoint: str, error: BaseException) -> None:
        super().__init__(f"training.entrypoint {entrypoint} raised {type(error).__name__}: {error}")
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        self.report = "".join(traceback.TracebackException(type(error), error, frames).format())


def call(entrypoint: str, data: TrainingData, settings: TrainSettings) -> Trained:
    """Import `package.module:function` and train with it.

    Raises:
        Refused: there is no such module or function, or it returned something else than `Trained`.
        EntrypointFailed: its module failed to import, or it raised.
    """
    function = _find(entrypoint)
    try:
        trained = function(data, settings)
    except Refused:
        raise
    except Exception as error:
        raise EntrypointFailed(entrypoint, error) from error
    if not isinstance(trained, Trained):
        raise Refused(
            f"training.entrypoint {entrypoint} returned {type(trained).__name__}: return training.contracts.Trained"
        )
    return trained


def _find(entrypoint: str) -> Callable[[TrainingData, TrainSettings], object]:
    module_name, _, function_name = entrypoint.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise Refused(f"training.entrypoint {entrypoint}: there is no module {error.name} in the code") from error
        raise EntrypointFailed(entrypoint, error) from error
    except Exception as error:
        raise EntrypointFailed(entrypoint, error) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise Refused(f"training.entrypoint {entrypoint}: {module_name} has no function {function_name!r}")
    found: Callable[[TrainingData, TrainSettings], object] = function
    return found
