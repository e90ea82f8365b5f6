"""What `pulumi-resource-kubernetes` starts."""

import signal
import sys

from tests.standins.kubernetes_plugin.server import main

# Ctrl-C reaches the whole terminal: it is the engine that tells this plugin to stop waiting
signal.signal(signal.SIGINT, lambda *_: None)
main(sys.argv[1:])
