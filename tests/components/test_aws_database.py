"""The database: who reaches it, how, what nobody ever sees, and what a destroy leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pulumi import Output, ResourceOptions

from components.aws.database import Database, DatabaseArgs
from tests.components.aws_blocks import KEY, NAMES, ZONES, assert_well_formed, network, on_aws
from tests.mock_engine import Engine

LOG_KEY = "arn:aws:kms:eu-central-1:123456789012:key/logs"
INSTANCE = "aws:rds/instance:Instance"


def made(*, zones: int = 2, **changes: Any) -> Callable[[ResourceOptions], Database]:
    def make(opts: ResourceOptions) -> Database:
        args = DatabaseArgs(  # made in each run: its Outputs belong to the run's event loop
            names=NAMES,
            network=network(zones),
            clients=["sg-nodes"],
            key=KEY,
            deletion_protection=False,
            final_snapshot=False,
            log_key=LOG_KEY,
        )
        return Database("database", replace(args, **changes), opts)

    return make


@pytest.fixture(scope="module")
def database() -> Engine:
    return on_aws(made())


def test_a_database_is_the_same_in_a_preview_and_twice() -> None:
    assert_well_formed(made(final_snapshot=True))


def test_it_lies_in_private_subnets_and_has_no_public_address(database: Engine) -> None:
    instance = database.one(INSTANCE).inputs
    assert instance["publiclyAccessible"] is False
    assert instance["dbSubnetGroupName"] == "slipway-prod-database"
    subnets = database.one("aws:rds/subnetGroup:SubnetGroup").inputs
    assert (subnets["name"], subnets["subnetIds"]) == (
        "slipway-prod-database",
        [f"private-{zone}" for zone in ZONES[:2]],
    )


def test_only_its_clients_reach_it_and_only_on_its_port() -> None:
    engine = on_aws(made(clients=["sg-nodes", "sg-jobs"]))
    rules = [item.inputs for item in engine.all("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    assert {rule["referencedSecurityGroupId"] for rule in rules} == {"sg-nodes", "sg-jobs"}
    assert not any({"cidrIpv4", "cidrIpv6", "prefixListId"} & rule.keys() for rule in rules)
    assert {(rule["fromPort"], rule["toPort"], rule["ipProtocol"]) for rule in rules} == {(5432, 5432, "tcp")}
    assert {rule["securityGroupId"] for rule in rules} == {"database-group-id"}
    assert engine.one(INSTANCE).inputs["vpcSecurityGroupIds"] == ["database-group-id"]
    group = engine.one("aws:ec2/securityGroup:SecurityGroup").inputs
    assert not group.get("ingress")
    assert not group.get("egress"), "it calls nobody"
    assert not engine.all("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")


def test_a_connection_without_tls_is_refused_by_the_server(database: Engine) -> None:
    group = database.one("aws:rds/parameterGroup:ParameterGroup").inputs
    assert [(item["name"], item["value"]) for item in group["parameters"]] == [("rds.force_ssl", "1")]
    instance = database.one(INSTANCE).inputs
    assert instance["parameterGroupName"] == group["name"]
    assert group["family"] == f"postgres{instance['engineVersion']}"
    assert group["name"].endswith(f"-postgres{instance['engineVersion']}"), "the next version's comes before it goes"


def test_nobody_sees_the_password(database: Engine) -> None:
    instance = database.one(INSTANCE).inputs
    assert instance["manageMasterUserPassword"] is True
    assert instance["masterUserSecretKmsKeyId"] == KEY
    assert not {"password", "passwordWo"} & instance.keys()
    assert instance["iamDatabaseAuthenticationEnabled"] is False


def test_storage_insights_and_logs_are_encrypted(database: Engine) -> None:
    instance = database.one(INSTANCE).inputs
    assert (instance["storageEncrypted"], instance["kmsKeyId"]) == (True, KEY)
    assert (instance["performanceInsightsEnabled"], instance["performanceInsightsKmsKeyId"]) == (True, KEY)
    logs = {item.inputs["name"]: item.inputs for item in database.all("aws:cloudwatch/logGroup:LogGroup")}
    exported = {f"/aws/rds/instance/{instance['identifier']}/{log}" for log in instance["enabledCloudwatchLogsExports"]}
    assert logs.keys() == exported, "RDS would make the missing one itself, without an end"
    assert {(item["retentionInDays"], item["kmsKeyId"]) for item in logs.values()} == {(30, LOG_KEY)}
    assert {"database-log-postgresql", "database-log-upgrade"} <= set(database.one(INSTANCE).dependencies)


def test_it_is_backed_up_updated_and_its_tags_go_along(database: Engine) -> None:
    instance = database.one(INSTANCE).inputs
    assert instance["backupRetentionPeriod"] == 7
    assert instance["copyTagsToSnapshot"] is True
    assert instance["autoMinorVersionUpgrade"] is True
    assert (instance["allocatedStorage"], instance["maxAllocatedStorage"]) == (20, 100)
    assert instance["applyImmediately"] is True


def test_a_database_of_an_ephemeral_environment_goes_without_a_trace(database: Engine) -> None:
    item = database.one(INSTANCE)
    assert (item.inputs["skipFinalSnapshot"], item.inputs["deletionProtection"], item.protect) == (True, False, False)
    assert "finalSnapshotIdentifier" not in item.inputs


def test_a_protected_database_stops_a_destroy_before_it_begins() -> None:
    item = on_aws(made(deletion_protection=True)).one(INSTANCE)
    assert (item.inputs["deletionProtection"], item.protect) == (True, True)


def snapshot(key: str) -> str:
    item = on_aws(made(final_snapshot=True, key=key)).one(INSTANCE).inputs
    assert item["skipFinalSnapshot"] is False
    found: str = item["finalSnapshotIdentifier"]
    return found


def test_the_last_snapshot_of_one_environment_is_not_in_the_way_of_the_next_one_s() -> None:
    """RDS refuses a name that is taken, which would leave a destroy half done."""
    assert snapshot(KEY).startswith("slipway-prod-tracking-final-")
    assert snapshot(KEY) != snapshot(f"{KEY}-of-the-next-environment")


def test_what_has_a_fixed_name_is_deleted_before_its_successor_comes(database: Engine) -> None:
    assert database.one(INSTANCE).delete_first, "two instances cannot have one identifier"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clients": []}, "clients is empty: nobody could connect"),
        ({"zones": 1}, "private subnets lie in 1 zone: RDS wants subnets in at least two"),
        ({"storage_gib": 100}, "max_storage_gib 100 with storage_gib 100.*set it to at least 110"),
        ({"storage_gib": 21, "max_storage_gib": 23}, "set it to at least 24"),
        ({"clients": [], "zones": 1}, "clients is empty.*1 zone"),
    ],
)
def test_what_rds_would_refuse_is_refused_with_its_fix(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        on_aws(made(**change))


def test_growth_by_exactly_a_tenth_is_let_through() -> None:
    assert on_aws(made(storage_gib=100, max_storage_gib=110)).one(INSTANCE)


def test_the_tracking_server_learns_where_it_is_and_who_keeps_its_password() -> None:
    seen: dict[str, Any] = {}

    def make(opts: ResourceOptions) -> None:
        found = made()(opts)
        seen["database"], seen["ready"] = found.database, {resource._name for resource in found.ready}
        Output.all(found.address, found.port, found.master_secret_arn).apply(lambda both: seen.update(there=both))

    on_aws(make)
    assert seen["there"] == ["database-instance.example", 5432, "arn:secret:database-instance"]
    assert seen["database"] == "mlflow"
    assert seen["ready"] == {"database-instance", "database-client-0"}, "without the rule nobody gets through"
