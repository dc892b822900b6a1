"""The `offlow` command: finds the command that the first words name and gives it the rest."""

import difflib
import importlib
import sys
from collections.abc import Sequence

# Words -> (module, what it does). The module's `main(arguments, program)` parses and runs; it is imported only when
# its command is called.
COMMANDS = {
    ("compare",): ("offlow_core.commands.compare", "put runs of any packages side by side"),
    ("report",): ("offlow_core.commands.report", "write a comparison as a page with tables and figures"),
    ("evaluate",): ("offlow_core.commands.evaluate", "play saved policies, of any packages, with the same seeds"),
    ("reproduce",): ("offlow_core.commands.reproduce", "train a row, a table or a paper; sweep over options"),
    ("data", "list"): ("offlow_core.commands.data_list", "show which datasets there are, and which are here"),
    ("data", "info"): ("offlow_core.commands.data_info", "show what a dataset or a file holds"),
    ("data", "download"): ("offlow_core.commands.data_download", "fetch datasets before they are needed"),
    ("data", "validate"): ("offlow_core.commands.data_validate", "look for faults in a dataset or a file"),
    ("data", "convert"): ("offlow_core.commands.data_convert", "write a dataset in another format"),
    ("data", "iav"): ("offlow_core.commands.data_iav", "estimate how much actions differ in alike states (for DeFlow)"),
    ("data", "collect"): (
        "offlow_core.commands.data_collect",
        "make an OGBench data set with its scripted oracles, or data with a trained policy",
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (default: the program's own) begin with."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for words, (module, _) in COMMANDS.items():
        if tuple(arguments[: len(words)]) == words:
            return importlib.import_module(module).main(arguments[len(words) :], program=" ".join(("offlow", *words)))
    words = [argument for argument in arguments if not argument.startswith("-")]
    known = {" ".join(command[: len(words)]) for command in COMMANDS}
    if words and " ".join(words) not in known:
        sys.exit(_unknown(" ".join(words[:2])))
    print(_overview(tuple(words)))
    return None


def _unknown(words: str) -> str:
    commands = [" ".join(command) for command in COMMANDS]
    near = difflib.get_close_matches(words, commands, n=3, cutoff=0.5)
    hint = f"did you mean `offlow {near[0]}`?" if near else f"there are: {', '.join(commands)}"
    return f"offlow: no command `{words}`; {hint}"


def _overview(beginning: tuple[str, ...]) -> str:
    lines = ["usage: offlow COMMAND ... (offlow COMMAND --help for its options)", ""]
    shown = {words: text for words, (_, text) in COMMANDS.items() if words[: len(beginning)] == beginning}
    return "\n".join([*lines, *(f"  offlow {' '.join(words):<16} {text}" for words, text in shown.items())])
