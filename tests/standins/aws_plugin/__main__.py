"""What `pulumi-resource-aws` starts."""

import signal
import sys

from tests.standins.plugin import lean

lean.install()

from tests.standins.aws_plugin.server import main  # noqa: E402  after the lean import of the SDK

# Ctrl-C reaches the whole terminal: it is the engine that tells this plugin to stop waiting
signal.signal(signal.SIGINT, lambda *_: None)
main(sys.argv[1:])
