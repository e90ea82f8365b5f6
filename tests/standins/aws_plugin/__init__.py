"""A stand-in of the official AWS plugin (pulumi-aws 7), for machines where it cannot be downloaded.

It knows just the resource types that this project's stacks use: one row of a table each (`rows_*.py`), which names the
calls, how properties are called there, and whose change replaces. It raises on every other type, on a property that its
row does not know, and on one that reached no call. Sources in the rows: `internal/service/...` is a path in the
repository hashicorp/terraform-provider-aws, `provider/...` one in pulumi/pulumi-aws. Deliberate differences:

- It talks to this machine only: every endpoint must be loopback, and there is no call without one.
- It says in its first line which plugin it is. A preview makes no call at all.
- It reports no progress, and what it waits for it polls every 0.1 to 3 s.
- Functions (`get_...`) are refused, and so is a setting of the provider that is neither used nor listed as without
  effect.

A new type is a row in the module of its service, and an example in `tests/aws/standin_examples.py` with every property
that the row has: the tests make, read, change and delete it, and hold it against pulumi_aws's own classes.
"""
