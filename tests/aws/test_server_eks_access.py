"""EKS on the AWS test server: add-ons, who may enter a cluster, who pods are, tags and lists."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.aws.account import Account, refused, until

ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
VIEW = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"


def test_an_addon_that_needs_nodes_is_degraded_until_there_are_some(account: Account) -> None:
    account.cluster()
    account.addon("vpc-cni")

    lonely = account.addon("coredns")
    account.group("system", scalingConfig={"minSize": 1, "maxSize": 1, "desiredSize": 1})
    found = until(lambda: account.addon_now("coredns"), lambda addon: addon["status"] == "ACTIVE")

    assert lonely["status"] == "DEGRADED"
    assert lonely["health"]["issues"][0]["code"] == "InsufficientNumberOfReplicas"
    assert found["health"]["issues"] == []


def test_addons_are_known_by_name_version_and_values(account: Account) -> None:
    account.cluster()
    cases: dict[str, dict[str, Any]] = {
        "not found": {"addonName": "vpc-cnii"},
        "version is not supported": {"addonName": "vpc-cni", "addonVersion": "v9.0.0-eksbuild.1"},
        "no JSON": {"addonName": "vpc-cni", "configurationValues": "{"},
        "must be str": {"addonName": "vpc-cni", "configurationValues": '{"enableNetworkPolicy": true}'},
        "none of OVERWRITE": {"addonName": "vpc-cni", "resolveConflicts": "IGNORE"},
    }
    for message, given in cases.items():
        found = refused(
            "InvalidParameterException", partial(account.eks.create_addon, clusterName=account.name, **given)
        )
        assert message in found
    values = '{"enableNetworkPolicy": "true"}'
    made = account.addon("vpc-cni", configurationValues=values)
    refused("ResourceInUseException", lambda: account.addon("vpc-cni"))
    update = account.eks.update_addon(clusterName=account.name, addonName="vpc-cni", configurationValues="{}")["update"]
    until(lambda: account.update(update["id"], addonName="vpc-cni"), lambda found: found["status"] == "Successful")

    versions = account.eks.describe_addon_versions(addonName="vpc-cni", kubernetesVersion="1.35")["addons"][0]
    assert made["configurationValues"] == values
    assert account.addon_now("vpc-cni")["configurationValues"] == "{}"
    assert made["addonVersion"] in [entry["addonVersion"] for entry in versions["addonVersions"]]
    account.eks.delete_addon(clusterName=account.name, addonName="vpc-cni")
    until(lambda: account.eks.list_addons(clusterName=account.name)["addons"], lambda names: names == [])
    refused("ResourceNotFoundException", lambda: account.addon_now("vpc-cni"))


def test_access_entries_are_of_principals_that_exist_and_groups_that_are_not_reserved(account: Account) -> None:
    account.cluster()
    role = account.role("people", "ec2.amazonaws.com")

    def entry(**given: Any) -> dict[str, object]:
        made = account.eks.create_access_entry(clusterName=account.name, **given)["accessEntry"]
        return dict(made)

    refused("InvalidParameterException", lambda: entry(principalArn=f"{role}x"))
    refused("InvalidParameterException", lambda: entry(principalArn=role, kubernetesGroups=["system:masters"]))
    refused("InvalidParameterException", lambda: entry(principalArn=role, type="ROOT"))
    made = entry(principalArn=role, kubernetesGroups=["slipway:preview"])
    refused("ResourceInUseException", lambda: entry(principalArn=role))
    account.eks.update_access_entry(clusterName=account.name, principalArn=role, kubernetesGroups=["others"])
    found = account.eks.describe_access_entry(clusterName=account.name, principalArn=role)["accessEntry"]

    assert made["kubernetesGroups"] == ["slipway:preview"]
    assert found["kubernetesGroups"] == ["others"]
    assert account.eks.list_access_entries(clusterName=account.name)["accessEntries"] == [role]
    account.eks.delete_access_entry(clusterName=account.name, principalArn=role)
    refused(
        "ResourceNotFoundException",
        lambda: account.eks.describe_access_entry(clusterName=account.name, principalArn=role),
    )


def test_access_policies_are_associated_with_entries_and_have_a_scope(account: Account) -> None:
    account.cluster()
    role = account.role("people", "ec2.amazonaws.com")
    named = {"clusterName": account.name, "principalArn": role}
    everywhere = {"type": "cluster"}

    def associate(policy: str, **scope: object) -> object:
        return account.eks.associate_access_policy(**named, policyArn=policy, accessScope=scope)

    refused("ResourceNotFoundException", lambda: associate(ADMIN, **everywhere))
    account.eks.create_access_entry(**named)
    refused("InvalidParameterException", lambda: associate(f"{ADMIN}2", **everywhere))
    refused("InvalidParameterException", lambda: associate(VIEW, type="namespace"))
    refused("InvalidParameterException", lambda: associate(VIEW, type="planet"))
    associate(ADMIN, **everywhere)
    associate(VIEW, type="namespace", namespaces=["one"])
    found = account.eks.list_associated_access_policies(**named)["associatedAccessPolicies"]
    account.eks.disassociate_access_policy(**named, policyArn=VIEW)
    refused("ResourceNotFoundException", lambda: account.eks.disassociate_access_policy(**named, policyArn=VIEW))

    assert {entry["policyArn"]: entry["accessScope"] for entry in found} == {
        ADMIN: {"type": "cluster", "namespaces": []},
        VIEW: {"type": "namespace", "namespaces": ["one"]},
    }
    assert [
        entry["policyArn"] for entry in account.eks.list_associated_access_policies(**named)["associatedAccessPolicies"]
    ] == [ADMIN]


def test_a_service_account_has_one_role_that_pod_identity_may_take(account: Account) -> None:
    account.cluster()
    both = ("sts:AssumeRole", "sts:TagSession")
    good = account.role("good", "pods.eks.amazonaws.com", actions=both)
    half = account.role("half", "pods.eks.amazonaws.com")
    where = {"clusterName": account.name, "namespace": "n", "serviceAccount": "s"}

    def associate(role: str) -> str:
        made = account.eks.create_pod_identity_association(**where, roleArn=role)["association"]
        return str(made["associationId"])

    assert "sts:TagSession" in refused("InvalidParameterException", lambda: associate(half))
    identity = associate(good)
    refused("ResourceInUseException", lambda: associate(good))
    named = {"clusterName": account.name, "associationId": identity}
    account.eks.update_pod_identity_association(**named, disableSessionTags=True)

    assert account.eks.describe_pod_identity_association(**named)["association"]["disableSessionTags"] is True
    assert len(account.eks.list_pod_identity_associations(clusterName=account.name, namespace="n")["associations"]) == 1
    account.eks.delete_pod_identity_association(**named)
    refused("ResourceNotFoundException", lambda: account.eks.describe_pod_identity_association(**named))


def test_a_pod_identity_that_belongs_to_an_addon_goes_with_it(account: Account) -> None:
    account.cluster()
    role = account.role("csi", "pods.eks.amazonaws.com", actions=("sts:AssumeRole", "sts:TagSession"))
    association = {"serviceAccount": "ebs-csi-controller-sa", "roleArn": role}

    account.addon("aws-ebs-csi-driver", podIdentityAssociations=[association])
    made = account.eks.list_pod_identity_associations(clusterName=account.name)["associations"][0]
    own = {"clusterName": account.name, "associationId": made["associationId"]}

    assert "belongs to" in refused(
        "InvalidRequestException", lambda: account.eks.delete_pod_identity_association(**own)
    )
    until(lambda: account.addon_now("aws-ebs-csi-driver"), lambda found: found["status"] == "DEGRADED")
    account.eks.delete_addon(clusterName=account.name, addonName="aws-ebs-csi-driver")
    until(lambda: account.eks.list_addons(clusterName=account.name)["addons"], lambda names: names == [])
    assert account.eks.list_pod_identity_associations(clusterName=account.name)["associations"] == []


def test_everything_of_a_cluster_can_be_tagged(account: Account) -> None:
    account.cluster()
    arns = [account.describe()["arn"], account.group()["nodegroupArn"], account.addon("vpc-cni")["addonArn"]]
    for arn in arns:
        account.eks.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
        account.eks.untag_resource(resourceArn=arn, tagKeys=["a"])
        assert account.eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    assert account.described()["tags"] == {"b": "2"}
    refused("NotFoundException", lambda: account.eks.list_tags_for_resource(resourceArn=f"{arns[0]}x"))


def test_without_the_policy_on_its_role_a_cluster_leaves_its_security_group_behind(account: Account) -> None:
    for keeps in (True, False):
        group = account.cluster()["resourcesVpcConfig"]["clusterSecurityGroupId"]
        if not keeps:
            account.iam.detach_role_policy(RoleName=account.control.rpartition("/")[2], PolicyArn=account.policy)
        account.delete()
        until(account.clusters, lambda names: account.name not in names)
        there = [entry["GroupId"] for entry in account.ec2.describe_security_groups()["SecurityGroups"]]
        assert (group in there) is not keeps


def test_lists_are_given_in_pages(account: Account) -> None:
    account.cluster()
    for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent"):
        account.addon(name)
    first = account.eks.list_addons(clusterName=account.name, maxResults=2)
    second = account.eks.list_addons(clusterName=account.name, maxResults=2, nextToken=first["nextToken"])
    assert [*first["addons"], *second["addons"]] == ["eks-pod-identity-agent", "kube-proxy", "vpc-cni"]
    assert "nextToken" not in second
