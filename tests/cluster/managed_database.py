"""The PostgreSQL server that an instance of RDS on the AWS test server is: a pod with the node's own address.

It speaks TLS only, as the parameter group of the stack wants it, and its administrator is no superuser, as on RDS.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cluster.node.cluster import Cluster
from tests.cluster.node.layout import ADDRESS
from tests.postgres_server import certificate
from tests.standins.aws_server import AwsServer

SPACE = "managed-database"


@contextmanager
def managed_database(server: AwsServer, cluster: Cluster) -> Iterator[None]:
    """Be the server of the account's next RDS instance: on the node, by TLS only, its administrator no superuser.

    The administrator comes to be when the instance does, with the password that RDS keeps in Secrets Manager.
    """
    over, failed = threading.Event(), list[BaseException]()

    def administer() -> None:
        try:
            _administered(server, cluster, over)
        except BaseException as error:  # noqa: BLE001  told by the thread that waits
            failed.append(error)

    _serve_database(cluster)
    server.databases_are_at(ADDRESS)
    thread = threading.Thread(target=administer, name="managed-database")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.databases_are_at("")
        cluster.kubectl("delete", "namespace", SPACE)
    assert not failed, failed


def _administered(server: AwsServer, cluster: Cluster, over: threading.Event) -> None:
    rds, kept = server.client("rds"), server.client("secretsmanager")
    while not over.wait(0.5):
        for instance in rds.describe_db_instances()["DBInstances"]:
            arn = instance["MasterUserSecret"]["SecretArn"]
            login = json.loads(kept.get_secret_value(SecretId=arn)["SecretString"])
            statements = (
                f"CREATE ROLE \"{login['username']}\" LOGIN CREATEROLE CREATEDB PASSWORD '{login['password']}';\n"
                f'CREATE DATABASE "{instance["DBName"]}" OWNER "{login["username"]}";\n'
            )
            client = "/usr/lib/postgresql/15/bin/psql -h /var/run/postgresql -U postgres -v ON_ERROR_STOP=1"
            command = ["exec", "-i", "-n", SPACE, "server", "--", *client.split()]
            cluster.kubectl(*command, stdin=statements)
            return


def _serve_database(cluster: Cluster) -> None:
    with TemporaryDirectory() as folder:
        certificate(Path(folder))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    files["pg_hba.conf"] = b"local all all trust\nhostssl all all all scram-sha-256\n"
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "files", "namespace": SPACE},
        "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
    }
    settings = {"ssl": "on", "ssl_cert_file": "/etc/server/server.crt", "ssl_key_file": "/etc/server/server.key"}
    settings |= {"hba_file": "/etc/server/pg_hba.conf", "fsync": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "server", "namespace": SPACE},
        "spec": {
            "hostNetwork": True,  # the node's address, as RDS has one in the network that nodes are in
            "terminationGracePeriodSeconds": 5,
            "securityContext": {"fsGroup": 999},
            "volumes": [
                {"name": "files", "secret": {"secretName": "files", "defaultMode": 0o440}},
                {"name": "sockets", "emptyDir": {}},
            ],
            "containers": [
                {
                    "name": "server",
                    "image": cluster.image("postgres"),
                    "args": ["postgres", *options],
                    "env": [{"name": "POSTGRES_PASSWORD", "value": secrets.token_hex(16)}],
                    "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}},
                    "volumeMounts": [
                        {"name": "files", "mountPath": "/etc/server"},
                        {"name": "sockets", "mountPath": "/var/run/postgresql"},
                    ],
                    "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 1},
                }
            ],
        },
    }
    for manifest in (space, secret, pod):
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/server", "-n", SPACE, "--timeout=300s")
