"""Ways to change a release, drawn by chance: some it survives, and some it must not."""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable

import msgspec

from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.envelope import Envelope, Signature, parse_envelope
from relsign.formats.layout import Ed25519Public as LayoutPublic
from relsign.formats.layout import Layout, LayoutKey, Rules
from relsign.formats.link import Link, ReleaseBinding, Sha256
from relsign.formats.names import Digest
from tests.differential.worlds import Files, World
from tests.hostile.mutate import Bytes
from tests.verify.releases import sealed, secret

Change = Callable[[World, random.Random], Files]
"""Returns the changed release's evidence; the world may be changed in place."""


def steps_of(world: World) -> tuple[str, ...]:
    """Return the steps of a release; those it always has first."""
    return ("source", "build", "check") if world.checks else ("source", "build")


def pick(files: Files, ending: str, chance: random.Random) -> str:
    """Return the name of one file."""
    return chance.choice(sorted(name for name in files if name.endswith(ending)))


def dissent(world: World, chance: random.Random) -> Files:
    """Let a builder get other bytes."""
    files, other = world.files(), chance.choice(sorted(world.artifacts))
    return files | world.links(chance.choice(world.builders), other)


def half_dissent(world: World, chance: random.Random) -> Files:
    """Let a builder start from other sources, as one of its two links says."""
    files, builder = world.files(), chance.choice(world.builders)
    step = chance.choice(("source", "build"))
    evil = {"sources/demo": Sha256(sha256=Digest("e" * 64))}

    def change(who: str, link: Link) -> Link:
        if who != builder or link.name != step:
            return link
        if step == "source":
            return msgspec.structs.replace(link, products={**link.products, **evil})
        return msgspec.structs.replace(link, materials={**link.materials, **evil})

    world.change_link = change
    return files | world.links(builder)


def garbage(world: World, chance: random.Random) -> Files:
    """Make garbage of a link: a few bytes changed, or another file altogether."""
    files = world.files()
    name = pick(files, ".link", chance)
    junk = Bytes(files[name], f"{chance.random()}").make()
    return {**files, name: chance.choice((junk, b"", b"\xff\xfe", b"{}", b"[" * 99))}


def unlink(world: World, chance: random.Random) -> Files:
    """Leave a link out, or all that one builder made."""
    files = world.files()
    name = pick(files, ".link", chance)
    if chance.random() < 0.5:
        return {n: data for n, data in files.items() if n != name}
    return {n: data for n, data in files.items() if not n.endswith(name[-13:])}


def surplus(world: World, chance: random.Random) -> Files:
    """Add a stranger's link, a link under a new name, a file that is no link."""
    files = world.files()
    name = pick(files, ".link", chance)
    link = parse_envelope(files[name], name).payload
    extra = {
        "build.12345678.link": sealed(link, ["stranger"]),
        f"test.{name[-13:]}": files[name],
        "README": b"hello",
        "build.link": files[name],
    }
    return files | dict(chance.sample(sorted(extra.items()), 2))


def swap(world: World, chance: random.Random) -> Files:
    """File two links under each other's names."""
    files = world.files()
    one, two = pick(files, ".link", chance), pick(files, ".link", chance)
    return {**files, one: files[two], two: files[one]}


def relink(world: World, chance: random.Random) -> Files:
    """Let a builder sign a link with another command, release or file list."""
    builder = chance.choice(world.builders)
    step = chance.choice(steps_of(world))
    changes: tuple[dict[str, object], ...] = (
        {"command": ("make",)},
        {"environment": ReleaseBinding(project="demo", version="0.9")},
        {"environment": ReleaseBinding(project="fork", version="1.0")},
        {"products": {}},
        {"materials": {"evil": Sha256(sha256=Digest("e" * 64))}},
    )
    wanted = chance.choice(changes)

    def change(who: str, link: Link) -> Link:
        chosen = (who == builder or everybody) and link.name == step
        if not chosen or (link.name == "check" and "products" in wanted):
            # No link of a check can be written with products.
            return link
        return msgspec.structs.replace(link, **wanted)

    everybody = chance.random() < 0.2
    world.change_link = change
    return world.files()


