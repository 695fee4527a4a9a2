"""`keras-tc2 COMMAND --flags`, or `keras-tc2 COMMAND --config=FILE.yaml`."""

import sys
from collections.abc import Sequence

from absl import flags

from keras_tc2.cli import pretrain, report, transfer
from keras_tc2.cli.settings import read_settings

COMMANDS = {"pretrain": pretrain, "transfer": transfer, "report": report}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: list of str. Defaults to those of the process.

    Returns:
        int, the exit status: 0, 1 if the command could not do its work, 2 if it was not
        understood.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if not arguments or arguments[0] in ("-h", "--help", "--helpfull", "help"):
        print(usage())
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        print(f"Unknown command {name!r}.\n\n{usage()}", file=sys.stderr)
        return 2
    command = COMMANDS[name]
    values = flags.FlagValues()
    command.define(values)
    flags.DEFINE_string(
        "config", None, "YAML file of flags; those given win.", flag_values=values
    )
    if {"-h", "--help"} & set(rest):
        print(f"{command.__doc__}\n{_described(values)}")
        return 0
    try:
        unknown = read_settings(values, [name, *rest])[1:]
        if unknown:
            raise flags.UnrecognizedFlagError(unknown[0])
    except flags.Error as error:
        print(f"keras-tc2 {name}: {error}. See --help.", file=sys.stderr)
        return 2
    try:
        command.run(values)
    except (ValueError, OSError) as error:
        print(f"keras-tc2 {name}: {error}", file=sys.stderr)
        return 1
    return 0


def usage():
    """What the commands are."""
    lines = [
        f"  {name:<10}{command.__doc__.splitlines()[0]}"
        for name, command in COMMANDS.items()
    ]
    first = "keras-tc2 COMMAND [--flags] [--config=FILE.yaml]"
    last = "keras-tc2 COMMAND --help lists the flags of a command."
    return "\n".join([first, "", *lines, "", last])


def _described(values):
    lines = []
    for name in sorted(values):
        flag = values[name]
        default = "" if flag.default in (None, []) else f" Default: {flag.default}."
        lines.append(f"  --{name}: {flag.help}{default}")
    return "\n".join(lines)
