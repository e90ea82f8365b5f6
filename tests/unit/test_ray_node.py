"""How a Ray head is started here: everything on loopback, every port and file its own."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from components.seam import Place
from infra.local.layout import Layout
from infra.local.ports import block_at
from infra.local.ray_node import http_options, prestart_body, ray_command, ray_environment, serve_config

PLACE = Place(project="slipway", stack="dev", root=Path("/home/somebody/with/a/long/path/to/the/checkout/of/slipway"))
LAYOUT, PORTS = Layout(PLACE), block_at(12000)


def test_socket_folders_are_short_enough_wherever_the_checkout_lies() -> None:
    assert len(str(LAYOUT.sockets / "ha")) <= 27, "HAProxy refuses longer base folders and restarts for ever"
    assert len(str(LAYOUT.sockets / "ray")) <= 44, "Ray's own sockets would exceed the limit of AF_UNIX"


def test_two_stacks_share_no_folder_for_sockets() -> None:
    other = Layout(Place(project="slipway", stack="other", root=PLACE.root))
    assert other.sockets != LAYOUT.sockets


def test_every_port_of_the_block_is_given_to_ray_or_serve() -> None:
    command = " ".join(ray_command("python", LAYOUT, PORTS, 8265, 2))
    told = " ".join([command, *ray_environment(LAYOUT, PORTS).values(), prestart_body(PORTS, 8000, 30)])
    own = {"tracking", "dashboard", "serving"}  # these have settings of their own
    missing = [
        name
        for name, value in asdict(PORTS).items()
        if name not in own and not all(str(port) in told for port in (value if isinstance(value, tuple) else (value,)))
    ]
    assert missing == [], "a port that is not given would be the machine-wide default"


def test_the_token_is_a_file_and_never_an_argument() -> None:
    environment = ray_environment(LAYOUT, PORTS)
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN_PATH"] == str(LAYOUT.ray_token)
    assert "RAY_AUTH_TOKEN" not in environment


def test_starting_serve_early_uses_the_options_of_the_later_deployment() -> None:
    config = serve_config(PORTS, 8000, 30)
    assert config["http_options"] == http_options(8000, 30)
    assert config["http_options"] == {"host": "127.0.0.1", "port": 8000, "request_timeout_s": 35}
    assert config["applications"] == [], "else the early start would deploy something"
