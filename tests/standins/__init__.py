"""Stand-ins of provider plugins that cannot be downloaded everywhere. Used by tests and offline preview only."""
