"""The command line: thin words over the public API, one error form, the documented exit codes."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType

import click

from lightmobile import __version__
from lightmobile.cli.output import print_error, say
from lightmobile.errors import InternalError, LightmobileError, LightmobileWarning, UsageError

__all__ = ["cli", "run"]

INTERRUPTED = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 fine, 1 internal, 2 usage, 3 verification failed, 4 not fully "
    "delegated, 5 device, 6 comparison refused, 130 interrupted.",
)
@click.version_option(__version__)
def cli() -> None:
    """Export light CNNs to phones' runtimes, prove each file, and measure what it costs."""


def _add_commands() -> None:
    # These modules import click alone; what a command needs is imported when it runs.
    from lightmobile.cli import (
        bench,
        bench_ops,
        cache,
        devices,
        doctor,
        evaluate,
        export,
        inspect,
        models,
        quantize_search,
        report,
        results,
        roofline,
        runners,
        scale,
        study,
        verify,
    )

    for command in (
        models.models,
        models.info,
        scale.scale,
        export.export,
        quantize_search.quantize_search,
        inspect.inspect,
        verify.verify,
        evaluate.evaluate,
        bench.bench,
        bench_ops.bench_ops,
        roofline.roofline,
        study.study,
        devices.devices,
        results.results,
        report.report,
        runners.runners,
        cache.cache,
        doctor.doctor,
    ):
        cli.add_command(command)


_add_commands()


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    # A polite kill cleans up as Ctrl-C does: no half-written file, no process left behind.
    raise KeyboardInterrupt


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    say(f"warning: {message}")


def run(arguments: Sequence[str]) -> int:
    """Run the command that `arguments` name and return its exit code."""
    as_json = "--json" in arguments
    signal.signal(signal.SIGTERM, _terminate)
    # Ours are meant for the user; what libraries mutter to their own developers is not.
    warnings.simplefilter("ignore")
    warnings.simplefilter("always", LightmobileWarning)
    warnings.showwarning = _warn
    try:
        cli.main(args=list(arguments), prog_name="lightmobile", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (KeyboardInterrupt, click.Abort):
        print_error(UsageError("Interrupted", fix="Nothing half-written was left"), as_json)
        return INTERRUPTED
    except click.ClickException as error:
        return _fail(_from_click(error), as_json)
    except LightmobileError as error:
        return _fail(error, as_json)
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _fail(_from_os(error), as_json)
    except Exception as error:  # the last resort: a defect of ours, told without a traceback
        if os.environ.get("LIGHTMOBILE_DEBUG"):
            raise
        return _fail(
            InternalError(
                "lightmobile failed where it should not",
                why=f"{type(error).__name__}: {error}",
                fix="Please report it with what LIGHTMOBILE_DEBUG=1 prints",
            ),
            as_json,
        )
    return 0


def _fail(error: LightmobileError, as_json: bool) -> int:
    print_error(error, as_json)
    return error.exit_code


def _from_click(error: click.ClickException) -> UsageError:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "lightmobile"
    return UsageError(error.format_message().rstrip("."), fix=f"See `{path} --help`")


def _from_os(error: OSError) -> UsageError:
    where = f" ({error.filename})" if error.filename else ""
    return UsageError(
        f"The system refused a file or a process{where}",
        why=error.strerror or str(error),
        fix="Check that the path exists, is writable, and that the disk has room",
    )
