"""What the small Jobs of an environment run, inside its image.

Nothing here imports Pulumi, a Kubernetes client or the rest of `infra`: only the standard library, `training` and
`serving` are in the image for it.
"""
