"""Which Kubernetes versions EKS keeps in standard support, and until when.

Data, dated: read in November 2026 from the EKS user guide's calendar (versioning/kubernetes-versions-standard).  A
version that has left it is billed extra, or upgraded by AWS: neither is what a stack file said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType

STANDARD_UNTIL: Mapping[str, date] = MappingProxyType(
    {
        "1.34": date(2026, 12, 2),
        "1.35": date(2027, 3, 27),
        "1.36": date(2027, 8, 2),
    }
)
DEFAULT = "1.35"
"""The one that the workloads are tested on."""
