"""The program of the stand-in's tests: whatever resources `resources.json` beside it lists, in that order.

Copied as `__main__.py` into a project folder of its own; it is never imported by a test. An argument `$NAME.ATTRIBUTE`
is an output of an earlier resource, `$NAME.ATTRIBUTE.KEY` a part of one.
"""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

GIVEN = json.loads((Path(__file__).parent / "resources.json").read_text())
MADE: dict[str, Any] = {}
OUTPUT = re.compile(r"\$\w+(\.\w+)+")


def resolved(value: Any) -> Any:
    if isinstance(value, str) and OUTPUT.fullmatch(value):
        name, attribute, *inner = value[1:].split(".")
        found = getattr(MADE[name], attribute)
        for key in inner:
            found = found[int(key) if key.isdigit() else key]
        return found
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items()}
    return [resolved(item) for item in value] if isinstance(value, list) else value


provider = aws.Provider("aws", **GIVEN["provider"])
for name, (kind, arguments, options) in GIVEN["resources"].items():
    module, _, class_name = kind.rpartition(".")
    made = getattr(importlib.import_module(f"pulumi_aws.{module}"), class_name)
    after = [MADE[other] for other in options.pop("after", [])]
    if "timeouts" in options:
        options["custom_timeouts"] = pulumi.CustomTimeouts(**options.pop("timeouts"))
    chosen = pulumi.ResourceOptions(provider=provider, depends_on=after, **options)
    MADE[name] = made(name, **resolved(arguments), opts=chosen)
for name, where in GIVEN.get("outputs", {}).items():
    pulumi.export(name, resolved(where))
