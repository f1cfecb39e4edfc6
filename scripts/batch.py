"""The client's command line: `venv/bin/python scripts/batch.py --help`.

Exit codes: 0 everything is answered (or the command did its work); 1 it did not work, the reason is on stderr
(`health`: the system is degraded); 2 the command line is wrong; 3 it is over, but some requests have no
answer; 4 the input has bad lines and nothing was sent; 130 interrupted with Ctrl-C: the same command goes on
from there.
"""

import os
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.client import commands
from scripts.client.console import print_error
from scripts.client.errors import EXIT_ERROR, EXIT_INTERRUPTED, ClientError


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    options.default_url = os.environ.get("BATCHES_URL") or commands.DEFAULT_URL
    options.api_key = options.api_key or os.environ.get("BATCHES_API_KEY") or os.environ.get("BATCH_API_KEY")
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except ClientError as error:
        print_error(error)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # `| head` has read enough
        return EXIT_ERROR
    except KeyboardInterrupt:
        print(f"\nstopped{options.when_stopped}", file=sys.stderr)
        return EXIT_INTERRUPTED


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="batch.py", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.set_defaults(when_stopped="")
    add = parser.add_subparsers(required=True, metavar="COMMAND").add_parser
    server, waiting = _server_options(), _waiting_options()
    both = [server, waiting]
    _submit(add("submit", help="send an input of any size and bring the answers home", parents=both))
    _watch(add("watch", help="a progress bar until batches are over", parents=both))
    _download(add("download", help="fetch a batch's answers, as far as there are", parents=[server]))
    _cancel(add("cancel", help="stop batches; finished answers are kept", parents=[server]))
    _retry(add("retry", help="send the failed lines again", parents=both))
    _list(add("list", help="the batches, newest first", parents=[server]))
    health = add("health", help="how the system is; exit code 1 when degraded", parents=[server])
    health.set_defaults(run=commands.health)
    return parser


def _submit(command: ArgumentParser) -> None:
    add = command.add_argument
    add("file", type=Path, metavar="FILE", help="JSONL, a request a line")
    add("--model", required=True, metavar="M")
    add("--name", metavar="N", help="shown in lists; parts are numbered")
    add("--priority", type=int, metavar="P", help="-100 to 100, higher goes first")
    add("--metadata", type=_pair, action="append", default=[], metavar="KEY=VALUE")
    once = "compute requests that must get the same answer once"
    add("--deduplicate", action="store_true", help=once)
    before = "take answers that earlier batches with this option got to the same requests, and keep these"
    add("--use-cache", action="store_true", help=before)
    order = "in which order lines are computed: auto (default) is the fastest, submission is the file's"
    add("--order", choices=("auto", "submission"), help=order)
    add("--out", type=Path, metavar="DIR", help="default: beside FILE, named like it with .results")
    add("--max-requests", type=_count, default=50_000, metavar="N", help="most requests in a part")
    add("--no-wait", action="store_true", help="end once all parts are accepted, and print their ids")
    again = "compute again; otherwise the same input, model and day give the same batch"
    add("--fresh", action="store_true", help=again)
    went_on = " waiting; what was sent goes on. The same command goes on from here"
    command.set_defaults(run=commands.submit, when_stopped=went_on)


def _watch(command: ArgumentParser) -> None:
    command.add_argument("targets", nargs="+", metavar="BATCH_ID", help="or the state file of a submission")
    command.set_defaults(run=commands.watch, when_stopped=" watching; the batches go on")


def _download(command: ArgumentParser) -> None:
    command.add_argument("batch_id", metavar="BATCH_ID")
    command.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: BATCH_ID.results.jsonl")
    command.add_argument("--errors", type=Path, metavar="FILE", help="also fetch the requests that failed")
    command.set_defaults(run=commands.download, when_stopped="; the same command continues the download")


def _cancel(command: ArgumentParser) -> None:
    command.add_argument("targets", nargs="+", metavar="BATCH_ID", help="or the state file of a submission")
    command.set_defaults(run=commands.cancel)


def _retry(command: ArgumentParser) -> None:
    command.add_argument("target", metavar="BATCH_ID", help="or a submission's state file: waits and merges")
    command.set_defaults(run=commands.retry, when_stopped=" waiting; the same command goes on from here")


def _list(command: ArgumentParser) -> None:
    command.add_argument("--status", help="only these, for example completed, or active for all open ones")
    command.add_argument("--limit", type=_count, default=20, metavar="N")
    command.set_defaults(run=commands.list_batches)


def _server_options() -> ArgumentParser:
    shared = ArgumentParser(add_help=False)
    shared.add_argument("--url", help=f"the server; default: $BATCHES_URL or {commands.DEFAULT_URL}")
    shared.add_argument("--api-key", help="default: $BATCHES_API_KEY or $BATCH_API_KEY")
    shared.add_argument("--json", action="store_true", help="print JSON on stdout")
    return shared


def _waiting_options() -> ArgumentParser:
    shared = ArgumentParser(add_help=False)
    shared.add_argument(
        "--interval", type=float, default=2, metavar="SECONDS", help="between two looks at the server"
    )
    bearing = "how long to bear a server that does not answer (default: an hour)"
    shared.add_argument("--patience", type=float, default=3600, metavar="SECONDS", help=bearing)
    shared.add_argument("--quiet", action="store_true", help="no progress")
    return shared


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


if __name__ == "__main__":
    sys.exit(main())
