"""The bill of materials: valid CycloneDX, complete, and the same from everybody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from relsign.build.sbom import make_sbom
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.fingerprint import SourceDigest
from relsign.formats.lock import parse_lock
from relsign.formats.names import Digest
from relsign.formats.recipe import Target
from tests.build.sbom_samples import LOCKS, RECIPE, TARGET, built
from tests.formats.samples import AA, BB, CC, make_fingerprint

PROJECT = Path(__file__).parents[2]


def refs(document: dict[str, list[dict[str, str]]], beginning: str) -> list[str]:
    return [c["bom-ref"] for c in document["components"] if c["bom-ref"].startswith(beginning)]


@pytest.mark.parametrize("name", LOCKS)
@pytest.mark.parametrize("epoch", [1_700_000_000, None])
def test_it_is_valid_by_the_schema(name: str, epoch: int | None) -> None:
    lock = LOCKS[name]
    data = make_sbom(RECIPE, TARGET, lock, built(lock, source_date_epoch=epoch))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode()) is None
    document = json.loads(data)
    assert document["specVersion"] == "1.6"
    expected = "2023-11-14T22:13:20+00:00" if epoch else None
    assert document["metadata"].get("timestamp") == expected


def test_the_validator_finds_faults() -> None:
    lock = LOCKS["debian"]
    broken = json.loads(make_sbom(RECIPE, TARGET, lock, built(lock)))
    broken["components"][0]["hashes"][0]["content"] = "short"
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken))
    assert fault is not None


def test_every_input_and_artifact_is_in_it() -> None:
    lock = LOCKS["debian"]
    document = json.loads(make_sbom(RECIPE, TARGET, lock, built(lock)))
    hashes = {c["bom-ref"]: c["hashes"][0]["content"] for c in document["components"]}
    assert list(hashes) == sorted(hashes)
    assert hashes["artifact:gzip"] == AA
    assert hashes["builder:debian-python"] == BB
    assert [re.sub("#.*", "", ref) for ref in hashes if ref.startswith("pkg:")] == [
        "pkg:cargo/memchr@2.7.4",
        "pkg:deb/debian/base-files@1:12.4%2Bdeb12u15?arch=amd64",
        "pkg:deb/debian/gzip?arch=source&file_name=gzip_1.12.orig.tar.xz",
        "pkg:generic/odd?file_name=odd.tar.gz",
        f"pkg:generic/tool@{'ab' * 20}?file_name=tool-abababababab.tar",
        "pkg:golang/example.org/Mod/x@v1.2.3%2Bincompatible",
        "pkg:golang/example.org/only@v0.1.0",
        "pkg:npm/%40scope/name@1.0.0",
        "pkg:pypi/attrs@26.1.0?file_name=attrs-26.1.0.tar.gz",
        "pkg:pypi/hatchling@1.32.4?file_name=hatchling-1.32.4-py3-none-any.whl",
    ]
    edges = {e["ref"]: e.get("dependsOn", []) for e in document["dependencies"]}
    assert edges["target:linux-amd64"] == ["artifact:gzip", "artifact:gzip.1"]
    assert "builder:debian-python" in edges["artifact:gzip"]
    assert len(edges["artifact:gzip"]) == 1 + len(RECIPE.source)
    assert len(edges["builder:debian-python"]) == 6
    scopes = {c["bom-ref"]: c["scope"] for c in document["components"]}
    assert {scopes[ref] for ref in edges["builder:debian-python"]} == {"excluded"}


def test_an_image_is_a_container_by_digest() -> None:
    lock = LOCKS["oci"]
    document = json.loads(make_sbom(RECIPE, TARGET, lock, built(lock)))
    (image,) = [c for c in document["components"] if c["type"] == "container"]
    assert image["purl"] == f"pkg:oci/debian@sha256:{AA}?arch=amd64"
    assert image["hashes"] == [{"alg": "SHA-256", "content": BB}]


def test_knobs_and_normalisers_are_told() -> None:
    lock = LOCKS["debian"]
    whole = built(lock)
    first = msgspec.structs.replace(whole.artifacts[0], normalised=("tar-1", "gzip-1"))
    profile = msgspec.structs.replace(whole.profile, without=("cgroup path", "uptime"))
    changed = msgspec.structs.replace(
        whole, artifacts=(first, *whole.artifacts[1:]), profile=profile
    )
    data = make_sbom(RECIPE, TARGET, lock, changed)
    document = json.loads(data)
    about = {p["name"]: p["value"] for p in document["metadata"]["component"]["properties"]}
    assert about["relsign:profile-without"] == "cgroup path, uptime"
    assert about["relsign:fingerprint-sha256"] == sha256_hex(changed.to_bytes())
    artifact = next(c for c in document["components"] if c["bom-ref"] == "artifact:gzip")
    assert {"name": "relsign:normalised", "value": "tar-1 gzip-1"} in artifact["properties"]


# --- the same from everybody -------------------------------------------------------------------

AGAIN = """
import sys
from tests.build.sbom_samples import LOCKS, RECIPE, TARGET, built
from relsign.build.sbom import make_sbom
sys.stdout.buffer.write(make_sbom(RECIPE, TARGET, LOCKS["debian"], built(LOCKS["debian"])))
"""


def test_another_process_another_day_writes_the_same_bytes() -> None:
    """Other hash seeds, time zone, locale and user; a random or timed field would show."""
    lock = LOCKS["debian"]
    ours = make_sbom(RECIPE, TARGET, lock, built(lock))
    for seed, zone in (("1", "Asia/Tokyo"), ("2", "America/New_York")):
        environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": seed,
            "TZ": zone, "LC_ALL": "C", "HOME": "/nonexistent", "USER": f"canary-{seed}",
        }  # fmt: skip
        done = subprocess.run([sys.executable, "-c", AGAIN], cwd=PROJECT, env=environment,
                              capture_output=True, check=True, timeout=60)  # fmt: skip
        assert done.stdout == ours
    assert make_sbom(RECIPE, TARGET, lock, built(lock, version="1.12", target=TARGET.name)) == ours


def test_another_fingerprint_gets_another_serial_number() -> None:
    lock = LOCKS["debian"]
    numbers = {
        json.loads(make_sbom(RECIPE, TARGET, lock, built(lock, recipe_sha256=digest)))[
            "serialNumber"
        ]
        for digest in (AA, BB)
    }
    assert len(numbers) == 2


def test_a_real_environment_is_listed_whole() -> None:
    lock = parse_lock((PROJECT / "builders" / "debian-python" / "builder.lock").read_bytes())
    document = json.loads(make_sbom(RECIPE, TARGET, lock, built(lock)))
    debian = [ref for ref in refs(document, "pkg:deb/") if "arch=source" not in ref]
    assert len(debian) == len(lock.packages)


# --- papers of another build -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"target": "other"}, "another target"),
        ({"project": "other"}, "another project"),
        ({"version": "9"}, "another version"),
        ({"environment": make_fingerprint().environment}, "another lock"),
        ({"sources": (SourceDigest(name="gzip", sha256=Digest(CC)),)}, "another set of sources"),
    ],
)
def test_papers_of_another_build_are_refused(changes: dict[str, object], what: str) -> None:
    lock = LOCKS["debian"]
    with pytest.raises(InputError, match=what) as caught:
        make_sbom(RECIPE, TARGET, lock, built(lock, **changes))
    assert caught.value.hint


def test_a_target_of_the_recipe_is_asked_for_by_name() -> None:
    lock = LOCKS["debian"]
    other: Target = msgspec.structs.replace(TARGET, name="other")
    assert make_sbom(RECIPE, other, lock, built(lock, target="other"))
