"""The command: `python -m tests.cluster.node build|up|down|status|kubeconfig|load|kubectl`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from infra.engine.layout import StopError, say
from tests.cluster.node import containerd, lifecycle, processes
from tests.cluster.node.binaries import binary
from tests.cluster.node.layout import NETNS, layout


def main() -> int:
    """Do one thing and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.node", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("build", help="packages, binaries and images: minutes, once")
    verbs.add_parser("up", help="bring the node up; one that is up is left as it is")
    verbs.add_parser("down", help="take it down; images are kept")
    verbs.add_parser("status", help="what runs")
    verbs.add_parser("kubeconfig", help="print the path of the kubeconfig")
    load = verbs.add_parser("load", help="load an image archive and print its digest reference")
    load.add_argument("archive", type=Path)
    inside = verbs.add_parser("kubectl", help="kubectl of the node's version: kubectl -- get pods")
    inside.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    try:
        return _do(given)
    except StopError as error:
        say(str(error))
        return error.status


def _do(given: argparse.Namespace) -> int:
    place = layout()
    match given.verb:
        case "build":
            lifecycle.build(place)
        case "up":
            if not lifecycle.up(place):
                say("the node is up already")
            _answer(place.kubeconfig)
        case "down":
            lifecycle.down()
        case "status":
            return _status()
        case "kubeconfig":
            _answer(place.kubeconfig)
        case "load":
            _answer(containerd.load(given.archive))
        case "kubectl":
            arguments = given.arguments[1:] if given.arguments[:1] == ["--"] else given.arguments
            kubectl = str(binary(place, "kubectl"))
            command = ["nsenter", f"--net={NETNS}", kubectl, f"--kubeconfig={place.kubeconfig}", *arguments]
            os.execvp(command[0], command)  # noqa: S606  an argument list, no shell
    return 0


def _answer(text: object) -> None:
    """What the command was asked for, apart from what it says on standard error."""
    sys.stdout.write(f"{text}\n")


def _status() -> int:
    state = processes.read()
    if state is None:
        _answer("no node")
        return 1
    for name, entry in state.processes.items():
        _answer(f"{name:24} {'runs' if processes.alive(entry) else 'ended':6} pid {entry[0]:<8} {_resident(entry[0])}")
    fits = lifecycle.healthy(state)
    _answer("up" if fits else "not usable by this checkout: incomplete, or of other code; `up` makes it anew")
    return 0 if fits else 1


def _resident(pid: int) -> str:
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return f"{int(fields['VmRSS'].split()[0]) / 1024:.0f} MB"
    except (OSError, KeyError, ValueError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
