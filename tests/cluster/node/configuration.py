"""The node's configuration files: certificates, tokens, kubeconfigs, and one file or argument list a daemon.

Owns their content, nothing that runs. All of it is written anew at every start.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.cluster.node.ground import run
from tests.cluster.node.images import PAUSE
from tests.cluster.node.layout import (
    ADDRESS,
    AUTHENTICATOR_PORT,
    CONTEXT,
    DOMAIN,
    NAME,
    NODE,
    PODS,
    RUN,
    SERVICES,
    Layout,
    socket,
)

SERVICE_IP = "10.96.0.1"
ETCD = "http://127.0.0.1:2379"
CNI_BINARIES = "/usr/lib/cni"


def write(place: Layout, port: int) -> None:
    """Write every file of a node whose API server listens on `port`."""
    folder = place.node / "conf"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    _certificates(folder)
    tokens = {"admin": secrets.token_hex(16), "kubelet": secrets.token_hex(16)}
    _file(
        folder / "tokens.csv",
        f'{tokens["admin"]},admin,admin,"system:masters"\n'
        f'{tokens["kubelet"]},system:node:{NODE},kubelet,"system:nodes"\n',
    )
    _file(place.kubeconfig, _kubeconfig(folder, port, tokens["admin"]))
    _file(folder / "kubelet.kubeconfig", _kubeconfig(folder, port, tokens["kubelet"]))
    _file(folder / "authenticator.kubeconfig", _authenticator())
    _file(folder / "resolv.conf", "")
    _file(folder / "kubelet.yaml", yaml.safe_dump(_kubelet(place)))
    _file(folder / "proxy.yaml", yaml.safe_dump(_proxy(place)))
    _file(folder / "containerd.toml", _containerd(place, folder))
    (folder / "cni").mkdir(exist_ok=True)
    _file(folder / "cni" / "10-node.conflist", json.dumps(_cni(place)))
    _file(folder / "Corefile", _corefile(place))


def commands(place: Layout, port: int, binaries: Mapping[str, Path]) -> dict[str, list[str]]:
    """The daemons' argument lists, by name, in the order in which they are started."""
    folder = place.node / "conf"
    admin = str(place.kubeconfig)
    etcd_peer = "http://127.0.0.1:2380"
    return {
        "etcd": [
            str(binaries["etcd"]),
            f"--data-dir={place.node / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={etcd_peer}",
            f"--initial-advertise-peer-urls={etcd_peer}",
            f"--initial-cluster=default={etcd_peer}",
        ],
        "containerd": ["containerd", "--config", str(folder / "containerd.toml")],
        "kube-apiserver": [str(binaries["kube-apiserver"]), *_apiserver(folder, port)],
        "coredns": [str(binaries["coredns"]), "-conf", str(folder / "Corefile")],
        "kube-controller-manager": [
            str(binaries["kube-controller-manager"]),
            f"--kubeconfig={admin}",
            f"--root-ca-file={folder / 'ca.crt'}",
            f"--service-account-private-key-file={folder / 'sa.key'}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ],
        "kube-scheduler": [
            str(binaries["kube-scheduler"]),
            f"--kubeconfig={admin}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
        ],
        "kubelet": [
            str(binaries["kubelet"]),
            f"--config={folder / 'kubelet.yaml'}",
            f"--kubeconfig={folder / 'kubelet.kubeconfig'}",
            f"--root-dir={place.node / 'kubelet'}",
            f"--cert-dir={place.node / 'kubelet-certs'}",
            f"--hostname-override={NODE}",
            f"--node-ip={ADDRESS}",
        ],
        "kube-proxy": [str(binaries["kube-proxy"]), f"--config={folder / 'proxy.yaml'}"],
    }


def _apiserver(folder: Path, port: int) -> list[str]:
    issuer = f"https://kubernetes.default.svc.{DOMAIN}"
    return [
        f"--etcd-servers={ETCD}",
        f"--secure-port={port}",
        "--bind-address=0.0.0.0",
        "--allow-privileged=true",  # as real clusters have it: admission decides
        f"--advertise-address={ADDRESS}",
        "--kubelet-preferred-address-types=InternalIP",  # its name is in no DNS
        f"--service-cluster-ip-range={SERVICES}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        # asked last: whoever has a token or certificate of this node never waits for it
        f"--authentication-token-webhook-config-file={folder / 'authenticator.kubeconfig'}",
        "--authentication-token-webhook-version=v1",
        "--authentication-token-webhook-cache-ttl=2s",
        "--authorization-mode=Node,RBAC",
        f"--tls-cert-file={folder / 'apiserver.crt'}",
        f"--tls-private-key-file={folder / 'apiserver.key'}",
        f"--service-account-issuer={issuer}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        f"--service-account-key-file={folder / 'sa.pub'}",
        f"--cert-dir={folder}",
    ]


def _certificates(folder: Path) -> None:
    names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    addresses = ("127.0.0.1", ADDRESS, SERVICE_IP)
    alternatives = ",".join(
        [*(f"DNS:{name}" for name in (*names, f"{names[-1]}.{DOMAIN}")), *(f"IP:{address}" for address in addresses)]
    )
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")
    ca, server = folder / "ca", folder / "apiserver"
    new = ("openssl", "req", "-x509", *curve)
    run(*new, "-subj", f"/CN={NAME}-ca", "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
    signed = ("-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-addext", "basicConstraints=critical,CA:FALSE")
    subject = ("-subj", "/CN=kube-apiserver", "-addext", f"subjectAltName={alternatives}")
    run(*new, *signed, *subject, "-keyout", f"{server}.key", "-out", f"{server}.crt")
    run("openssl", "genrsa", "-out", str(folder / "sa.key"), "2048")
    run("openssl", "rsa", "-in", str(folder / "sa.key"), "-pubout", "-out", str(folder / "sa.pub"))


def _kubeconfig(folder: Path, port: int, token: str) -> str:
    authority = base64.b64encode((folder / "ca.crt").read_bytes()).decode()
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": CONTEXT,
            "clusters": [
                {
                    "name": NAME,
                    "cluster": {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": authority},
                }
            ],
            "contexts": [{"name": CONTEXT, "context": {"cluster": NAME, "user": "user"}}],
            "users": [{"name": "user", "user": {"token": token}}],
        }
    )


def _authenticator() -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": NAME,
            "clusters": [{"name": NAME, "cluster": {"server": f"http://127.0.0.1:{AUTHENTICATOR_PORT}/authenticate"}}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
            "users": [{"name": NAME, "user": {}}],
        }
    )


