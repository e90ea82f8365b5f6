"""RDS: a database, where it lives and how it is set up."""

from __future__ import annotations

from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Tagging, Work, first
from tests.standins.aws_plugin.tagging import by_arn, from_pairs

_SOURCE = "internal/service/rds/"
_MANAGED = "Managed by Pulumi"


def _tags(arn: str) -> Tagging:
    return by_arn(
        lambda work: str(work.old["arn"]),
        given="Tags",
        resource="ResourceName",
        tags="Tags",
        keys="TagKeys",
        listed=lambda work, found: from_pairs(
            work.call("list_tags_for_resource", ResourceName=found[arn]).get("TagList")
        ),
        calls=("add_tags_to_resource", "remove_tags_from_resource"),
    )


_INSTANCE = {
    "identifier": F(api="DBInstanceIdentifier", required=True),
    "instanceClass": F(api="DBInstanceClass", required=True),
    "engine": F(new=True, computed=True),
    "engineVersion": F(computed=True),
    "autoMinorVersionUpgrade": F(default=True),
    "allocatedStorage": F(computed=True),
    "maxAllocatedStorage": F(),
    "storageType": F(computed=True),
    "storageEncrypted": F(new=True),
    "kmsKeyId": F(new=True, computed=True),
    "multiAz": F(api="MultiAZ", computed=True),
    "dbName": F(api="DBName", new=True, computed=True),
    "port": F(api="Port", computed=True),
    "username": F(api="MasterUsername", new=True, computed=True),
    "manageMasterUserPassword": F(once=True),
    "masterUserSecretKmsKeyId": F(once=True, computed=True),
    "iamDatabaseAuthenticationEnabled": F(api="EnableIAMDatabaseAuthentication"),
    "dbSubnetGroupName": F(api="DBSubnetGroupName", computed=True),
    "vpcSecurityGroupIds": F(computed=True, unordered=True),
    "publiclyAccessible": F(default=False),
    "parameterGroupName": F(api="DBParameterGroupName", computed=True),
    "caCertIdentifier": F(api="CACertificateIdentifier", computed=True),
    "backupRetentionPeriod": F(computed=True),
    "backupWindow": F(api="PreferredBackupWindow", computed=True),
    "maintenanceWindow": F(api="PreferredMaintenanceWindow", computed=True),
    "copyTagsToSnapshot": F(default=False),
    "enabledCloudwatchLogsExports": F(api="EnableCloudwatchLogsExports", unordered=True),
    "performanceInsightsEnabled": F(api="EnablePerformanceInsights", default=False),
    "performanceInsightsKmsKeyId": F(api="PerformanceInsightsKMSKeyId", computed=True),
    "performanceInsightsRetentionPeriod": F(computed=True),
    "deletionProtection": F(),
    "deleteAutomatedBackups": F(default=True, local=True),
    "applyImmediately": F(computed=True, local=True),
    "skipFinalSnapshot": F(default=False, local=True),
    "finalSnapshotIdentifier": F(local=True),
}


def _identifier(work: Work) -> str:
    """Return what RDS calls the instance now: the id is another thing, and its name may be about to change."""
    return str(work.old.get("identifier") or work.new["identifier"])


def _told(work: Work) -> Values | None:
    name = _identifier(work)
    found: Values | None = first(work.call("describe_db_instances", DBInstanceIdentifier=name)["DBInstances"])
    return found


def _read_instance(work: Work) -> Values | None:
    found = _told(work)
    if found is None:
        return None
    groups = found.get("DBParameterGroups") or [{}]
    wanted, actual = str(work.value("engineVersion") or ""), str(found.get("EngineVersion"))
    return {
        **found,
        # "17" is any version of it (compareActualEngineVersion)
        "EngineVersion": wanted if wanted and actual.startswith(f"{wanted}.") else actual,
        "EngineVersionActual": actual,
        "Port": found.get("Endpoint", {}).get("Port") or found.get("DbInstancePort"),
        "DBSubnetGroupName": (found.get("DBSubnetGroup") or {}).get("DBSubnetGroupName"),
        "VpcSecurityGroupIds": [one["VpcSecurityGroupId"] for one in found.get("VpcSecurityGroups", [])],
        "DBParameterGroupName": groups[0].get("DBParameterGroupName"),
        "EnableIAMDatabaseAuthentication": found.get("IAMDatabaseAuthenticationEnabled"),
        "EnableCloudwatchLogsExports": found.get("EnabledCloudwatchLogsExports"),
        "EnablePerformanceInsights": found.get("PerformanceInsightsEnabled"),
        "MasterUserSecrets": _secrets(found.get("MasterUserSecret")),
    }


def _secrets(found: Values | None) -> list[Values]:
    """Return where RDS keeps the password that it made."""
    if found is None:
        return []
    return [{name[:1].lower() + name[1:]: value for name, value in found.items()}]


def _update_instance(work: Work) -> None:
    changed = [name for name in _INSTANCE if work.touched(name) and not _INSTANCE[name].local]
    params = work.params(*changed)
    if "Port" in params:
        params["DBPortNumber"] = params.pop("Port")
    if work.touched("enabledCloudwatchLogsExports"):
        params.pop("EnableCloudwatchLogsExports", None)
        before, after = (set(side.get("enabledCloudwatchLogsExports") or ()) for side in (work.old, work.new))
        exports = {"EnableLogTypes": sorted(after - before), "DisableLogTypes": sorted(before - after)}
        params["CloudwatchLogsExportConfiguration"] = {key: value for key, value in exports.items() if value}
    if work.touched("identifier"):
        params["NewDBInstanceIdentifier"] = params.pop("DBInstanceIdentifier")
    if not params:
        return
    at_once = bool(work.new.get("applyImmediately"))
    work.call("modify_db_instance", DBInstanceIdentifier=_identifier(work), ApplyImmediately=at_once, **params)


