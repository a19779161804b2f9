"""The command line: ``python -m cnnviz COMMAND``.

What is printed to be read by a program goes to stdout, everything else to stderr. A wrong
argument exits with 2, a failure with 1, each with one line that says what to do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cnnviz.cli.arguments import make_parser
from cnnviz.cli.errors import UsageError
from cnnviz.errors import CnnvizError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Those that take the settings of a recipe have to load what knows them.
    recipe = not {"train", "queue", "plan", "clone"}.isdisjoint(given)
    options = make_parser(train=recipe).parse_args(given)
    try:
        status: int | None = options.command(options)
        sys.stdout.flush()  # here, where a reader that has gone away is caught
    except CnnvizError as error:
        print(f"cnnviz: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename} cannot be used" if error.filename else "A file cannot be used"
        print(f"cnnviz: {where} ({error.strerror or error}).", file=sys.stderr)
        return 1
    return status or 0
