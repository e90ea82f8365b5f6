"""A stand-in of the official AWS plugin (pulumi-aws 7), for machines where it cannot be downloaded.

It knows just the resource types that this project's stacks use: one row of a table each (`rows_*.py`), which names the
calls, how properties are called there, and whose change replaces. It raises on every other type, on a property that its
row does not know, and on one that reached no call. Sources in the rows: `internal/service/...` is a path in the
repository hashicorp/terraform-provider-aws, `provider/...` one in pulumi/pulumi-aws. Deliberate differences:

- It talks to this machine only: every endpoint must be loopback, and there is no call without one.
- It says in its first line which plugin it is. A preview makes no call at all.
- Names are never made up: a resource without its name is refused, where the official plugin invents one.
- Invokes, imports of what has no id here, and import of types with generated names are refused.
"""
