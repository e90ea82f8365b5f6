"""What `./pulumiw --help` says, and `--help` behind each of the project's own verbs.

Owns the texts. Asking for help must never install, create or read anything: nothing is imported here.
"""

USAGE = """\
usage: ./pulumiw VERB [FLAG...]

  setup [--dev]        install what environments need (--dev: and what the tests need); implied by every other verb
        [--kubernetes] and the manifests of managed operators; implied by verbs on a stack that asks for such
  doctor [--json]      what this machine has and lacks, with the command that installs it (--unmet: only what it lacks)
  env                  shell lines for plain `pulumi`: eval "$(./pulumiw env)"
  get [KEY] [-s NAME]  one output of a stack, for example serving.url; all of them without KEY
  up, preview, refresh, destroy, stack output, ...
                       Pulumi's own verbs (`./pulumiw VERB --help`); -s names the stack, else the selected one, else dev
  stack init NAME --copy-config-from STACK
                       a stack like another, such as an ephemeral one; writes Pulumi.NAME.yaml and its end

SLIPWAY_OFFLINE=1 ./pulumiw preview -s NAME   from an empty state, without network or credentials
SLIPWAY_POLICY_PACK=off                       leaves out the policy pack of stacks on AWS; the program keeps its rules

example: ./pulumiw up -s dev && ./pulumiw get serving.url
"""

OWN_VERBS = {
    "setup": """\
usage: ./pulumiw setup [--dev] [--kubernetes]

Installs what environments need: a virtualenv with the locked dependencies, and the Pulumi engine. Every other verb does
so by itself; what is there is left alone.

  --dev         and what the tests need
  --kubernetes  and the manifests of managed operators, which offline previews of clusters need

example: ./pulumiw setup --kubernetes
""",
    "doctor": """\
usage: ./pulumiw doctor [--json | --unmet]

Shows what this machine has and lacks, each with the command that gets it; installs and changes nothing. It exits with 1
when something is missing. What a cluster or an AWS account lacks: .venv/bin/slipway doctor -s STACK

  --json   for programs rather than people
  --unmet  only what is missing; the exit status is 0

example: ./pulumiw doctor
""",
    "env": """\
usage: ./pulumiw env

Prints shell lines after which `pulumi` and `slipway` work in this shell as `./pulumiw` does: PATH, the place of the
state, the passphrase file.

example: eval "$(./pulumiw env)"
""",
    "get": """\
usage: ./pulumiw get [KEY] [-s NAME] [--show-secrets]

Prints one output of a stack, a text as it is and anything else as JSON; without KEY all of them, a line each.

  KEY             such as serving.url or training.metrics.accuracy (docs/configuration.md lists them)
  -s, --stack     the stack; the selected one, else dev
  --show-secrets  print what is secret instead of [secret]

example: ./pulumiw get serving.url -s prod
""",
}
"""By verb, each with its own help."""
_ASKS = {"-h", "--help"}


def help_on(arguments: list[str]) -> str | None:
    """Return the text that a command line asks for; None where it asks for none, or for Pulumi's own."""
    if not arguments or arguments[0] in (*_ASKS, "help"):
        own = arguments[1] if len(arguments) > 1 else ""
        return OWN_VERBS.get(own, USAGE)
    if arguments[0] in OWN_VERBS and _ASKS.intersection(arguments):
        return OWN_VERBS[arguments[0]]
    return None
