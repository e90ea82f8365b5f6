"""The provider's configuration: which settings there are and where calls go.

Owns the rule that nothing but this machine is ever reached.
"""

from __future__ import annotations

import ipaddress
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.standins.plugin.refused import Refused
from tests.standins.plugin.values import UNKNOWN, Unknown, contains

# what else the official plugin takes without effect on what the stand-in does
_IGNORED = frozenset(
    ("skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation", "skipRequestingAccountId",
     "s3UsePathStyle", "maxRetries", "version", "allowedAccountIds", "token", "stsRegion", "retryMode",
     "useDualstackEndpoint", "useFipsEndpoint", "s3UsEast1RegionalEndpoint", "userAgents")
)  # fmt: skip
_USED = frozenset(("region", "accessKey", "secretKey", "endpoints", "defaultTags"))
# the names that the official plugin gives endpoints, where botocore's service has another one
SERVICES = {"cloudwatchlogs": "logs", "cloudwatch": "cloudwatch", "loggroup": "logs"}
_JSON = ("endpoints", "defaultTags", "allowedAccountIds")


@dataclass(frozen=True)
class Settings:
    """Where calls go, in whose name, with which tags on everything."""

    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    default_tags: Mapping[str, str] | Unknown = field(default_factory=dict)

    def endpoint(self, service: str) -> str:
        """Return where a service is, or refuse: nothing is guessed."""
        if service not in self.endpoints:
            raise Refused(
                f"the stand-in of the AWS plugin has no endpoint for {service}: it never calls AWS itself. Give the "
                f"provider one on loopback: endpoints=[{{{service!r}: 'http://127.0.0.1:PORT'}}]"
            )
        return self.endpoints[service]

    def merged_tags(self, given: Any) -> Any:
        """Return the default tags with a resource's own; unknown where one of them is (provider/tags.go)."""
        if isinstance(given, Unknown) or isinstance(self.default_tags, Unknown):
            return UNKNOWN
        return {**self.default_tags, **(given or {})}


def parse_settings(given: Mapping[str, Any]) -> Settings:
    """Read a provider's configuration, without secrets' marks.

    Raises:
        Refused: a setting that the stand-in does not know, or an endpoint that is not on this machine.
    """
    values = {name: _parsed(name, value) for name, value in given.items()}
    unknown = sorted({*values} - _USED - _IGNORED)
    if unknown:
        raise Refused(f"the stand-in of the AWS plugin knows no setting {', '.join(unknown)}")
    tags = values.get("defaultTags") or {}
    default_tags = UNKNOWN if contains(tags, Unknown) else dict((tags.get("tags") or {}) if tags else {})
    return Settings(
        region=_text(values.get("region")),
        access_key=_text(values.get("accessKey")),
        secret_key=_text(values.get("secretKey")),
        endpoints=_endpoints(values.get("endpoints") or []),
        default_tags=default_tags,
    )


def _parsed(name: str, value: Any) -> Any:
    """Return a setting; the engine hands nested ones and switches over as JSON text."""
    if isinstance(value, str) and (name in _JSON or value in ("true", "false")):
        return json.loads(value)
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _endpoints(given: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    if isinstance(given, Unknown):
        return found
    for entry in given:
        for name, url in entry.items():
            if isinstance(url, Unknown) or not url:
                continue
            _check_loopback(name, url)
            found[SERVICES.get(name, name)] = url
    return found


def _check_loopback(name: str, url: str) -> None:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise Refused(
            f"the endpoint of {name} is {url}: the stand-in of the AWS plugin talks to nothing but this machine. Use "
            "a loopback address, or install the official plugin: pulumi plugin install resource aws"
        )


def compare_settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return which settings differ; none of them replaces resources, whose own region does."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
