"""Test sessions: `uvx nox` what CI runs, `uvx nox -s 'tests(fac)'` one package's, `uvx nox -s slow` the long ones."""

import os
import re
from pathlib import Path

import nox

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "docs", "tests"]

# uv reads no pip settings: pass on local wheels that pip is configured with (a CPU build of PyTorch, for example).
if "UV_FIND_LINKS" not in os.environ and os.environ.get("PIP_FIND_LINKS"):
    os.environ["UV_FIND_LINKS"] = ",".join(os.environ["PIP_FIND_LINKS"].split())

ROOT = Path(__file__).parent
# Fast tests compile many programs and run each a few times, in two processes that share two cores.
COMPILED_QUICKLY = {"XLA_FLAGS": "--xla_backend_optimization_level=0", "OMP_NUM_THREADS": "1"}
PACKAGES = sorted(p.parent.name for p in ROOT.glob("packages/*/pyproject.toml"))
ROOMS = ("jax", "torch")  # of the core; each needs the extra of its name
per_suite = nox.parametrize(
    "package, extra",
    [nox.param(p, "", id=p) for p in PACKAGES] + [nox.param("core", room, id=f"core-{room}") for room in ROOMS],
)


def sync(session: nox.Session, *args: str) -> None:
    """Make the session's own environment hold exactly what args ask for."""
    env = {"UV_PROJECT_ENVIRONMENT": session.virtualenv.location}
    session.run_install("uv", "sync", "--frozen", "--quiet", *args, env=env)


def sync_suite(session: nox.Session, package: str, extra: str) -> None:
    """An environment for one package's tests, with one of its extras if one is named."""
    sync(session, "--package", f"offlow-{package.replace('_', '-')}", *(["--extra", extra] if extra else []))


@nox.session(venv_backend="none")
def resolve(session: nox.Session) -> None:
    """Create the local, uncommitted uv.lock, afresh when it knows nothing of the local wheels in force."""
    lock = ROOT / "uv.lock"
    wheels = [w for w in os.environ.get("UV_FIND_LINKS", "").split(",") if w]
    needs_torch = any("[torch]" in p.read_text() for p in ROOT.glob("packages/*/pyproject.toml"))
    if needs_torch and lock.exists() and not all(w in lock.read_text() for w in wheels):
        lock.unlink()
    session.run("uv", "lock", "--quiet", external=True)


@nox.session(requires=["resolve"])
def lint(session: nox.Session) -> None:
    """Style and common mistakes."""
    sync(session, "--only-group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


def sync_all(session: nox.Session) -> None:
    """One environment with all packages, for what looks at them together."""
    sync(session, "--all-packages", "--group", "types")


@nox.session(requires=["resolve"])
def types(session: nox.Session) -> None:
    """Annotations of all packages against each other and against the libraries in use."""
    sync_all(session)
    session.run("ty", "check", "--python", session.virtualenv.location)


@nox.session(requires=["resolve"])
def docs(session: nox.Session) -> None:
    """Commands that README, docs and results show: every program understands those of its own."""
    sync_all(session)
    session.run("pytest", "tests", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(requires=["resolve"])
@per_suite
def tests(session: nox.Session, package: str, extra: str) -> None:
    """One package's fast tests in an environment that holds that package and its dependencies, nothing else.

    The core's backend rooms are extras, each with a test folder of its name and a session of its own.
    """
    sync_suite(session, package, extra)
    parallel = ["-n", "2", "--dist", "loadfile"]  # most of the time is compilation, which uses one core
    folder = f"packages/{package}/tests/{extra}"
    session.run("pytest", *parallel, folder, *session.posargs, env={"OFFLOW_ISOLATED": "1", **COMPILED_QUICKLY})


@nox.session(requires=["resolve"])
@per_suite
def slow(session: nox.Session, package: str, extra: str) -> None:
    """One package's long tests (minutes)."""
    sync_suite(session, package, extra)
    folder = f"packages/{package}/tests/{extra}"
    session.run("pytest", "-m", "slow", folder, *session.posargs, success_codes=[0, 5])


@nox.session(requires=["resolve"])
def compare(session: nox.Session) -> None:
    """Every agent of every package trained for a moment by `offlow reproduce`, and put side by side by `offlow report`.

    Each package trains in an environment of its own, `.venvs/<package>`; the report is left in the session's folder.
    """
    sync(session, "--package", "offlow-core")
    session.chdir(session.create_tmp())
    data = "data/pointmaze-medium-navigate-v0.npz"  # where the study looks for it
    if not Path(data).exists():  # with two episodes none would reach the goal, and DAC could not scale the rewards
        session.run("offlow", "data", "collect", "pointmaze-medium-navigate", "--episodes", "10", "--out", data)
    study = str(ROOT / "comparisons" / "every_agent.toml")
    session.run("offlow", "reproduce", study, "--out", "sweep", *session.posargs)
    session.run("offlow", "report", "sweep", "--out", "report")


@nox.session(venv_backend="none")
def pin(session: nox.Session) -> None:
    """Rewrite the exact pins in pyproject.toml from a fresh resolution; `-- --keep` only adds what is missing."""
    path = ROOT / "pyproject.toml"
    before = path.read_text()
    block = re.compile(r"constraint-dependencies = \[\n.*?\]\n", re.DOTALL)
    if "--keep" not in session.posargs:
        path.write_text(block.sub("constraint-dependencies = [\n]\n", before))
    (ROOT / "uv.lock").unlink(missing_ok=True)
    command = ["uv", "export", "--quiet", "--all-packages", "--all-extras", "--all-groups", "--no-emit-workspace"]
    command += ["--no-hashes", "--no-annotate", "--no-header"]
    local = dict.fromkeys(("UV_FIND_LINKS", "UV_INDEX"))  # unset: this machine's wheels must not enter the pins
    try:
        out = session.run(*command, external=True, silent=True, env=local)
    except BaseException:
        path.write_text(before)
        raise
    found: dict[str, list[str]] = {}
    for line in out.splitlines():
        if re.match(r"[a-z0-9]", line):
            found.setdefault(line.split("==")[0], []).append(line)
    # A constraint binds only what is required, so a package with one version everywhere needs no marker.
    pins = [w for v in found.values() for w in (v if len(v) > 1 else [v[0].split(" ;")[0]])]
    body = "".join(f'  "{p}",\n' for p in sorted(pins))
    path.write_text(block.sub(lambda _: f"constraint-dependencies = [\n{body}]\n", before))
    (ROOT / "uv.lock").unlink(missing_ok=True)
