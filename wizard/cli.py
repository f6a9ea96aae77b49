"""The command line, a contract that scripts rely on (DESIGN.md section 5).

stdout is data, stderr is narration. Heavy imports are inside the commands: `--help`, `validate` and `list` load
neither Textual nor an SDK (tests/contracts).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from state.problem import EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, Problem
from wizard import __version__

if TYPE_CHECKING:
    from wizard.opening import Start
    from wizard.places import Places

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
OUTPUT = click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the result.")


def _remember_state_dir(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    # The option stands before or after the command's name; the inner one wins.
    if value is not None:
        context.ensure_object(dict)["state_dir"] = value
    return value


STATE_DIR = click.option(
    "--state-dir",
    metavar="DIR",
    expose_value=False,
    callback=_remember_state_dir,
    help="Where setups are kept; also PRIVATELINK_STATE_DIR.",
)


_WHERE = (
    click.option("--kubeconfig", metavar="FILE", help="Instead of KUBECONFIG or ~/.kube/config."),
    click.option("--kube-context", metavar="NAME", help="Instead of the kubeconfig's current context."),
    click.option("--helm", metavar="FILE", help="Instead of helm from PATH."),
    click.option("--cloud", metavar="NAME", help="Azure's cloud: public (the default), us-government or china."),
    click.option("--sign-in", metavar="WAY", help="How to sign in to Azure: cli (the default) or default."),
    click.option(
        "--tenant",
        "tenant_id",
        metavar="ID",
        help="The tenant to sign in to, by ID or domain name; else the sign-in's own.",
    ),
)


def where_to_look(command: Callable[..., int]) -> Callable[..., int]:
    """Adds the options that say which cluster and which Azure are asked."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


def _given(where: dict[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in where.items() if value}


@click.group(context_settings=CONTEXT, invoke_without_command=True)
@click.version_option(__version__, prog_name="privatelink-wizard")
@STATE_DIR
@click.pass_context
def app(context: click.Context) -> int:
    """Set up a private connection to a vendor's cloud, prove every step, keep the evidence.

    Without a command: the home screen.
    """
    context.ensure_object(dict)
    if context.invoked_subcommand is None:
        from wizard.opening import Home, require_terminal

        require_terminal()
        return _open_screens(Home(), _places(context))
    return EXIT_OK


def _open_screens(start: Start, places: Places) -> int:
    """Opens the screens; the one place that knows them (DESIGN.md section 3). Returns the exit code."""
    from screens.app import run_app

    code: int = run_app(start, places)
    return code


# ---------------------------------------------------------------- looking


@app.command("list")
@OUTPUT
@STATE_DIR
@click.pass_context
def list_command(context: click.Context, output: str) -> int:
    """Show every setup, its progress and its head."""
    from wizard import overview
    from wizard.output import data, data_json

    entries = overview.setups(_places(context))
    if output == "json":
        data_json("list", {"setups": list(entries)})
    else:
        data(overview.as_text(entries))
    return EXIT_OK


@app.command()
@click.argument("kind")
@click.argument("value")
@OUTPUT
def validate(kind: str, value: str, output: str) -> int:
    """Say whether VALUE is a KIND, part by part. `-` reads one value per line and prints one object per line."""
    from wizard import validating

    return validating.run(kind, value, output)


@app.command()
@OUTPUT
@where_to_look
@click.option("--namespace", default="default", show_default=True, help="Where the release is, or will be.")
@STATE_DIR
@click.pass_context
def doctor(context: click.Context, /, output: str, namespace: str, **where: str | None) -> int:
    """Look whether this machine can do what a setup asks: helm, kubeconfig, cluster, rights, Azure sign-in."""
    from wizard import commands

    return commands.doctor(_places(context), _given(where), namespace, output)


@app.command()
@click.argument("name")
@click.option("--step", metavar="N", help="Only this step, by number or id.")
@click.option("--allow-probe-pod", is_flag=True, help="Consent, from now on, to a short-lived pod for the look inside.")
@OUTPUT
@STATE_DIR
@click.pass_context
def check(context: click.Context, name: str, step: str | None, allow_probe_pod: bool, output: str) -> int:
    """Look at every step of NAME again. Exit code 1: something is bad; 3: not yet, or could not look."""
    from wizard import commands

    return commands.check(_places(context), name, step, output, allow_probe_pod=allow_probe_pod)


@app.command()
@click.argument("target", metavar="NAME|FILE")
@click.option("--live", is_flag=True, help="Look again, with readers only; the options from --kubeconfig on say where.")
@click.option("--as-of", metavar="TS", help="As it was at this time, RFC 3339 UTC.")
@click.option("--expect", metavar="HEAD", help="The hash of the last line, noted elsewhere; differs: exit code 1.")
@click.option("--verify", metavar="REPORT", help="A JSON report; every difference from the journal is named.")
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "html"]), help="Form of the report; none: the screen."
)
@click.option("--out", metavar="FILE", help="Write the report there.")
@where_to_look
@STATE_DIR
@click.pass_context
def review(
    context: click.Context,
    /,
    target: str,
    live: bool,
    as_of: str | None,
    expect: str | None,
    verify: str | None,
    output: str | None,
    out: str | None,
    **where: str | None,
) -> int:
    """Read a setup, or a copied state file, without being able to change anything: on a screen, or with -o.

    With --live every check looks again. Exit code 1: something is bad, or worse than recorded; 3: could not look.
    """
    from wizard import reviewing

    given = _given(where)
    if given and not live:
        raise click.UsageError(f"--{next(iter(given)).removesuffix('_id').replace('_', '-')} says where --live looks.")
    if live and verify:
        raise click.UsageError("--live does not go with --verify: what is found now is in no journal.")
    again = given if live else None
    places = _places(context)
    if output is None and not (expect or verify or out):
        from wizard import opening

        opening.require_terminal()
        return _open_screens(opening.review(places, target, as_of, again), places)
    return reviewing.review(
        places, target, as_of=as_of, expect=expect, verify=verify, output=output, out=out, live=again
    )


