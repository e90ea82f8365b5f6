"""The versions of the tools an environment is brought up with. The one place that names them."""

ENGINE_BUILT = "3.259.0"
"""What infra/engine/go.mod builds, and the oldest engine that is accepted from elsewhere."""

ENGINE_OFFICIAL = "3.272.0"
"""What the official installer is asked for; the SDK in requirements/program.in has the same version."""

UV = "0.13.9"
"""Installs the locked dependencies, where no uv is on PATH."""

PYTHON_MINIMUM = (3, 11)
GO_MINIMUM = (1, 21)
"""From this version on, Go fetches the newer toolchain that go.mod asks for."""


def parse(text: str) -> tuple[int, ...]:
    """`v3.259.0-alpha.1+dirty` -> (3, 259, 0). A text without a number is version ()."""
    plain = text.strip().removeprefix("v").removeprefix("go").split("-")[0].split("+")[0]
    parts = plain.split(".")
    return tuple(int(part) for part in parts if part.isdigit()) if all(part.isdigit() for part in parts) else ()


def at_least(found: str, wanted: str) -> bool:
    """Whether version `found` is `wanted` or later."""
    return parse(found) >= parse(wanted) > ()
