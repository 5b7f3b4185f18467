"""From the locked files to the environment's root file system, with no network.

mmdebstrap installs exactly the locked packages from a flat folder, in namespaces
of its own: no network device, a fixed host name, private mounts that vanish with
it, and a process tree that dies with it.  The result depends on the lock alone:
the caller's umask, locale, time zone, host name and folders do not enter, and the
files mmdebstrap copies from this machine are replaced.  Its digest must be the
lock's.

    bootstrap(lock, store, Path("rootfs.tar"))
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relsign.build.inputs.languages import PYTHON_FOLDER, language_tars
from relsign.build.inputs.mirrors import last_words
from relsign.build.store import Store
from relsign.errors import HostError, VerificationError
from relsign.formats.lock import BuilderLock, LockedPackage, RootFileSystem
from relsign.system.files import hash_file, host_error, make_folder, sync_folder
from relsign.system.process import require_program, run_program

BOOTSTRAP_SECONDS = 1800
HOST_NAME = "relsign"
MEMORY_BYTES = 4 << 30
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")
# Documentation and translations are a quarter of the bytes, and no build reads them.
EXCLUDED = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
NAMESPACES = ("--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child")

# $1 is "memory" to work in a file system of this mount namespace only, $2 its folder.
INSIDE = f"""
umask 022
hostname {HOST_NAME}
if [ "$1" = memory ]; then mount -t tmpfs -o size=75%,mode=0755 relsign "$2"; fi
shift 2
exec "$@"
"""

# Some packages' scripts put links among the manuals, which we leave out (Java's do), so
# their folder must be there while packages are configured.
MANUALS = """
touch -r "$1/usr/share/man" "$1/.manuals"
mkdir -p "$1/usr/share/man/man1"
"""

# Run by mmdebstrap with the new root as $1.  The first lines replace what it took
# from this machine or from the path we happened to use.
CUSTOMIZE = f"""#!/bin/sh
set -eu
umask 022
rm -f "$1/etc/hostname" "$1/etc/resolv.conf"
echo {HOST_NAME} > "$1/etc/hostname"
printf '127.0.0.1 localhost\\n::1 localhost\\n' > "$1/etc/hosts"
: > "$1/etc/resolv.conf"
: > "$1/etc/apt/sources.list"
rm -rf "$1/etc/apt/apt.conf.d/99mmdebstrap" "$1/var/lib/apt" "$1/var/cache/apt" "$1/var/log/apt"
if rmdir "$1/usr/share/man/man1" 2>/dev/null; then
    touch -r "$1/.manuals" "$1/usr/share/man"
