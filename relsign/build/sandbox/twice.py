"""Two looks from inside, under conditions as different as one machine can make them.

The second container runs later, on another CPU, beside a container that is busy,
with its files bound from another folder; and whoever asks for it is another process
with other variables (a docker configuration with a proxy among them), time zone,
locale, home folder, working folder, umask, priority and limits.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from relsign.build.engine.connection import TLS_VARIABLES, Engine
from relsign.build.engine.container import HostSettings, open_container
from relsign.build.limit import looking
from relsign.build.profile import load_profile
from relsign.build.sandbox.observe import Observation, Order, observe
from relsign.build.sandbox.probe import ProbeReport, channel_owners, judge, read_channels
from relsign.errors import HostError
from relsign.formats.canonical import shorten
from relsign.system.process import run_program

PAUSE_SECONDS = 2.5
CHILD_SECONDS = 120
BUSY = "(while :; do :; done) >/dev/null 2>&1 &"
OTHER_CALLER = 'umask 077; ulimit -n 200; ulimit -c 0; exec nice -n 7 "$@"'


def probe_twice(engine: Engine, order: Order, cpus: Sequence[int]) -> ProbeReport:
    """Probe `order` here and again from elsewhere; return what came of it.

    The first run uses the first of `cpus`, the second the last.  Raises InputError
    for a profile without channels or an environment without a compiler,
    VerificationError if the probe and the profile do not belong together, and
    HostError if the engine fails.  That fixed channels differ is the report's to say.
    """
    profile = load_profile(order.profile)
    channel_owners(profile)
    first = observe(engine, msgspec.structs.replace(order, cpu=cpus[0]))
    time.sleep(PAUSE_SECONDS)
    with tempfile.TemporaryDirectory(prefix="relsign-elsewhere-") as folder:
        elsewhere = Path(folder)
        other = msgspec.structs.replace(order, cpu=cpus[-1], cache=str(elsewhere / "cache"))
        with _neighbour(engine, other):
            second = _observe_elsewhere(engine, other, elsewhere)
    without = tuple(sorted({*first.missing, *second.missing}))
    return judge(profile, read_channels(first.said), read_channels(second.said), without)


@contextlib.contextmanager
def _neighbour(engine: Engine, order: Order) -> Iterator[None]:
    """Keep another container busy on the same CPU."""
    profile = load_profile(order.profile)
    settings = HostSettings(Path(order.cache), profile.variables({}, None), (order.cpu,))
    with open_container(engine, order.image, profile, settings) as container:
        with looking(container):
            container.execute((*profile.wrapper, profile.build_folder, BUSY), bytes)
        yield


def _observe_elsewhere(engine: Engine, order: Order, folder: Path) -> Observation:
    proxies = {"default": {"httpProxy": "http://192.0.2.1:1", "noProxy": "elsewhere"}}
    (folder / "config.json").write_bytes(msgspec.json.encode({"proxies": proxies}))
    environment = {
        "DOCKER_HOST": engine.url,
        "DOCKER_CONFIG": str(folder),
        "HOME": str(folder),
        "HOSTNAME": "elsewhere",
        "HTTP_PROXY": "http://192.0.2.1:1",
        "http_proxy": "http://192.0.2.1:1",
        "LANG": "C",
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": "1",
        "TZ": "Pacific/Auckland",
        "USER": "elsewhere",
        # Without these an engine behind TLS would not answer the other caller.
        **{name: os.environ[name] for name in TLS_VARIABLES if name in os.environ},
    }
    words = msgspec.json.encode(order).decode()
    python = (sys.executable, "-P", "-m", "relsign.build.sandbox.observe", words)
    done = run_program(
        ("/bin/sh", "-c", OTHER_CALLER, "sh", *python),
        environment=environment,
        cwd=folder,
        timeout_seconds=CHILD_SECONDS,
    )
    if done.returncode != 0:
        words = shorten(done.stderr.decode("utf-8", "replace").strip(), 400)
        raise HostError("the second run of the probe failed", got=words)
    return msgspec.json.decode(done.stdout, type=Observation)
