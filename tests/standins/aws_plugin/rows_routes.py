"""EC2: where packets go."""

from __future__ import annotations

import zlib

from tests.standins.aws_plugin import tagging
from tests.standins.aws_plugin.fields import F, Values
from tests.standins.aws_plugin.row import Row, Work
from tests.standins.aws_plugin.rows_network import arn, described

_SOURCE = "internal/service/ec2/"

ROUTE_TABLE = Row(
    token="aws:ec2/routeTable:RouteTable",
    service="ec2",
    source=_SOURCE + "vpc_route_table.go",
    fields={"vpcId": F(new=True, required=True)},
    computed={"arn": arn("route-table"), "ownerId": "OwnerId"},
    create=lambda work: str(
        work.call("create_route_table", **work.all_but(), **work.tags)["RouteTable"]["RouteTableId"]
    ),
    read=described("describe_route_tables", "RouteTableIds", "RouteTables"),
    delete=lambda work: work.call("delete_route_table", RouteTableId=work.id),
    tagging=tagging.ec2("route-table"),
)


def _create_route(work: Work) -> str:
    work.call("create_route", **work.all_but())
    # create.StringHashcode, with which the official plugin makes its id
    return f"r-{work.value('routeTableId')}{zlib.crc32(str(work.value('destinationCidrBlock')).encode())}"


def _read_route(work: Work) -> Values | None:
    tables = work.call("describe_route_tables", RouteTableIds=[work.value("routeTableId")])["RouteTables"]
    for route in tables[0]["Routes"] if tables else ():
        if route.get("DestinationCidrBlock") == work.value("destinationCidrBlock"):
            return {**route, "RouteTableId": work.value("routeTableId")}
    return None


def _delete_route(work: Work) -> None:
    destination = work.value("destinationCidrBlock")
    work.call("delete_route", RouteTableId=work.value("routeTableId"), DestinationCidrBlock=destination)


ROUTE = Row(
    token="aws:ec2/route:Route",
    service="ec2",
    source=_SOURCE + "vpc_route.go",
    fields={
        "routeTableId": F(new=True, required=True),
        "destinationCidrBlock": F(new=True, required=True),
        "gatewayId": F(),
        "natGatewayId": F(),
    },
    computed={"origin": "Origin", "state": "State"},
    create=_create_route,
    read=_read_route,
    update=lambda work: work.call("replace_route", **work.all_but()),
    delete=_delete_route,
)


def _read_association(work: Work) -> Values | None:
    tables = work.call("describe_route_tables", RouteTableIds=[work.value("routeTableId")])["RouteTables"]
    return next(
        (one for one in (tables[0]["Associations"] if tables else ()) if one.get("SubnetId") == work.value("subnetId")),
        None,
    )


def _move_association(work: Work) -> None:
    filters = [{"Name": "association.subnet-id", "Values": [work.value("subnetId")]}]
    for table in work.call("describe_route_tables", Filters=filters)["RouteTables"]:
        for one in table["Associations"]:
            if one.get("SubnetId") == work.value("subnetId"):
                work.call(
                    "replace_route_table_association",
                    AssociationId=one["RouteTableAssociationId"],
                    RouteTableId=work.value("routeTableId"),
                )


def _delete_association(work: Work) -> None:
    found = _read_association(work)
    if found is not None:
        work.call("disassociate_route_table", AssociationId=found["RouteTableAssociationId"])


ROUTE_TABLE_ASSOCIATION = Row(
    token="aws:ec2/routeTableAssociation:RouteTableAssociation",
    service="ec2",
    source=_SOURCE + "vpc_route_table_association.go",
    fields={"routeTableId": F(required=True), "subnetId": F(new=True)},
    create=lambda work: str(work.call("associate_route_table", **work.all_but())["AssociationId"]),
    read=_read_association,
    update=_move_association,
    delete=_delete_association,
)

ROWS = (ROUTE_TABLE, ROUTE, ROUTE_TABLE_ASSOCIATION)
