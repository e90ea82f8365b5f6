"""The stand-in of the AWS plugin: its table, held against pulumi_aws's own classes and their documentation."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.standin_cluster_examples import EXAMPLES
from tests.aws.standin_examples import named
from tests.aws_inputs import problems
from tests.standins.aws_plugin.inputs import completed, planned, with_name
from tests.standins.aws_plugin.provider import Provider
from tests.standins.aws_plugin.row import Row
from tests.standins.aws_plugin.settings import Settings
from tests.standins.aws_plugin.table import ROWS, row_of
from tests.standins.plugin.refused import Refused
from tests.standins.plugin.values import UNKNOWN, Secret, contains

ROOT = Path(__file__).parents[2]
FORCES = re.compile(r"forc\w+ (the |a )?(new|replac|recreat|creation)|will force", re.IGNORECASE)
CONDITIONAL = {("aws:ec2/vpcEndpoint:VpcEndpoint", "privateDnsEnabled")}  # only of another type than Interface
SETTINGS = Settings(region="us-east-1", default_tags={"slipway:stack": "unit"})


def sdk_class(token: str) -> Any:
    module, name = token.removeprefix("aws:").split("/", 1)[0], token.rsplit(":", 1)[1]
    return getattr(importlib.import_module(f"pulumi_aws.{module}"), name)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def test_the_table_has_the_types_that_the_stacks_use_and_no_other() -> None:
    registered = "".join(file.read_text() for file in (ROOT / "tests/programs/golden").glob("*.json"))
    # a pool with Elastic Fabric Adapters, which no stack file has, lies in one
    used = {*re.findall(r"aws:[a-z0-9]+/\w+:\w+", registered), "aws:ec2/placementGroup:PlacementGroup"}
    assert {*ROWS} == used


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_properties_that_the_sdk_has(name: str) -> None:
    token, inputs = EXAMPLES[name]
    assert problems(token, inputs) == []


@pytest.mark.parametrize("token", ROWS)
def test_what_a_row_tells_is_an_output_of_the_sdk(token: str) -> None:
    row, properties = ROWS[token], inspect.getmembers(sdk_class(token), lambda item: isinstance(item, property))
    assert {*row.computed, *row.all_fields} <= {camel(name) for name, _ in properties}


def documented() -> Iterator[tuple[str, str, str]]:
    for token in ROWS:
        made = sdk_class(token)
        arguments = vars(sys.modules[made.__module__])[f"{made.__name__}Args"]
        for name, item in inspect.getmembers(arguments, lambda item: isinstance(item, property)):
            yield token, camel(name), inspect.getdoc(item.fget) or ""


def test_what_the_documentation_calls_a_replacement_is_one() -> None:
    said = [(token, name) for token, name, text in documented() if FORCES.search(text) and name in ROWS[token].fields]
    assert ("aws:eks/cluster:Cluster", "bootstrapSelfManagedAddons") in said, "the documentation is read at all"
    assert [each for each in said if not ROWS[each[0]].fields[each[1]].new and each not in CONDITIONAL] == []


@pytest.mark.parametrize("token", ROWS)
def test_a_row_names_where_its_schema_is_from(token: str) -> None:
    assert re.fullmatch(r"internal/service/\w+/\w+\.go", ROWS[token].source), ROWS[token].source


def test_a_type_without_a_row_is_refused_by_name() -> None:
    with pytest.raises(Refused, match=r"has no row for aws:ec2/instance:Instance .*install the official plugin"):
        row_of("urn:pulumi:dev::slipway::slipway:aws:Network$aws:ec2/instance:Instance::x")


def urn(name: str) -> str:
    return f"urn:pulumi:dev::slipway::{EXAMPLES[name][0]}::{name}"


def row(name: str) -> Row:
    return ROWS[EXAMPLES[name][0]]


def test_a_property_that_the_row_does_not_know_is_refused_at_any_depth_all_at_once() -> None:
    given = {"name": "c", "roleArn": "r", "vpcConfig": {"subnetIds": [], "subnetId": "x"}, "labels": {}}
    with pytest.raises(Refused) as refused:
        completed(row("cluster"), given, SETTINGS)
    assert "no property `labels` of aws:eks/cluster:Cluster" in str(refused.value)
    assert "no property `subnetId` of aws:eks/cluster:Cluster.vpcConfig" in str(refused.value)


def test_a_missing_and_a_malformed_property_are_refused() -> None:
    with pytest.raises(Refused, match=r"`roleArn` of .* is required"):
        completed(row("cluster"), {"name": "c", "vpcConfig": {"subnetIds": []}}, SETTINGS)
    with pytest.raises(Refused, match=r"vpcConfig` must be an object"):
        completed(row("cluster"), {"name": "c", "roleArn": "r", "vpcConfig": []}, SETTINGS)


def test_defaults_region_and_all_tags_become_inputs() -> None:
    inputs = completed(row("vpc"), {"cidrBlock": "10.0.0.0/16", "tags": {"Name": "n"}}, SETTINGS)
    assert inputs == {
        "cidrBlock": "10.0.0.0/16",
        "enableDnsSupport": True,
        "instanceTenancy": "default",
        "region": "us-east-1",
        "tags": {"Name": "n"},
        "tagsAll": {"Name": "n", "slipway:stack": "unit"},
    }


def test_a_name_that_nobody_gave_is_made_up_once() -> None:
    rights = row("reads")
    first = with_name(rights, {"role": "r"}, {}, "rights", b"seed")
    assert re.fullmatch(r"rights-[0-9a-f]{7}", first["name"])
    assert with_name(rights, {"role": "r"}, first, "rights", b"other seed") == first
    assert with_name(rights, {"role": "r", "name": "mine"}, first, "rights", b"")["name"] == "mine"
    with pytest.raises(Refused, match="`bucket` is missing"):
        with_name(row("bucket"), {}, {}, "b", b"")


def test_a_made_up_name_does_not_make_the_old_one_go_first() -> None:
    provider, old = Provider(), {"role": "a", "name": "x-1234567", "__defaults": ["name"], "policy": "{}"}
    found = provider.diff(urn("reads"), old, old, {**old, "role": "b"}, [])
    assert (found.replaces, found.delete_first) == (["role"], False)
    chosen = {key: value for key, value in old.items() if key != "__defaults"}
    assert provider.diff(urn("reads"), chosen, chosen, {**chosen, "role": "b"}, []).delete_first


def test_a_preview_knows_inputs_and_nothing_that_the_service_chooses() -> None:
    state = planned(row("cluster"), completed(row("cluster"), named(EXAMPLES, "u")["cluster"][1], SETTINGS))
    assert state["name"] == "u-cluster"
    assert all(state[name] is UNKNOWN for name in ("arn", "endpoint", "certificateAuthority", "status"))
    assert state["vpcConfig"]["clusterSecurityGroupId"] is UNKNOWN
    assert state["vpcConfig"]["endpointPublicAccess"] is True


def test_a_preview_of_an_update_keeps_what_stays_and_not_what_moves() -> None:
    provider, given = Provider(), {"name": "t", "instanceType": "a", "updateDefaultVersion": True}
    state = {**given, "arn": "arn:x", "latestVersion": 3, "defaultVersion": 3}

    def updated(new: dict[str, Any]) -> dict[str, Any]:
        return provider.update(urn("template"), "lt-1", state, given, new, ignored=[], timeout_s=0, preview=True)

    after = updated({**given, "instanceType": "b"})
    assert (after["arn"], after["latestVersion"], after["instanceType"]) == ("arn:x", UNKNOWN, "b")
    assert updated({**given, "tags": {"a": "b"}})["latestVersion"] == 3, "tags make no new version"


def test_what_is_secret_stays_secret() -> None:
    provider = Provider()
    inputs = provider.check(urn("reads"), {}, {"role": "r", "name": "n", "policy": Secret("{}")}, b"")
    _, state = provider.create(urn("reads"), inputs, 0, preview=True)
    assert contains(inputs["policy"], Secret)
    assert contains(state["policy"], Secret)
    assert state["role"] == "r"


PREVIEW = """
import json, socket, sys
socket.socket.connect = lambda *_: sys.exit("a preview connects")
from tests.aws.standin_cluster_examples import EXAMPLES
from tests.aws.standin_examples import named, resolved
from tests.standins.aws_plugin.provider import Provider
from tests.standins.plugin.values import UNKNOWN
provider, made = Provider(), {}
class Planned(dict):
    def __missing__(self, key):
        return UNKNOWN
provider.configure({"region": "us-east-1", "accessKey": "x", "secretKey": "y"})
for name, (token, given) in named(EXAMPLES, "p").items():
    urn = f"urn:pulumi:dev::t::{token}::{name}"
    inputs = provider.check(urn, {}, resolved(given, made), b"s")
    made[name] = Planned(provider.create(urn, inputs, 0, preview=True)[1], id=UNKNOWN)
heavy = [name for name in ("boto3", "botocore", "moto", "requests", "pulumi") if name in sys.modules]
print(json.dumps([len(made), heavy]))
"""


def test_a_preview_of_every_type_makes_no_call_and_loads_no_aws_sdk() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PREVIEW], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == f"[{len(EXAMPLES)}, []]"


def test_the_plugins_own_process_starts_without_the_sdk_and_answers_which_it_is() -> None:
    check = (
        "import sys; from tests.standins.plugin import lean; lean.install()\n"
        "from tests.standins.aws_plugin import server\n"
        "print(server.VERSION, [m for m in ('boto3', 'pulumi.resource', 'yaml') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "7.51.1 []"
