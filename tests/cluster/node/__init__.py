"""One real Kubernetes node for tests: control plane, kubelet, containerd and cluster DNS in one network namespace.

Owns everything of that node on this machine, from the binaries (built from hash-pinned Go modules) to the teardown. It
never touches the machine's own interfaces, firewall rules or container runtime, and pulls no image from anywhere.
"""
