// What infra/engine/manifests.py takes manifests from. Nothing here is compiled.
module slipway/upstream

go 1.21

require (
	github.com/NVIDIA/k8s-device-plugin v0.18.0
	github.com/ray-project/kuberay/ray-operator v1.6.2
)
