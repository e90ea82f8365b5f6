"""What an environment may cost and how long it may live; the foundation enforces it where the ground is billed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from components.settings import Settings

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]


class BudgetSettings(Settings):
    """`slipway:budget`: what the environment's resources may cost in a month, and who hears when they will not."""

    monthly_usd: float = Field(gt=0, description="US dollars in a month")
    notify: tuple[Email, ...] = Field(min_length=1, max_length=10, description="e-mail addresses that are told")


class LifetimeSettings(Settings):
    """`slipway:lifetime`: present on an ephemeral environment, which keeps nothing and is tagged with its end."""

    hours: float = Field(default=8, gt=0, le=24 * 31, description="how long it may live once it is made")
    # strict mode takes no text for a date; a stack file has nothing else
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = Field(
        default=None, description="when it ends, such as 2027-01-31T18:00:00Z; `./pulumiw stack init` writes it"
    )

    def expired(self, now: datetime) -> bool:
        """Whether its end is past."""
        return self.expires_at is not None and self.expires_at <= now.astimezone(UTC)