def rules(world: World, chance: random.Random) -> Files:
    """Let the owners approve other rules."""
    name = chance.choice(steps_of(world))
    side = chance.choice(("expected_materials", "expected_products"))
    kind = chance.randrange(5)

    def other(present: Rules) -> Rules:
        extra = (("ALLOW", "*"), ("ALLOW", "sources/*"), ("CREATE", "*"), ("REQUIRE", "evil"))
        if kind == 4:
            return tuple(r for r in present[:-1] if r[0] != "CREATE") + present[-1:]
        return (extra[kind], *present)

    def change(layout: Layout) -> Layout:
        steps = tuple(
            msgspec.structs.replace(s, **{side: other(getattr(s, side))}) if s.name == name else s
            for s in layout.steps
        )
        return msgspec.structs.replace(layout, steps=steps)

    world.change_layout = change
    return world.files()


def thresholds(world: World, chance: random.Random) -> Files:
    """Let the owners approve other thresholds, or another command."""
    number = chance.randint(1, len(world.builders))
    changes: tuple[dict[str, object], ...] = (
        {"threshold": number},
        {"threshold": number},
        {"expected_command": ("make",)},
    )
    wanted, name = chance.choice(changes), chance.choice(steps_of(world))

    def change(layout: Layout) -> Layout:
        steps = tuple(
            msgspec.structs.replace(s, **wanted) if s.name == name else s for s in layout.steps
        )
        return msgspec.structs.replace(layout, steps=steps)

    world.change_layout = change
    files = world.files()
    if chance.random() < 0.5:
        files |= world.links(world.builders[0], min(world.artifacts))
    return files


def keys(world: World, chance: random.Random) -> Files:
    """Let the owners name a stranger as well, or leave a builder out."""
    gone = chance.random() < 0.5 and len(world.builders) > world.thresholds.builders

    def change(layout: Layout) -> Layout:
        held = dict(layout.keys)
        if gone:
            del held[world.parties()[world.builders[-1]].keyid]
        else:
            raw = secret("stranger").verify_key.encode()
            held["ab" * 32] = LayoutKey(keyid="ab" * 32, keyval=LayoutPublic(public=raw.hex()))
        steps = tuple(msgspec.structs.replace(s, pubkeys=tuple(held)) for s in layout.steps)
        return msgspec.structs.replace(layout, keys=held, steps=steps)

    world.change_layout = change
    return world.files()


def signatures(world: World, chance: random.Random) -> Files:
    """Make an owner's signature false, or leave it out, or add a stranger's."""
    files = world.files()
    layout = parse_envelope(files[LAYOUT_FILE], LAYOUT_FILE)
    kind, first = chance.randrange(3), layout.signatures[0]
    others = layout.signatures[1:]
    changed = (
        (Signature(keyid=first.keyid, sig=bytes(64)), *others),
        others,
        (*layout.signatures, Signature(keyid="cd" * 32, sig=bytes(64))),
    )[kind]
    files[LAYOUT_FILE] = Envelope(
        payload=layout.payload, payload_type=layout.payload_type, signatures=changed
    ).to_bytes()
    return files


def spelling(world: World, chance: random.Random) -> Files:
    """Write an envelope with white space, or in the other base64."""
    files = world.files()
    name = pick(files, chance.choice((".link", ".layout")), chance)
    table = json.loads(files[name])
    if chance.random() < 0.5:
        table["payload"] = table["payload"].replace("+", "-").replace("/", "_")
    if chance.random() < 0.2:
        table["payload"] = b64encode(b'{"_type":"link"}').decode()
    return {**files, name: json.dumps(table, indent=chance.choice((None, 1))).encode()}


def in_hand(world: World, chance: random.Random) -> Files:
    """Take a file out of the hand, or change it, or give it another name."""
    files, name = world.files(), chance.choice(sorted(world.artifacts))
    data = world.artifacts.pop(name)
    kind = chance.randrange(3)
    if kind == 1:
        world.artifacts[name] = data + b"!"
    elif kind == 2:
        world.artifacts[f"{name}.1"] = data
    return files


def fingerprint(world: World, chance: random.Random) -> Files:
    """Leave a fingerprint out, or put another's in its place."""
    files = world.files()
    name = pick(files, ".fingerprint.json", chance)
    gone = {n: data for n, data in files.items() if n != name}
    other = world.fingerprints(chance.choice(sorted(world.artifacts)))[0]
    return gone if chance.random() < 0.5 else {**gone, name: other.to_bytes()}


CHANGES: tuple[Change, ...] = (
    *(dissent, half_dissent, garbage, unlink, surplus, swap, relink, rules, thresholds, keys),
    *(signatures, spelling, in_hand, fingerprint),
)
