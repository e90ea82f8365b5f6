"""EKS as clients see it: clusters, node groups, add-ons, access entries, pod identities, updates, with real state."""
