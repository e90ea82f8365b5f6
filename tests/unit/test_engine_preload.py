"""What the language host loads while a policy pack starts."""

from __future__ import annotations

import queue
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pulumi.runtime.proto import language_pb2

from benchmarks.preview import imported
from infra.engine.language_host import LanguageHost
from infra.engine.preload import MODULES, PACK, preload
from tests.stacks.project import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

LOADED = """
import sys
from infra.engine.preload import MODULES, preload
preload()
print(*(name for name in MODULES if type(sys.modules[name]).__name__ != "module"))
"""


def test_what_the_aws_substrate_imports_of_the_sdk_is_what_is_loaded_early() -> None:
    assert set(MODULES) == {name for name in imported() if name.startswith("pulumi_aws.")}


def test_modules_that_the_sdk_loads_late_are_loaded_whole() -> None:
    """In a process of its own: here, other tests have loaded them."""
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], "these are only names yet"


@pytest.mark.parametrize(("kind", "loaded"), [(PACK, [preload]), ("resource", [])])
def test_only_the_start_of_a_policy_pack_is_made_use_of(kind: str, loaded: list[Callable[[], None]]) -> None:
    asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    host = LanguageHost("", asked.put)
    host.RunPlugin(language_pb2.RunPluginRequest(kind=kind), None)
    for expected in loaded:
        assert asked.get(timeout=60) is expected, "on the main thread, where the program waits for it"
    assert asked.empty()
