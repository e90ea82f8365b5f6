"""The one error that is told to the user as it stands, without a traceback."""


class Refused(Exception):
    """Something that the stand-in does not do, or that the API server did not accept."""


class NoCluster(Refused):
    """The configuration leads to no cluster: a preview goes on without one, everything else fails."""