# ---------------------------------------------------------------- doing


@app.command()
@click.argument("name")
@click.option("--guide", "guide_id", default=None, metavar="ID", help="Which guide; the default is ataccama-azure.")
@click.option("--mode", default=None, metavar="MODE", help="Who does what; the default is self-service.")
@STATE_DIR
@click.pass_context
def new(context: click.Context, name: str, guide_id: str | None, mode: str | None) -> int:
    """Create the setup NAME and open it on the screen."""
    from wizard import opening

    opening.require_terminal()
    places = _places(context)
    return _open_screens(opening.new(places, name, guide_id, mode), places)


@app.command()
@click.argument("name")
@STATE_DIR
@click.pass_context
def resume(context: click.Context, name: str) -> int:
    """Open the setup NAME on the screen where it was left; a sandbox setup gets its servers back."""
    from wizard import opening

    opening.require_terminal()
    places = _places(context)
    return _open_screens(opening.resume(places, name), places)


@app.command()
@click.argument("name")
@click.option("--answers", required=True, metavar="FILE", help="The answers file (README).")
@STATE_DIR
@click.pass_context
def run(context: click.Context, name: str, answers: str) -> int:
    """Take the steps of NAME unattended; creates it, or resumes it where it was left."""
    from wizard import commands
    from wizard.files import expanded

    return commands.run(_places(context), name, expanded(answers))


@app.command()
@click.option("--serve", is_flag=True, help="Only serve; print where everything is as JSON.")
@click.option("--unattended", is_flag=True, help="Take all steps without the screens, as without a terminal.")
@click.option("--reset", is_flag=True, help="Start afresh: new ports, credentials and cluster.")
@click.option("--fetch-helm", is_flag=True, help="Fetch a pinned helm if there is none on PATH, without asking.")
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Break something on purpose; may be repeated.")
@click.option("--faults", "list_faults", is_flag=True, help="Show the faults there are.")
@STATE_DIR
@click.pass_context
def sandbox(
    context: click.Context,
    serve: bool,
    unattended: bool,
    reset: bool,
    fetch_helm: bool,
    faults: tuple[str, ...],
    list_faults: bool,
) -> int:
    """Rehearse the whole job on this machine, on the screen: no Azure, no cluster, no account.

    Without --reset it goes on where it was left. Without a terminal all steps are taken unattended.
    """
    from wizard import opening, rehearsal

    if list_faults:
        return rehearsal.show_faults()
    places = _places(context)
    if serve:
        return rehearsal.serve(places, reset=reset, fetch_helm=fetch_helm, faults=faults)
    if unattended or not opening.has_terminal():
        return rehearsal.rehearse(places, reset=reset, fetch_helm=fetch_helm, faults=faults)
    opening.require_terminal()

    def show(start: opening.Rehearsal) -> int:
        return _open_screens(start, places)

    return rehearsal.rehearse(places, reset=reset, fetch_helm=fetch_helm, faults=faults, show=show)


# ---------------------------------------------------------------- entry


def _places(context: click.Context) -> Places:
    from wizard.places import places

    return places(context.ensure_object(dict).get("state_dir"))


def main(arguments: list[str] | None = None) -> int:
    """Runs a command and turns everything that can happen into an exit code and words; never a traceback."""
    if sys.platform == "win32":
        sys.stderr.write("privatelink-wizard runs on Linux, macOS and WSL. On Windows, run it inside WSL.\n")
        return EXIT_USAGE
    options: dict[str, Any] = {}
    try:
        result = app.main(args=arguments, prog_name="privatelink-wizard", standalone_mode=False, obj=options)
    except Problem as problem:
        from wizard.output import say_problem

        say_problem(problem)
        return problem.exit_code
    except click.ClickException as error:
        error.show(sys.stderr)
        return EXIT_USAGE
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write("Interrupted. What was saved is saved; run the same command again to go on.\n")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a log file instead of a traceback
        return _unknown(error, options.get("state_dir"))
    return result if isinstance(result, int) else EXIT_OK


def _unknown(error: Exception, state_dir: str | None) -> int:
    """An error nobody foresaw: its frames go to a private log, its name and the log's path to the user."""
    from state.secrets import SecretGuard
    from state.store import log_unknown_error
    from wizard.output import say_problem
    from wizard.places import places
    from wizard.secret import known_spellings

    guard = SecretGuard()
    guard.hold(*known_spellings())

    where: str | None = None
    try:
        where = str(log_unknown_error(places(state_dir).real.state_dir, error, guard))
    except (OSError, Problem):
        where = None
    say_problem(
        Problem(
            "internal",
            f"The program met something it does not know: {type(error).__name__}.",
            means="What was saved before is saved.",
            todo=f"Report it with {where}." if where else "Report it; its log could not be written.",
        )
    )
    return EXIT_USAGE