def _kubelet(place: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{NAME}",
        "failCgroupV1": False,  # the kubelet refuses cgroup v1 by default, and this machine may have it
        "failSwapOn": False,
        "enforceNodeAllocatable": [],
        # nothing outside the namespace can reach it
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "address": ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        "clusterDNS": [ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": str(place.node / "conf" / "resolv.conf"),  # else pods inherit the machine's resolver
        "imageGCHighThresholdPercent": 100,  # an image that was collected cannot be pulled again
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "maxPods": 110,
        "podLogsDir": str(place.node / "pod-logs"),
        "containerRuntimeEndpoint": f"unix://{socket()}",
        "volumePluginDir": str(place.node / "volume-plugins"),
    }


def _proxy(place: Layout) -> dict[str, object]:
    unlimited = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(place.kubeconfig)},
        "mode": "iptables",
        "hostnameOverride": NODE,
        "bindAddress": ADDRESS,
        "conntrack": unlimited,  # 0 = leave the machine's settings alone
    }


def _containerd(place: Layout, folder: Path) -> str:
    return f"""\
version = 2
root = "{place.store}"
state = "{RUN}/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs"]
[grpc]
  address = "{socket()}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_BINARIES}"
    conf_dir = "{folder / "cni"}"
"""


def _cni(place: Layout) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(place.node / "cni"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": NAME, "plugins": [bridge, ports]}


def _corefile(place: Layout) -> str:
    return f"""\
.:53 {{
  bind {ADDRESS}
  errors
  kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
    kubeconfig {place.kubeconfig} {CONTEXT}
    pods insecure
  }}
  cache 5
}}
"""


def _file(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