fi
rm "$1/.manuals"
# Java's copy of the certificates bears the time it was made; no build has a network.
rm -f "$1/etc/ssl/certs/java/cacerts"
mkdir -p "$1/{PYTHON_FOLDER}"
for language in LANGUAGES/*.tar; do
    if [ -e "$language" ]; then
        tar --extract --keep-old-files --no-same-owner --file "$language" --directory "$1"
    fi
done
"""


def bootstrap(lock: BuilderLock, store: Store, destination: Path) -> None:
    """Make the lock's root file system as an uncompressed tar at `destination`.

    Needs every locked file in `store`.  Raises NotEnoughError if one is missing,
    HostError if this machine cannot bootstrap, VerificationError (leaving no file)
    if the result is not the one the lock names.
    """
    with _unfinished(destination) as temporary:
        made = make_rootfs(lock, store, temporary)
        if made != lock.rootfs:
            raise VerificationError(
                "root file system differs from the lock's",
                where="builder.lock: rootfs",
                expected=f"{lock.rootfs.sha256} of {lock.rootfs.size} bytes",
                got=f"{made.sha256} of {made.size} bytes",
                hint="compare the versions of mmdebstrap, apt, dpkg and tar with the lock's author",
            )


def make_rootfs(lock: BuilderLock, store: Store, destination: Path) -> RootFileSystem:
    """Make the root file system and return what it is, whatever the lock says it should be."""
    with tempfile.TemporaryDirectory(prefix="relsign-") as name:
        folder = Path(name)
        if not _PLAIN_PATH.fullmatch(name):
            # The path stands in an apt source and in a shell script.
            raise HostError("temporary folder has an odd name", where=name, hint="set TMPDIR")
        # The unpacked root is worked on as other users, who must get through.
        folder.chmod(0o755)
        (folder / "work").mkdir()
        (folder / "languages").mkdir()
        language_tars(lock, store, folder / "languages")
        _lay_out_packages(lock, store, folder / "packages")
        hook = folder / "customize"
        hook.write_text(CUSTOMIZE.replace("LANGUAGES", f"{folder}/languages"), "utf-8")
        hook.chmod(0o755)
        _run(lock, folder, destination)
    made = hash_file(destination)
    return RootFileSystem(sha256=made.sha256, size=made.size)


def _lay_out_packages(lock: BuilderLock, store: Store, folder: Path) -> None:
    """Make a flat archive of exactly the locked packages."""
    folder.mkdir()
    for package in lock.packages:
        _place(store.path(package.sha256), folder / _file_name(package))
    program = require_program("apt-ftparchive", "apt-utils")
    index = run_program([program, "packages", "."], cwd=folder)
    if index.returncode:
        raise HostError("packages cannot be indexed", got=last_words(index.stderr))
    # The tool lists files in the folder's own order, which differs between disks
    # and would decide the order in which packages are configured.
    stanzas = sorted(re.split(rb"\n\n+", index.stdout.strip()))
    (folder / "Packages").write_bytes(b"\n\n".join(stanzas) + b"\n")


def _file_name(package: LockedPackage) -> str:
    return package.path.rsplit("/", 1)[-1]


def _place(stored: Path, place: Path) -> None:
    try:
        os.link(stored, place)
    except OSError:  # another file system
        try:
            shutil.copyfile(stored, place)
        except OSError as error:
            raise host_error(error, place) from error


def _run(lock: BuilderLock, folder: Path, destination: Path) -> None:
    place = "memory" if _available_bytes() > MEMORY_BYTES else "disk"
    command: list[str | Path] = [
        # Killed even if we are killed ourselves and can clean up nothing.
        *(require_program("setpriv", "util-linux"), "--pdeathsig", "KILL", "--"),
        *(require_program("unshare", "util-linux"), *_user_namespace(), *NAMESPACES, "--"),
        *("sh", "-e", "-c", INSIDE, "sh", place, folder / "work"),
        *(require_program("mmdebstrap", "mmdebstrap"), "--mode=root", "--variant=essential"),
        *("--format=tar", f"--architectures={lock.architecture}", "--quiet"),
        "--include=" + ",".join(package.name for package in lock.packages),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        # apt drops to an unprivileged user where the folders let it, and hands some of
        # them to that user's number on this machine; its traces go with our hook instead.
        *('--aptopt=APT::Sandbox::User "root"', "--skip=cleanup/apt"),
        f"--essential-hook={MANUALS}",
        f"--customize-hook={folder}/customize",
        *("", destination, f"deb [trusted=yes] copy://{folder}/packages ./"),
    ]
    environment = {"SOURCE_DATE_EPOCH": str(lock.source_date_epoch), "TMPDIR": f"{folder}/work"}
    result = run_program(command, environment=environment, timeout_seconds=BOOTSTRAP_SECONDS)
    if result.returncode:
        raise HostError(
            "root file system cannot be made",
            got=last_words(result.stderr),
            hint="needs namespaces: run as root, or with `unshare --map-auto` working "
            "(/etc/subuid and the package uidmap)",
        )


def _user_namespace() -> tuple[str, ...]:
    """Return what an ordinary user needs to be root over the new files, and nothing else."""
    return () if os.geteuid() == 0 else ("--user", "--map-root-user", "--map-auto")


def _available_bytes() -> int:
    """Return how much memory could be used without swapping; 0 if the kernel does not say."""
    table = Path("/proc/meminfo").read_text("ascii")
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", table, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


@contextmanager
def _unfinished(destination: Path) -> Iterator[Path]:
    """Yield a name beside `destination`, renamed to it at the end and removed on any failure."""
    make_folder(destination.parent)
    name = f".{destination.name[:100]}.{secrets.token_hex(6)}.tmp"
    temporary = destination.parent.resolve() / name
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(destination)
        sync_folder(destination.parent)
    except OSError as error:
        raise host_error(error, destination) from error
    finally:
        temporary.unlink(missing_ok=True)
