"""`setup`: everything that must be on this machine before an environment can be brought up.

Owns the order only; dependencies.py fills the virtualenv, install.py gets the engine, and manifests.py what clusters
are given.
"""

import time

from infra.engine import dependencies, manifests
from infra.engine.doctor import require
from infra.engine.find import Engine, engine_for
from infra.engine.install import ensure_language_host, install_engine
from infra.engine.layout import Project, StopError, say


def setup(project: Project, arguments: list[str]) -> int:
    """`pulumiw setup [--dev] [--kubernetes]`."""
    unknown = [argument for argument in arguments if argument not in ("--dev", "--kubernetes")]
    if unknown:
        raise StopError(f"setup does not know {' '.join(unknown)}: its flags are --dev and --kubernetes", status=2)
    started = time.monotonic()
    engine = prepare(project, dev="--dev" in arguments, kubernetes="--kubernetes" in arguments)
    say(f"ready: engine {engine.version} at {engine.path} ({time.monotonic() - started:.1f} s)")
    return 0


def prepare(project: Project, *, dev: bool, kubernetes: bool = False) -> Engine:
    """Install what is missing; the engine to use.

    Manifests are fetched when told to (`kubernetes`); a verb on a stack that asks for them fetches them by itself.

    Raises:
        StopError: the machine lacks something; the message names the command that installs it.
    """
    if not dependencies.is_ready(project, dev=dev):
        require(project)
        dependencies.install(project, dev=dev)
    engine = engine_for(project) or install_engine(project)
    ensure_language_host(engine)
    if kubernetes:
        manifests.fetch(*manifests.SOURCES)
    return engine
