"""EKS on the AWS test server: clusters and node groups answer as AWS does where moto does not, refusals included."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.aws.account import Account, refused, until
from tests.aws.conftest import SETTLE_S


def test_a_cluster_is_on_its_way_for_a_while_and_says_all_that_it_was_asked_for(account: Account) -> None:
    key = account.server.client("kms").create_key()["KeyMetadata"]["Arn"]
    encryption = [{"resources": ["secrets"], "provider": {"keyArn": key}}]
    asked: dict[str, Any] = {
        "encryptionConfig": encryption,
        "upgradePolicy": {"supportType": "STANDARD"},
        "deletionProtection": True,
        "logging": {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]},
        "tags": {"owner": "us"},
    }

    first = account.create(**asked)
    found = account.active()

    assert first["status"] == "CREATING"
    assert found["accessConfig"] == {"authenticationMode": "API"}
    assert {key: found[key] for key in ("encryptionConfig", "upgradePolicy", "deletionProtection", "tags")} == {
        key: asked[key] for key in ("encryptionConfig", "upgradePolicy", "deletionProtection", "tags")
    }
    assert found["logging"]["clusterLogging"][0] == {"types": ["api", "audit"], "enabled": True}
    assert found["resourcesVpcConfig"]["vpcId"] == account.vpc
    group = found["resourcesVpcConfig"]["clusterSecurityGroupId"]
    assert account.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["VpcId"] == account.vpc
    assert found["endpoint"].endswith(".eks.amazonaws.com")


def test_what_is_under_way_is_let_go_when_a_test_says_so(account: Account) -> None:
    account.server.settles_in(600)
    try:
        account.create()
        assert account.describe()["status"] == "CREATING"
    finally:
        account.server.settles_in(SETTLE_S)
    assert account.active()["status"] == "ACTIVE"


def test_deletion_protection_is_taken_off_before_a_cluster_can_be_deleted(account: Account) -> None:
    account.cluster(deletionProtection=True)

    refused("InvalidRequestException", account.delete)
    update = account.eks.update_cluster_config(name=account.name, deletionProtection=False)["update"]
    until(lambda: account.update(update["id"]), lambda found: found["status"] == "Successful")
    account.delete()

    until(account.clusters, lambda names: account.name not in names)
    refused("ResourceNotFoundException", account.describe)


def test_a_control_plane_stays_in_the_zones_that_it_was_made_in(account: Account) -> None:
    account.cluster()
    third = [*account.subnets, account.subnet("10.0.7.0/24", "us-east-1c")]

    def move(subnets: list[str]) -> None:
        account.eks.update_cluster_config(name=account.name, resourcesVpcConfig={"subnetIds": subnets})

    assert "exact set of AZs" in refused("InvalidParameterException", lambda: move(third))
    move([account.subnets[0], account.subnet("10.0.8.0/24", "us-east-1b")])


def test_a_cluster_is_refused_for_what_it_stands_on(account: Account) -> None:
    same_zone = [account.subnets[0], account.subnet("10.0.9.0/24", "us-east-1a")]
    cases: dict[str, dict[str, Any]] = {
        "two different AZs": {"resourcesVpcConfig": {"subnetIds": same_zone}},
        "do not exist": {"resourcesVpcConfig": {"subnetIds": ["subnet-0123456789abcdef0"]}},
        "could not be assumed": {"roleArn": account.nodes},
        "unsupported Kubernetes version": {"version": "1.29"},
        "cannot both be disabled": {
            "resourcesVpcConfig": {
                "subnetIds": account.subnets,
                "endpointPublicAccess": False,
                "endpointPrivateAccess": False,
            }
        },
        "must be [secrets]": {
            "encryptionConfig": [{"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:none"}}]
        },
        "is none of API": {"accessConfig": {"authenticationMode": "PASSWORD"}},
        "'disk' is none of api": {"logging": {"clusterLogging": [{"types": ["disk"], "enabled": True}]}},
    }
    for message, given in cases.items():
        assert message in refused("InvalidParameterException", partial(account.create, **given))
    assert account.name not in account.clusters()
    account.cluster()
    refused("ResourceInUseException", account.create)


def test_the_cluster_takes_one_kind_of_change_a_call_and_one_call_at_a_time(account: Account) -> None:
    account.cluster()
    logging = {"clusterLogging": [{"types": ["api"], "enabled": True}]}
    public = {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]}

    both = refused(
        "InvalidParameterException",
        lambda: account.eks.update_cluster_config(name=account.name, logging=logging, resourcesVpcConfig=public),
    )
    update = account.eks.update_cluster_config(name=account.name, resourcesVpcConfig=public)["update"]
    refused("ResourceInUseException", lambda: account.eks.update_cluster_config(name=account.name, logging=logging))
    until(lambda: account.update(update["id"]), lambda found: found["status"] == "Successful")
    nothing = refused(
        "InvalidParameterException",
        lambda: account.eks.update_cluster_config(name=account.name, resourcesVpcConfig=public),
    )

    assert "one kind of change" in both
    assert update["type"] == "VpcConfigUpdate"
    assert {"type": "EndpointPublicAccess", "value": "True"} in update["params"]
    assert "No changes needed" in nothing
    assert account.describe()["resourcesVpcConfig"]["publicAccessCidrs"] == ["203.0.113.0/24"]
    assert account.eks.list_updates(name=account.name)["updateIds"] == [update["id"]]
    refused("ResourceNotFoundException", lambda: account.update("no-such-update"))


def test_kubernetes_goes_up_one_minor_version_at_a_time_and_never_down(account: Account) -> None:
    account.cluster(version="1.34")

    for version in ("1.36", "1.33"):
        refused(
            "InvalidParameterException",
            partial(account.eks.update_cluster_version, name=account.name, version=version),
        )
    update = account.eks.update_cluster_version(name=account.name, version="1.35")["update"]
    until(lambda: account.update(update["id"]), lambda found: found["status"] == "Successful")

    assert account.describe()["version"] == "1.35"


def test_the_authentication_mode_only_moves_towards_the_api(account: Account) -> None:
    account.cluster(accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})

    def to(mode: str) -> str:
        made = account.eks.update_cluster_config(name=account.name, accessConfig={"authenticationMode": mode})
        return str(made["update"]["id"])

    refused("InvalidParameterException", lambda: to("CONFIG_MAP"))
    update = to("API")
    until(lambda: account.update(update), lambda found: found["status"] == "Successful")
    assert account.describe()["accessConfig"]["authenticationMode"] == "API"


def test_a_node_group_has_an_auto_scaling_group_that_follows_its_size(account: Account) -> None:
    account.cluster()
    taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}
    asked: dict[str, Any] = {
        "taints": [taint],
        "labels": {"slipway/pool": "gpu"},
        "updateConfig": {"maxUnavailablePercentage": 50, "updateStrategy": "MINIMAL"},
        "nodeRepairConfig": {"enabled": True},
        "capacityType": "SPOT",
        "tags": {"owner": "us"},
    }

    found = account.group(**asked)
    name = found["resources"]["autoScalingGroups"][0]["name"]
    account.eks.update_nodegroup_config(
        clusterName=account.name,
        nodegroupName="gpu",
        scalingConfig={"maxSize": 7},
        labels={"addOrUpdateLabels": {"tier": "x"}, "removeLabels": ["slipway/pool"]},
        taints={"removeTaints": [taint]},
    )
    updated = account.settled(account.described)
    scaling = account.server.client("autoscaling")
    group = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
    scaling.create_or_update_tags(
        Tags=[
            {
                "ResourceId": name,
                "ResourceType": "auto-scaling-group",
                "Key": "k",
                "Value": "v",
                "PropagateAtLaunch": True,
            }
        ]
    )

    assert found["version"] == "1.35"
    assert {key: found[key] for key in asked} == asked
    assert (updated["labels"], updated["taints"], updated["scalingConfig"]["maxSize"]) == ({"tier": "x"}, [], 7)
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (0, 7, 0)
    tags = {
        tag["Key"] for tag in scaling.describe_tags(Filters=[{"Name": "auto-scaling-group", "Values": [name]}])["Tags"]
    }
    assert {"k", f"k8s.io/cluster-autoscaler/{account.name}", "eks:nodegroup-name"} <= tags
    account.eks.delete_nodegroup(clusterName=account.name, nodegroupName="gpu")
    until(account.groups, lambda names: not names)
    assert not scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]


def test_a_node_group_is_refused_for_what_ec2_cannot_start(account: Account) -> None:
    account.cluster()
    template = account.template(InstanceType="g6.xlarge")
    other = account.ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    outside = account.ec2.create_subnet(VpcId=other, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    cases: dict[str, dict[str, Any]] = {
        "has no GPU": {"instanceTypes": ["m7i.xlarge"]},
        "do not exist": {"instanceTypes": ["g99.xlarge"]},
        "not of the architecture": {"instanceTypes": ["m7g.xlarge"], "amiType": "AL2023_x86_64_STANDARD"},
        "does not exist in the cluster's VPC".replace("does", "do"): {"subnets": [outside]},
        "EC2 cannot assume it": {"nodeRole": account.control},
        "between minimum": {"scalingConfig": {"minSize": 3, "maxSize": 2, "desiredSize": 2}},
        "is not supported with cluster version": {"version": "1.36"},
        "names the reservation": {"capacityType": "CAPACITY_BLOCK"},
        "none of ON_DEMAND": {"capacityType": "LEASED"},
    }
    for message, given in cases.items():
        assert message in refused("InvalidParameterException", partial(account.group, **given))
    both = refused("InvalidRequestException", lambda: account.group(launchTemplate={"id": template, "version": "1"}))
    assert "both" in both
    assert not account.groups()
    account.group(launchTemplate={"id": template, "version": "1"}, instanceTypes=[])


def test_new_nodes_are_made_of_the_new_version_of_the_same_launch_template(account: Account) -> None:
    account.cluster()
    template, other = account.template(), account.template()
    account.group(launchTemplate={"id": template, "version": "1"})
    account.ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"MetadataOptions": {"HttpTokens": "required"}}
    )

    def to(identity: str, version: str) -> str:
        made = account.eks.update_nodegroup_version(
            clusterName=account.name, nodegroupName="gpu", launchTemplate={"id": identity, "version": version}
        )
        return str(made["update"]["id"])

    refused("InvalidRequestException", lambda: to(other, "1"))
    refused("InvalidRequestException", lambda: to(template, "9"))
    update = to(template, "2")
    found = until(lambda: account.update(update, nodegroupName="gpu"), lambda found: found["status"] == "Successful")

    assert found["type"] == "VersionUpdate"
    assert account.described()["launchTemplate"]["version"] == "2"
    refused("ResourceNotFoundException", lambda: account.update(update))  # it is the node group's, not the cluster's


def test_nodes_join_only_where_there_is_a_network(account: Account) -> None:
    account.cluster()
    system: dict[str, Any] = {"instanceTypes": ["m7i.large"], "amiType": "AL2023_x86_64_STANDARD"}
    one = {"minSize": 1, "maxSize": 1, "desiredSize": 1}

    failed = account.group("before", scalingConfig=one, **system)
    account.addon("vpc-cni")
    joined = account.group("after", scalingConfig=one, **system)

    assert failed["status"] == "CREATE_FAILED"
    assert failed["health"]["issues"][0]["code"] == "NodeCreationFailure"
    assert joined["status"] == "ACTIVE"
    refused("ResourceInUseException", account.delete)
