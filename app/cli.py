"""The command line, `tuwen`: reads the arguments, runs the job that API and trainer run too, tells how it went.

Exit code 0 only if all of it worked. An error is one line that says what to do; no traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path

from app.console import errors
from app.domain import Role
from app.errors import TuwenError
from app.evaluation.asked import PROTOCOLS
from app.settings import Settings, load_settings, with_workers

Command = Callable[[argparse.Namespace, Settings], Coroutine[None, None, int]]


def main() -> None:
    """Run one command and exit."""
    arguments = _parser().parse_args()
    try:
        settings = load_settings()
        logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
        for chatty in ("alembic", "faiss.loader"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        if arguments.command == "serve":
            sys.exit(_serve(arguments, settings))
        sys.exit(asyncio.run(_loaded(arguments.run)(arguments, settings)))
    except TuwenError as error:
        errors.print(f"tuwen: {error.message}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _loaded(name: str) -> Command:
    """A command by its module and name: neither `--help` nor the parent of several workers shall wait for PyTorch."""
    module, function = name.split(".")
    command: Command = getattr(import_module(f"app.{module}"), function)
    return command


def _serve(arguments: argparse.Namespace, settings: Settings) -> int:
    """Run the API; the web framework is of no use to the other commands, nor to the parent of several workers."""
    if arguments.workers is not None:
        settings = with_workers(settings, arguments.workers)
    if settings.workers > 1 and arguments.inherited_socket is None:
        from app.workers import serve_with_workers

        return serve_with_workers(settings)
    from app.main import serve

    return serve(settings, inherited_socket=arguments.inherited_socket)


def _parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    about = "Recommendations of picture + title posts, learnt from the feed's own exposure log."
    parser = argparse.ArgumentParser(prog="tuwen", description=about)
    commands_of = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands_of.add_parser("serve", help="run the API and its pages")
    serve.add_argument("--workers", type=int, metavar="N", help="processes that share the port (TUWEN_WORKERS, 1)")
    serve.add_argument("--inherited-socket", type=int, help=argparse.SUPPRESS)  # one of the workers
    _command(commands_of, "trainer", "commands.trainer", help="run the sidecar that trains and reindexes, for ever")
    _command(commands_of, "train", "commands.train", help="run one training cycle, publish it, exit")
    reindex = _command(commands_of, "reindex", "commands.reindex", help="encode all posts, build and swap the index")
    reindex.add_argument("--job", help=argparse.SUPPRESS)  # a job that the API has queued
    _import_command(commands_of)
    export = _command(commands_of, "export", "commands.export", help="write posts, users and exposures into a folder")
    export.add_argument("folder", type=Path, metavar="DIR")
    _evaluate_command(commands_of)
    recommend = _command(commands_of, "recommend", "commands.recommend_to", help="show what a user would get")
    recommend.add_argument("user", metavar="USER")
    recommend.add_argument("-k", type=int, default=20, metavar="N", help="how many posts (20)")
    _keys_command(commands_of)
    for name, run, about in (
        ("backup", "upkeep.backup", "write all of this installation into a folder, while it runs"),
        ("restore", "upkeep.restore_backup", "make an empty installation the one that was backed up"),
    ):
        _command(commands_of, name, run, help=about).add_argument("folder", type=Path, metavar="DIR")
    _letters_command(commands_of)
    _users_command(commands_of)
    _command(commands_of, "status", "commands.status", help="what serves, what is in the stores, what runs")
    _command(commands_of, "doctor", "commands.doctor", help="what is missing or does not work, and what to do")
    return parser


def _command(
    commands_of: argparse._SubParsersAction[argparse.ArgumentParser], name: str, run: str, *, help: str
) -> argparse.ArgumentParser:
    parser = commands_of.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run)
    return parser


def _import_command(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands_of, "import", "commands.import_", help="read JSON Lines, CSV or Parquet files")
    for kind in ("posts", "users", "exposures", "behaviours"):
        parser.add_argument(f"--{kind}", type=Path, metavar="FILE")


def _evaluate_command(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "train on the log's past, measure on what came after, beside rivals and controls; takes minutes to hours"
    parser = _command(commands_of, "evaluate", "commands.evaluate", help=about)
    parser.add_argument("--protocol", action="append", choices=PROTOCOLS, help="only this one; may be repeated")
    parser.add_argument("--seeds", type=_positive, default=3, metavar="N", help="trainings of each row (3)")
    parser.add_argument(
        "--rows", action="append", metavar="WORDS", help="only rows whose name has these words; may be repeated"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="draw them into this folder")


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("a whole number from 1")
    return number


def _keys_command(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands_of.add_parser("keys", help="create, list or revoke API keys")
    actions = parser.add_subparsers(dest="action", required=True, metavar="create|list|revoke")
    create = _command(actions, "create", "commands.create_key", help="make a key; it is shown once")
    create.add_argument("role", choices=[role.value for role in Role])
    create.add_argument("--name", default="", help="what it is for")
    _command(actions, "list", "commands.list_keys", help="all keys, without their secrets")
    revoke = _command(actions, "revoke", "commands.revoke_key", help="let a key be good no longer")
    revoke.add_argument("key_id", metavar="KEY_ID")


def _letters_command(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands_of.add_parser("dead-letters", help="list, replay or drop items that were rejected")
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|replay|drop")
    _command(actions, "list", "upkeep.list_letters", help="rejected items, with what is wrong with them")
    for name, run, about in (
        ("replay", "upkeep.replay", "try rejected items again, all or some"),
        ("drop", "upkeep.drop", "give up on rejected items, all or some"),
    ):
        _command(actions, name, run, help=about).add_argument("letter_id", type=int, nargs="*", metavar="LETTER_ID")


def _users_command(commands_of: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands_of.add_parser("users", help="export or erase what is kept of a person")
    actions = parser.add_subparsers(dest="action", required=True, metavar="export|erase")
    export = _command(actions, "export", "upkeep.export_person", help="write all that is kept of a person to a file")
    export.add_argument("user", metavar="USER")
    export.add_argument("file", type=Path, metavar="FILE")
    erase = _command(actions, "erase", "upkeep.erase", help="erase a person everywhere, for good")
    erase.add_argument("user", metavar="USER")


if __name__ == "__main__":
    main()
