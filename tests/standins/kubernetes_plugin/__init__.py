"""A stand-in of the official Kubernetes plugin (pulumi-kubernetes 4.34), for machines where it cannot be downloaded.

It implements just the documented semantics that this project's programs use and raises on everything else. Each rule
names its source; `provider/pkg/...` is a path in the repository pulumi/pulumi-kubernetes. Deliberate differences:

- It talks to no API server but this machine's own (`settings.ALLOWED`), and says in its first line which plugin it is.
- Requests ask for `fieldValidation=Strict`, where the official plugin asks for `Warn` and drops the warnings: whatever
  passes here passes there.
- Requests are repeated, bounded, while the API server does not answer; waiting polls where the official one watches.
- Patch resources, client-side apply, rendering to YAML, Helm, invokes and components are refused.
"""
