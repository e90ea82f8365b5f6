"""The controls of what every test of an AWS building block relies on: each check fails where it should."""

from __future__ import annotations

from collections.abc import Callable

import pulumi_aws as aws
import pytest
from pulumi import ComponentResource, ResourceOptions

from tests.aws_inputs import UnknownPropertyError
from tests.components.aws_blocks import assert_well_formed, on_aws


class Block(ComponentResource):
    def __init__(self, make: Callable[[ResourceOptions], object], opts: ResourceOptions) -> None:
        super().__init__("slipway:aws:Block", "block", None, opts)
        make(ResourceOptions(parent=self))
        self.register_outputs({})


def block(make: Callable[[ResourceOptions], object]) -> Callable[[ResourceOptions], object]:
    return lambda opts: Block(make, opts)


def good(opts: ResourceOptions) -> None:
    aws.sns.Topic("block-topic", opts=opts)


def test_a_sound_block_passes() -> None:
    assert assert_well_formed(block(good)).one("aws:sns/topic:Topic").inputs == {}


def test_a_resource_made_in_an_apply_is_found() -> None:
    def late(opts: ResourceOptions) -> None:
        topic = aws.sns.Topic("block-topic", opts=opts)
        topic.arn.apply(lambda arn: aws.sns.TopicPolicy("block-late", arn=arn, policy="{}", opts=opts))

    with pytest.raises(AssertionError, match="a preview shows other resources"):
        assert_well_formed(block(late))


def test_a_value_that_differs_from_run_to_run_is_found() -> None:
    runs = iter("abc")

    def chance(opts: ResourceOptions) -> None:
        aws.sns.Topic("block-topic", name=next(runs), opts=opts)

    with pytest.raises(AssertionError, match="two runs of the same program differ"):
        assert_well_formed(block(chance))


def test_a_child_with_a_name_of_its_own_is_found() -> None:
    with pytest.raises(AssertionError, match="topic is not named after block"):
        assert_well_formed(block(lambda opts: aws.sns.Topic("topic", opts=opts)))


def test_a_resource_below_nothing_or_on_a_default_provider_is_found() -> None:
    with pytest.raises(AssertionError, match="block-topic is below nothing"):
        assert_well_formed(lambda opts: aws.sns.Topic("block-topic", opts=opts))
    with pytest.raises(AssertionError, match="block-topic is on a default provider"):
        assert_well_formed(block(lambda _: aws.sns.Topic("block-topic")))


def test_a_property_that_aws_lacks_is_found() -> None:
    """A plain dict is where the SDK itself says nothing."""

    def misspelt(opts: ResourceOptions) -> None:
        aws.ecr.Repository("block-images", image_scanning_configuration={"scan_on_pusch": True}, opts=opts)

    with pytest.raises(UnknownPropertyError, match=r"imageScanningConfiguration\.scan_on_pusch"):
        on_aws(block(misspelt))


def test_a_program_that_makes_nothing_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="nothing was made"):
        on_aws(lambda _: None)


def test_a_function_of_the_provider_is_refused() -> None:
    with pytest.raises(AssertionError, match="must work without any function"):
        on_aws(lambda opts: aws.get_caller_identity())
