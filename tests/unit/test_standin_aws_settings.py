"""The stand-in of the AWS plugin: its configuration, and that nothing but this machine is ever called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.standins.aws_plugin.api import Api, ApiError
from tests.standins.aws_plugin.settings import Settings, compare_settings, parse_settings
from tests.standins.plugin.refused import Refused
from tests.standins.plugin.values import UNKNOWN

HERE = "http://127.0.0.1:5000"


@pytest.mark.parametrize("url", [HERE, "http://localhost:5000", "http://[::1]:5000", "http://127.8.9.1"])
def test_an_endpoint_on_this_machine_is_taken(url: str) -> None:
    assert parse_settings({"endpoints": [{"ec2": url}]}).endpoint("ec2") == url


@pytest.mark.parametrize(
    "url",
    [
        "https://ec2.us-east-1.amazonaws.com",
        "http://10.0.0.1:5000",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "http://localhost.example.com",
        "http://169.254.169.254",
        "no address",
    ],
)
def test_an_endpoint_anywhere_else_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(Refused, match=r"talks to nothing but this machine.*install the official plugin"):
        parse_settings({"endpoints": [{"eks": HERE, "ec2": url}]})


def test_a_service_without_endpoint_is_not_called() -> None:
    api = Api(parse_settings({"region": "us-east-1", "accessKey": "a", "secretKey": "b", "endpoints": [{"eks": HERE}]}))
    with pytest.raises(Refused, match="has no endpoint for ec2: it never calls AWS itself"):
        api.call("ec2", "us-east-1", "describe_vpcs", {})


def test_without_keys_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    with pytest.raises(Refused, match="no credentials: set AWS_ACCESS_KEY_ID"):
        Api(parse_settings({"endpoints": [{"eks": HERE}]})).client("eks", "us-east-1")


def test_the_sdk_writes_nested_settings_as_json() -> None:
    given = {
        "endpoints": json.dumps([{"logs": HERE, "s3": HERE}]),
        "defaultTags": json.dumps({"tags": {"a": "b"}}),
        "skipCredentialsValidation": "true",
        "allowedAccountIds": json.dumps(["123456789012"]),
        "region": "eu-central-1",
    }
    settings = parse_settings(given)
    assert (settings.region, settings.default_tags, set(settings.endpoints)) == (
        "eu-central-1",
        {"a": "b"},
        {"logs", "s3"},
    )


def test_a_setting_that_it_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="knows no setting assumeRoles, profile"):
        parse_settings({"profile": "x", "assumeRoles": [], "region": "us-east-1"})


def test_a_key_is_not_shown() -> None:
    assert "hunter2" not in repr(Settings(access_key="a", secret_key="hunter2"))


@pytest.mark.parametrize(
    ("defaults", "own", "expected"),
    [
        ({"a": "1"}, {"b": "2"}, {"a": "1", "b": "2"}),
        ({"a": "1"}, {"a": "mine"}, {"a": "mine"}),
        ({}, None, {}),
        ({"a": "1"}, UNKNOWN, UNKNOWN),
        (UNKNOWN, {"a": "1"}, UNKNOWN),
    ],
)
def test_default_tags_are_under_a_resources_own(defaults: Any, own: Any, expected: Any) -> None:
    assert Settings(default_tags=defaults).merged_tags(own) == expected


def test_tags_that_are_not_known_yet_are_taken_as_such() -> None:
    assert parse_settings({"defaultTags": {"tags": {"a": UNKNOWN}}}).default_tags is UNKNOWN


def test_changed_settings_are_named() -> None:
    assert compare_settings({"region": "a", "x": "1"}, {"region": "b", "x": "1", "y": "2"}) == ["region", "y"]


@pytest.mark.parametrize(
    ("code", "gone", "in_use"),
    [
        ("InvalidVpcID.NotFound", True, False),
        ("NoSuchEntity", True, False),
        ("404", True, False),
        ("ResourceNotFoundException", True, False),
        ("InvalidPlacementGroup.Unknown", True, False),
        ("DependencyViolation", False, True),
        ("DeleteConflict", False, True),
        ("ResourceInUseException", False, True),
        ("UnauthorizedOperation", False, False),
        ("InvalidParameterValue", False, False),
    ],
)
def test_errors_tell_gone_from_needed_from_wrong(code: str, *, gone: bool, in_use: bool) -> None:
    error = ApiError("ec2.delete", code, "said")
    assert (error.is_gone, error.is_in_use) == (gone, in_use)
