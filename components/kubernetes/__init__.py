"""Building blocks inside a cluster: the namespace and its policies, operators, GPU plugin, storage class.

Each is a ComponentResource that gets its provider through `opts` and reads no config; nothing here knows a cloud's SDK.
"""
