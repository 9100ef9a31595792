"""The life of a local stack: which processes it has, what each is told, in which order they start.

MiniStack first, then the simulator, which launches its instances through MiniStack's EC2; then the deployment; workers
last, because they refuse to start without the ARNs. The command line is in `stack.py`, the memory between two calls in
`state.py`, and what a process is in `processes.py`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local import binaries, deploy, processes, state
from local.processes import ProcessIdentity
from local.state import Member, State

CHECKOUT = Path(__file__).resolve().parent.parent

HOST = "127.0.0.1"
ACCOUNT = "111122223333"  # MiniStack and the simulator take a 12-digit access key for the account
# Every SDK sends its value in the user agent. The ledger of calls knows a worker by it, under the name of the role it has on AWS.
APPLICATION, WORKER = "AWS_SDK_UA_APP_ID", "worker-task"
_READY_SECONDS = 60.0  # on a busy machine; in a quiet one everything is up in one
_GRACE_SECONDS = 3.0
_PORT_RELEASE_SECONDS = 1.0

_MINISTACK_SERVICES = (
    "SFN", "DYNAMODB", "EC2", "EVENTBRIDGE", "SNS", "STS", "CLOUDWATCH", "CLOUDWATCH_LOGS",
)  # fmt: skip


def _calls_wanted() -> Path | None:
    wanted = os.environ.get("TIDEGATE_CALLS")
    return Path(wanted) if wanted else None


class StackError(Exception):
    """Why the stack did not start, in one line, with the end of a log where there is one."""


@dataclass(frozen=True)
class Options:
    dir: Path = Path(".local")
    ministack_port: int = 4566  # 0: any free one
    simulator_port: int = 4590
    prefix: str = deploy.DEFAULT_PREFIX
    region: str = "us-west-2"
    contract: Path = deploy.DEFAULT_CONTRACT
    plans: Path = deploy.DEFAULT_PLANS
    bin_dir: Path = field(default_factory=binaries.folder)
    inventory: Path = Path("simulator/inventory/crm.json")
    scenario: Path | None = None
    speed: float = 120.0  # a wave of half an hour in a quarter of a minute
    seed: int = 1
    wait_scale: float = 0.05
    workers: int = 1
    regions: tuple[str, ...] = ()  # that the workers recover in, beside those of the inventory
    target_accounts: dict[str, dict[str, str]] = field(default_factory=dict)  # roles and external ids, likewise
    simulator: bool = True
    strict: bool = True
    deploy: bool = True  # False: the engines alone, without workers, for Terraform to deploy to
    calls: Path | None = field(default_factory=_calls_wanted)  # a folder for ledgers, which tests/rights evaluates
    die_with_parent: bool = False

    def resolved(self) -> Options:
        """With absolute paths."""
        paths = {name: CHECKOUT / value for name, value in vars(self).items() if isinstance(value, Path)}
        return replace(self, **paths)


class Stack:
    """One local stack. `report` receives a line per thing that happened."""

    def __init__(self, options: Options, report: Callable[[str], None] = lambda line: None) -> None:
        self.options = options.resolved()
        self._report = report
        self._dir = self.options.dir
        self._state_file, self._env_file = self._dir / "stack.json", self._dir / "env"
        self._state = State()
        self._started: list[ProcessIdentity] = []

    def __enter__(self) -> Stack:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # -- what callers do --

    def up(self) -> dict[str, str]:
        """Start what is not running, deploy, and return the environment that points at it all."""
        state.private_folder(self._dir)
        with self._exclusively():
            self._state, self._started = state.load(self._state_file), []
            fresh = not any(member.running for member in self._state.members.values())
            if fresh:
                self._state = State()  # dead members of an earlier life, after a reboot say, bind us to nothing
            try:
                self._refuse_other_identity()
                self._up()
            except BaseException as error:
                # A half-started stack helps nobody; but what ran before this call is somebody's and stays.
                processes.stop(self._started, _GRACE_SECONDS)
                if fresh:
                    self._forget()
                if isinstance(error, (processes.ProcessFailed, deploy.DeployError)):
                    raise StackError(str(error)) from error
                if isinstance(error, (ClientError, BotoCoreError)):
                    log = processes.tail(self.log("ministack"))
                    raise StackError(f"the deployment was refused: {error}{log}") from error
                raise
            return self.environment()

    def down(self) -> bool:
        """Stop what this stack started. False when there was nothing to stop."""
        if not self._state_file.exists():
            return False
        with self._exclusively():
            self._state = state.load(self._state_file)
            identities = [member.identity for member in self._state.members.values()]
            running = [identity for identity in identities if identity.running()]
            processes.stop(identities, _GRACE_SECONDS)
            self._forget()
            return bool(running)

    def status(self) -> dict[str, Member]:
        return state.load(self._state_file).members

    def environment(self) -> dict[str, str]:
        """The variables of `env`: what the workers got."""
        return dict((self._state if self._state.environment else state.load(self._state_file)).environment)

    def log(self, name: str) -> Path:
        return self._dir / "logs" / f"{name}.log"

    # -- starting --

    def _up(self) -> None:
        revived = self._ensure_ministack()
        if self.options.simulator:
            self._ensure_simulator(restart=revived)
        aws = self._aws_environment()
        if not self.options.deploy:
            self._state.environment = aws
            self._save()
            self._write_env()
            return
        deployer = deploy.Deployer(self.options.contract, self.options.prefix, aws)
        deployed = deployer.deploy()
        groups = self.options.plans.parent / deploy.PROTECTION_GROUPS.name
        loaded = deployer.load_plans(self.options.plans, groups)
        self._state.environment = {
            **aws,
            "TIDEGATE_STATE_MACHINE_ARN": deployed.state_machine_arn,
            "TIDEGATE_RECONCILE_ARN": deployed.reconcile_arn,
            "TIDEGATE_ACTIVITY_ARNS": json.dumps(deployed.activity_arns, separators=(",", ":")),
            "TIDEGATE_TABLES": json.dumps(deployed.tables, separators=(",", ":")),
            **self._reach(),
        }
        self._report(
            f"deployed {len(deployed.tables)} tables, {len(deployed.activity_arns)} activities, "
            f"{len(deployed.state_machine_arns)} state machines; {loaded} plans and groups new or changed"
        )
        self._save()
        for number in range(1, self.options.workers + 1):
            self._ensure_worker(f"worker-{number}")
        self._write_env()

    def _ensure_ministack(self) -> bool:
        """True when a MiniStack that had run before was started again, its memory lost."""
        if self._already_running("ministack"):
            return False
        revived = bool(self._state.environment)
        port = self._port("ministack", self.options.ministack_port)
        launcher = [str(CHECKOUT / "local" / "ministack_strict.py"), "--host", HOST, "--port", str(port)]
        launcher += self._calls("ministack")
        argv = [sys.executable, *(launcher if self.options.strict else ["-m", "ministack"])]
        scratch = self._dir / "tmp"
        scratch.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": self.options.region,
            "SFN_WAIT_SCALE": str(self.options.wait_scale),
            **_passed_on("SFN_READING"),
            # Listeners on fixed ports that nobody here needs, and would collide between two stacks.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # MiniStack removes containers labelled as its own when it starts; those of another one are not ours.
            "DOCKER_HOST": f"unix://{scratch}/no-docker",
            "TMPDIR": str(scratch),
            "HOME": str(scratch),
        }
        url = f"http://{HOST}:{port}"
        self._start("ministack", argv, environment, lambda: url if _answers(f"{url}/_ministack/health") else None)
        return revived

    def _ensure_simulator(self, *, restart: bool) -> None:
        running = self._state.members.get("simulator")
        if restart and running is not None and running.running:
            # The instances it knows were in the memory of the MiniStack that died.
            self._report("simulator  restarting, its instances went with MiniStack")
            processes.stop([running.identity], _GRACE_SECONDS)
        if self._already_running("simulator"):
            return
        port = self._port("simulator", self.options.simulator_port)
        argv = [
            self._binary("tidegate-simulator"),
            "--listen", f"{HOST}:{port}",
            "--ec2-endpoint", self._url("ministack"),
            "--speed", f"{self.options.speed:g}",
            "--seed", str(self.options.seed),
            "--inventory", str(self.options.inventory),
            "--account", ACCOUNT,
        ]  # fmt: skip
        if running is not None and not restart:
            # Ids of jobs are made from the seed, and records may hold those of the life that ended.
            argv += ["--life", str(time.time_ns() // 1_000_000)]
            self._report(
                "simulator  had died, and with it every job and instance it knew: runs that follow one will find that DRS "
                "no longer lists it, EC2 keeps the instances"
            )
        if self.options.scenario is not None:
            argv += ["--scenario", str(self.options.scenario)]
        argv += self._calls("simulator")
        log = self.log("simulator")
        seen = log.stat().st_size if log.exists() else 0  # an earlier run announced itself in the same file
        self._start(
            "simulator", argv, {**self._base_environment(), **_passed_on("RUST_")}, lambda: _announced(log, seen)
        )

    def _ensure_worker(self, name: str) -> None:
        if self._already_running(name):
            return
        port = processes.free_port()
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            **_passed_on("RUST_", "TIDEGATE_"),
            **self._state.environment,
            "TIDEGATE_HEALTH_ADDR": f"{HOST}:{port}",
            APPLICATION: WORKER,
        }
        url = f"http://{HOST}:{port}"
        argv = [self._binary("tidegate-worker"), "run"]
        self._start(name, argv, environment, lambda: url if _answers(f"{url}/healthz") else None)

    def _reach(self) -> dict[str, str]:
        """Where the workers may recover: wherever the inventory has servers, and what the options name."""
        inventory = json.loads(self.options.inventory.read_text()) if self.options.simulator else {}
        groups = [inventory, *inventory.get("servers", []), *inventory.get("generate", [])]
        accounts = {str(group.get("account", ACCOUNT)) for group in groups} - {ACCOUNT}
        roles = {account: {"roleArn": f"arn:aws:iam::{account}:role/tidegate-target"} for account in sorted(accounts)}
        regions = {str(group.get("region", self.options.region)) for group in groups}
        return {
            "TIDEGATE_REGIONS": ",".join(sorted({self.options.region, *regions, *self.options.regions})),
            "TIDEGATE_TARGET_ACCOUNTS": json.dumps({**roles, **self.options.target_accounts}),
        }

    def _calls(self, name: str) -> list[str]:
        """A ledger of its own for each process that ever runs: none of two that write may share a file."""
        if self.options.calls is None:
            return []
        return ["--calls", str(self.options.calls / f"{name}-{uuid.uuid4().hex}.jsonl")]

    def _already_running(self, name: str) -> bool:
        member = self._state.members.get(name)
        if member is None or not member.running:
            return False
        self._report(f"{name:<10} {member.url}  already running, pid {member.identity.pid}")
        return True

    def _start(
        self, name: str, argv: list[str], environment: Mapping[str, str], ready: Callable[[], str | None]
    ) -> None:
        """Start a process and wait until `ready` gives its address."""
        log = self.log(name)
        process = processes.spawn(argv, environment, log, die_with_parent=self.options.die_with_parent)
        identity = processes.identify(process)
        self._started.append(identity)
        found: list[str] = []

        def is_ready() -> bool:
            url = ready()
            found.extend([url] if url else [])
            return bool(url)

        # Recorded before it is ready: should this process die now, `down` still finds what it has started.
        self._state.members[name] = Member(identity, self._known_url(name))
        self._save()
        processes.wait_ready(name, process, is_ready, _READY_SECONDS, log)
        self._state.members[name] = Member(identity, found[0])
        self._save()
        self._report(f"{name:<10} {found[0]}  started, pid {process.pid}, log {log}")

    def _port(self, name: str, wanted: int) -> int:
        # A member that died comes back where `env` says it is.
        known = self._known_url(name)
        port = int(known.rpartition(":")[2]) if known else wanted
        if port == 0:
            return processes.free_port(HOST)
        # The threads of a process that was killed a moment ago may hold its port a little longer than it lives.
        if not processes.wait_until(lambda: processes.port_is_free(port, HOST), _PORT_RELEASE_SECONDS):
            raise StackError(
                f"port {port} is taken by another program; choose another with --{name}-port or "
                f"TIDEGATE_{name.upper()}_PORT (0 = any free one)"
            )
        return port

    def _binary(self, name: str) -> str:
        path = self.options.bin_dir / name
        if not os.access(path, os.X_OK):
            raise StackError(f"{path} is missing; build it with `cargo build` or name its folder with --bin-dir")
        return str(path)

    def _refuse_other_identity(self) -> None:
        """A running stack keeps the options it was started with; those that name things must not differ."""
        recorded, asked = self._state.options, _plain(self.options)
        for name in ("prefix", "region", "strict"):
            if recorded and recorded.get(name) != asked[name]:
                raise StackError(
                    f"this stack runs with {name} {recorded.get(name)!r}, not {asked[name]!r}; `down` first"
                )
        for name in ("speed", "seed", "scenario", "inventory", "wait_scale"):
            if recorded and recorded.get(name) != asked[name]:
                self._report(f"note: the running stack keeps {name} {recorded.get(name)!r} until `down`")
        self._state.options = {**asked, **recorded}

    # -- the environment --

    def _base_environment(self) -> dict[str, str]:
        return {
            "AWS_REGION": self.options.region,
            "AWS_DEFAULT_REGION": self.options.region,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }

    def _aws_environment(self) -> dict[str, str]:
        ministack, simulator = self._url("ministack"), self._known_url("simulator")
        environment = {"AWS_ENDPOINT_URL": ministack}
        environment.update({f"AWS_ENDPOINT_URL_{service}": ministack for service in _MINISTACK_SERVICES})
        if self.options.simulator:
            environment.update({"AWS_ENDPOINT_URL_DRS": simulator, "TIDEGATE_SIMULATOR_URL": simulator})
        return {**environment, **self._base_environment()}

    def _write_env(self) -> None:
        # A profile or session token of the shell would win over these keys, or travel along with them.
        lines = ["unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN"]
        lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(self._state.environment.items())]
        state.write(self._env_file, "\n".join(lines) + "\n")

    def _url(self, name: str) -> str:
        return self._state.members[name].url

    def _known_url(self, name: str) -> str:
        member = self._state.members.get(name)
        return member.url if member is not None else ""

    # -- the state file --

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (self._dir / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _save(self) -> None:
        state.save(self._state_file, self._state)

    def _forget(self) -> None:
        self._state = State()
        for path in (self._state_file, self._env_file):
            path.unlink(missing_ok=True)
        shutil.rmtree(self._dir / "tmp", ignore_errors=True)


def _plain(options: Options) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}


def _passed_on(*prefixes: str) -> dict[str, str]:
    """Settings of the caller that are the processes' own business, such as RUST_LOG."""
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _announced(log: Path, offset: int) -> str | None:
    """The address in the line `{"listening": "http://..."}` the simulator prints when it is ready."""
    with log.open("rb") as lines:
        lines.seek(offset)
        for line in lines.read().splitlines():
            if line.startswith(b'{"listening"'):
                with contextlib.suppress(ValueError):
                    return str(json.loads(line)["listening"])
    return None
