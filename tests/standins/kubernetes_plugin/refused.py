"""The errors of this plugin, beside the common ones."""

from tests.standins.plugin.refused import Refused


class NoCluster(Refused):
    """The configuration leads to no cluster: a preview goes on without one, everything else fails."""
