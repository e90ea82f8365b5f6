"""Building blocks in an AWS account: network, keys, cluster, node pools, bucket, registry, database, roles, budget.

Each is a ComponentResource that gets its provider through `opts` and reads no config. Nothing here calls a function of
the provider (account, region and zones are arguments), and nothing here knows Kubernetes' SDK.
"""