def _delete_instance(work: Work) -> None:
    skip = bool(work.old.get("skipFinalSnapshot"))
    snapshot = {} if skip else {"FinalDBSnapshotIdentifier": work.old.get("finalSnapshotIdentifier")}
    work.call(
        "delete_db_instance",
        DBInstanceIdentifier=_identifier(work),
        SkipFinalSnapshot=skip,
        DeleteAutomatedBackups=bool(work.old.get("deleteAutomatedBackups", True)),
        **snapshot,
    )
    work.until_gone(lambda: _told(work))


INSTANCE = Row(
    token="aws:rds/instance:Instance",
    service="rds",
    source=_SOURCE + "instance.go",
    fields=_INSTANCE,
    computed={
        "arn": "DBInstanceArn",
        "address": "Endpoint.Address",
        "endpoint": lambda _, found: "{Address}:{Port}".format(**found["Endpoint"]) if found.get("Endpoint") else None,
        "hostedZoneId": "Endpoint.HostedZoneId",
        "resourceId": "DbiResourceId",
        "status": "DBInstanceStatus",
        "engineVersionActual": "EngineVersionActual",
        "masterUserSecrets": "MasterUserSecrets",
    },
    create=lambda work: str(
        work.call("create_db_instance", **work.all_but(), **work.tags)["DBInstance"]["DbiResourceId"]
    ),
    wait=lambda work: work.until(
        lambda: str((_told(work) or {}).get("DBInstanceStatus")),
        ("available", "storage-optimization"),
        ("failed", "incompatible-parameters", "incompatible-network", "storage-full"),
    ),
    read=_read_instance,
    update=_update_instance,
    delete=_delete_instance,
    tagging=_tags("DBInstanceArn"),
    name_field="identifier",
    names_itself=False,
)


def _read_subnets(work: Work) -> Values | None:
    found = first(work.call("describe_db_subnet_groups", DBSubnetGroupName=work.id)["DBSubnetGroups"])
    return found and {**found, "SubnetIds": [one["SubnetIdentifier"] for one in found["Subnets"]]}


SUBNET_GROUP = Row(
    token="aws:rds/subnetGroup:SubnetGroup",
    service="rds",
    source=_SOURCE + "subnet_group.go",
    fields={
        "name": F(api="DBSubnetGroupName", new=True),
        "description": F(api="DBSubnetGroupDescription", default=_MANAGED),
        "subnetIds": F(required=True, unordered=True),
    },
    computed={"arn": "DBSubnetGroupArn", "vpcId": "VpcId"},
    create=lambda work: str(
        work.call("create_db_subnet_group", **work.all_but(), **work.tags)["DBSubnetGroup"]["DBSubnetGroupName"]
    ),
    read=_read_subnets,
    update=lambda work: work.call("modify_db_subnet_group", **work.all_but()),
    delete=lambda work: work.call("delete_db_subnet_group", DBSubnetGroupName=work.id),
    tagging=_tags("DBSubnetGroupArn"),
    name_field="name",
)


def _create_parameters(work: Work) -> str:
    made = work.call("create_db_parameter_group", **work.params("name", "family", "description"), **work.tags)
    work.id = str(made["DBParameterGroup"]["DBParameterGroupName"])
    if work.new.get("parameters"):
        work.call("modify_db_parameter_group", DBParameterGroupName=work.id, **work.params("parameters"))
    return work.id


def _update_parameters(work: Work) -> None:
    wanted = {one["name"] for one in work.new.get("parameters") or ()}
    gone = [one for one in work.old.get("parameters") or () if one["name"] not in wanted]
    if gone:
        reset = [{"ParameterName": one["name"], "ApplyMethod": one["applyMethod"]} for one in gone]
        work.call("reset_db_parameter_group", DBParameterGroupName=work.id, Parameters=reset)
    if work.touched("parameters") and wanted:
        work.call("modify_db_parameter_group", DBParameterGroupName=work.id, **work.params("parameters"))


def _read_parameters(work: Work) -> Values | None:
    found = first(work.call("describe_db_parameter_groups", DBParameterGroupName=work.id)["DBParameterGroups"])
    if found is None:
        return None
    parameters: list[Values] = []
    marker: Values = {}
    while True:
        page = work.call("describe_db_parameters", DBParameterGroupName=work.id, Source="user", **marker)
        parameters += page["Parameters"]
        if not page.get("Marker"):
            return {**found, "Parameters": parameters}
        marker = {"Marker": page["Marker"]}


PARAMETER_GROUP = Row(
    token="aws:rds/parameterGroup:ParameterGroup",
    service="rds",
    source=_SOURCE + "parameter_group.go",
    fields={
        "name": F(api="DBParameterGroupName", new=True),
        "family": F(api="DBParameterGroupFamily", new=True, required=True),
        "description": F(new=True, default=_MANAGED),
        "parameters": F(
            many=True,
            unordered=True,
            sub={
                "name": F(api="ParameterName", required=True),
                "value": F(api="ParameterValue", required=True),
                "applyMethod": F(default="immediate"),
            },
        ),
    },
    computed={"arn": "DBParameterGroupArn"},
    create=_create_parameters,
    read=_read_parameters,
    update=_update_parameters,
    delete=lambda work: work.call("delete_db_parameter_group", DBParameterGroupName=work.id),
    tagging=_tags("DBParameterGroupArn"),
    name_field="name",
)

ROWS = (INSTANCE, SUBNET_GROUP, PARAMETER_GROUP)
