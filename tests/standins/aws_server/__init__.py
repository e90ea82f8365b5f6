"""An AWS account for tests: moto, and beside it with real state what moto lacks or answers wrongly, EKS first of all.

`python -m tests.standins.aws_server` runs it; `running()` runs it for a test. It listens on loopback only.
"""

from tests.standins.aws_server.process import AwsServer, running

__all__ = ["AwsServer", "running"]
