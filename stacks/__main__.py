"""The Pulumi program: reads the stack's config, declares the environment, exports its outputs."""

from __future__ import annotations

import gc
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# the engine puts this folder on the path; the packages lie beside it
sys.path[0] = str(ROOT)
# the SDKs are a hundred thousand objects that never die: walking them again and again is half of a large preview
gc.set_threshold(200_000)

import pulumi  # noqa: E402
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret  # noqa: E402

from components.seam import Place  # noqa: E402
from components.settings import SettingError  # noqa: E402
from infra.engine.environment import DEBUG  # noqa: E402
from infra.policies.program import enforced  # noqa: E402
from stacks.config import SECRETS, load  # noqa: E402
from stacks.environment import deploy  # noqa: E402
from stacks.ground import GROUND  # noqa: E402
from stacks.problems import ConfigError  # noqa: E402

if not os.environ.get(DEBUG):
    # the SDK tells of each step, and waits each time: the engine shows it with --debug only
    pulumi.log.debug = lambda *_, **__: None


def settings() -> dict[str, Any]:
    """Return every key under `slipway:` of the stack's config, objects parsed; the encrypted ones stay out of it."""
    prefix = f"{pulumi.get_project()}:"
    texts = {**get_config_env(), **CONFIG.get()}
    found = {key.removeprefix(prefix): text for key, text in texts.items() if key.startswith(prefix)}
    return {key: _parsed(text) for key, text in found.items() if key not in SECRETS}


def secrets() -> dict[str, pulumi.Output[str]]:
    """Return the encrypted keys that are set.

    Raises:
        SettingError: one of them is readable in the stack file.
    """
    config = pulumi.Config()
    present = [key for key in SECRETS if config.get(key) is not None]
    for key in present:
        if not is_config_secret(f"{pulumi.get_project()}:{key}"):
            raise SettingError(
                f"slipway:{key} is not encrypted in the stack file. Change it there, since what was written is no "
                f"longer secret, and set it by: ./pulumiw config set --secret slipway:{key}"
            )
    return {key: config.require_secret(key) for key in present}


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def main() -> None:
    """Declare the environment of the current stack."""
    try:
        encrypted = secrets()
        place = Place(project=pulumi.get_project(), stack=pulumi.get_stack(), root=ROOT, secrets=encrypted)
        found = settings()
        env = load(found, encrypted, now=datetime.now(tz=UTC))
        for warning in GROUND[env.substrate.kind].require(place, env):
            pulumi.log.warn(f"{warning.name}: {warning.seen} ({warning.fix})")
        with enforced(found):
            deploy(place, env).export()
    except (ConfigError, SettingError) as error:
        raise pulumi.RunError(str(error)) from None


main()
