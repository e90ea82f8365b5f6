"""What `pulumi-resource-kubernetes` starts."""

import gc
import signal
import sys

gc.set_threshold(200_000)  # as the program does: what is loaded stays

from tests.standins.kubernetes_plugin.server import main  # noqa: E402  after the collector is told

# Ctrl-C reaches the whole terminal: it is the engine that tells this plugin to stop waiting
signal.signal(signal.SIGINT, lambda *_: None)
main(sys.argv[1:])
