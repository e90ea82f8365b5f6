"""A Pulumi provider for this machine: processes, Ray jobs, Serve applications and folders.

It owns starting, adopting and stopping what a stack runs here.  It must not decide what an environment consists of,
import ray or mlflow, or ever end a process that it has not recorded.
"""
