"""The project's policy pack on the command line of previews and ups of stacks that make things on AWS.

Owns when the flag is added and when it is left out, which is always said.
"""

from collections.abc import Mapping

from infra.engine.invocation import Invocation
from infra.engine.layout import Project, StopError, say
from infra.engine.stacks import short_name
from infra.engine.substrate import makes_its_cluster

VARIABLE = "SLIPWAY_POLICY_PACK"
OFF = "off"
JUDGED = {"preview", "up"}


def with_pack(project: Project, invocation: Invocation, stack: str, environment: Mapping[str, str]) -> Invocation:
    """Add the pack, unless the user names packs or switched it off.

    Raises:
        StopError: the variable has another value.
    """
    if invocation.verb not in JUDGED or not makes_its_cluster(project.stack_file(short_name(stack))):
        return invocation
    pack = project.root / "infra" / "policies" / "pack"
    switch = environment.get(VARIABLE, "")
    if switch not in ("", OFF):
        raise StopError(f"{VARIABLE} is {switch!r}: it is {OFF}, or not set", status=2)
    if switch == OFF:
        say(f"{VARIABLE}=off: values that are known only to the engine are held against no rule")
        return invocation
    if invocation.has("--policy-pack"):
        say(f"--policy-pack is given, so the project's own is left out; both: add --policy-pack {pack}")
        return invocation
    return invocation.with_flags("--policy-pack", str(pack))
