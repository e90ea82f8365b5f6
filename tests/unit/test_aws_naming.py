"""Physical names: deterministic, valid where they are used, and never those of another stack."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from components.aws.naming import STEM_LONGEST, Names, digest, stem

ACCOUNT, REGION = "123456789012", "eu-central-1"
words = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True)
hyphened = st.lists(words, min_size=1, max_size=5).map("-".join)
anything = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
roles = st.lists(words, min_size=1, max_size=4).map("-".join)


def names(project: str, stack: str, region: str = REGION) -> Names:
    return Names(stem(project, stack), ACCOUNT, region)


def test_a_plain_stack_s_names_say_project_stack_and_role() -> None:
    prod = names("slipway", "prod")
    assert prod.name("cluster") == "slipway-prod-cluster"
    assert prod.bucket("artifacts") == "slipway-prod-artifacts-123456789012-eu-central-1"


def test_a_stack_with_a_hyphen_cannot_have_the_names_of_another() -> None:
    """Without a digest `gpu`'s role `pr42-logs` and `gpu-pr42`'s role `logs` would be one name."""
    assert names("slipway", "gpu").name("pr42-logs") == "slipway-gpu-pr42-logs"
    assert names("slipway", "gpu-pr42").name("logs") != "slipway-gpu-pr42-logs"
    assert names("slipway", "gpu-pr42").name("logs").startswith("slipway-gpu-pr42-")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("slipway", "a-b"), ("slipway-a", "b")),
        (("slipway", "Prod"), ("slipway", "prod")),
        (("slipway", "a.b"), ("slipway", "a-b")),
        (("slipway", "a_b"), ("slipway", "a.b")),
        (("slipway", "x" * 40 + "1"), ("slipway", "x" * 40 + "2")),
    ],
)
def test_what_looks_alike_once_it_is_cleaned_is_told_apart(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert stem(*one) != stem(*other)


@given(hyphened, hyphened, roles, hyphened, hyphened, roles)
def test_two_stacks_never_share_a_name(
    project: str, stack: str, role: str, project2: str, stack2: str, role2: str
) -> None:
    assume((project, stack) != (project2, stack2))
    one, other = names(project, stack), names(project2, stack2)
    assert one.stem != other.stem
    assert one.name(role) != other.name(role2)
    assert one.bucket(role) != other.bucket(role2)


@given(words, words, roles, roles, st.integers(40, 63))
def test_two_roles_of_a_stack_never_share_a_name(project: str, stack: str, role: str, role2: str, longest: int) -> None:
    assume(role != role2)
    own = names(project, stack)
    assert own.name(role, longest) != own.name(role2, longest)


@given(anything, anything, anything, st.integers(STEM_LONGEST + 8, 63))
def test_every_name_is_valid_and_short_enough(project: str, stack: str, role: str, longest: int) -> None:
    own = names(project, stack)
    for name in (own.stem, own.name(role, longest), own.bucket(role)):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name), name
        assert "--" not in name, "RDS takes no two hyphens in a row"
    assert len(own.stem) <= STEM_LONGEST
    assert len(own.name(role, longest)) <= longest
    assert len(own.bucket(role)) <= 63
    assert own.name(role, longest).startswith(f"{own.stem}-"), "keys and roles name a stack's things by this prefix"


@pytest.mark.parametrize("stack", ["production", "productionofthenorthernregion"])
def test_a_stem_leaves_room_for_a_role_however_long_its_words_are(stack: str) -> None:
    """A load balancer's name has 32 characters."""
    own = names("slipway", stack)
    assert len(own.stem) <= STEM_LONGEST
    assert len(own.name("serving", 32)) <= 32
    assert own.name("serving", 32).startswith(own.stem)


def test_a_name_begins_with_a_letter_whatever_the_project_is_called() -> None:
    """RDS and CloudFormation's heirs refuse a digit at the front."""
    assert re.match(r"[a-z]", stem("3d-models", "prod"))
    assert re.match(r"[a-z]", stem("_", "prod"))


def test_a_bucket_s_name_fits_with_the_longest_region() -> None:
    own = Names(stem("machine-learning-platform", "prod"), ACCOUNT, "ap-southeast-2")
    name = own.bucket("artifacts-of-a-long-role")
    assert len(name) <= 63
    assert name.endswith("-123456789012-ap-southeast-2"), "another account or region must never have it"


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-central-1", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn"), ("us-east-1", "aws")],
)
def test_arns_lie_in_the_region_s_partition(region: str, partition: str) -> None:
    own = names("slipway", "prod", region)
    assert own.arn("kms", "key/1") == f"arn:{partition}:kms:{region}:{ACCOUNT}:key/1"
    assert own.managed_policy("AmazonEKSClusterPolicy") == f"arn:{partition}:iam::aws:policy/AmazonEKSClusterPolicy"


def test_global_services_have_no_region_and_buckets_no_account() -> None:
    own = names("slipway", "prod")
    assert own.arn("iam", "role/x") == f"arn:aws:iam::{ACCOUNT}:role/x"
    assert own.arn("budgets", "*") == f"arn:aws:budgets::{ACCOUNT}:*"
    assert own.arn("s3", "bucket") == "arn:aws:s3:::bucket"


def test_a_digest_changes_with_the_text_only() -> None:
    assert digest("a") == digest("a") != digest("b")
    assert len(digest("a", 12)) == 12
