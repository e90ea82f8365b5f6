"""Imports the SDK's protocol without the SDK: a plugin needs its messages only, and starts twice as fast."""

import importlib.util
import sys
import types


def install() -> None:
    """Put empty packages where `pulumi` and `pulumi.runtime` would be loaded; for a plugin's own process only."""
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the Pulumi SDK is not installed here: make setup")
    root = next(iter(spec.submodule_search_locations))
    for name, folder in (("pulumi", root), ("pulumi.runtime", f"{root}/runtime")):
        module = types.ModuleType(name)
        module.__path__ = [folder]
        sys.modules[name] = module
