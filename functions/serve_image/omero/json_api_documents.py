"""Write the documents of OMERO's JSON API: its addresses, an image, and the single user and group.

Keys and types are those of OMERO.web 5.31's ``omeroweb.api`` and of omero-marshal, for OME's schema of 2016-06.
"""

from typing import Any
from urllib.parse import urlsplit

from vsv.rendering.shown_channels import RGB, ShownChannels
from vsv.slides.deepzoom_grid import Grid

from serve_image.omero.documents import SlideMetadata, scanned_s

SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
LIMIT, MAX_LIMIT = 200, 500  # OMERO's omero.web.api.limit and max_limit
# As OMERO's account for people who do not log in. On AWS people log in before, at the site.
USER, GROUP, FULL_NAME = "1", "2", "Public User"
TOKEN = "nothing-is-written-here"  # noqa: S105  a token protects only requests that change data
# None of these exist here, and slides are not listed: a client that knows a slide's number may read the slide.
EMPTY = ("projects", "datasets", "images", "screens", "plates", "rois")
_WITH_ADDRESSES = ("experimenters", "experimentergroups", *EMPTY)
_GROUP_NAME = "public"
_PERSON = {"FirstName": "Public", "LastName": "User", "UserName": "public"}
_PERMISSIONS = {
    "@type": "TBD#Permissions",
    "perm": "r-r---",
    **dict.fromkeys(("canAnnotate", "canDelete", "canEdit", "canLink"), False),
    **dict.fromkeys(("isWorldWrite", "isWorldRead", "isGroupWrite", "isGroupAnnotate", "isUserWrite"), False),
    **dict.fromkeys(("isGroupRead", "isUserRead"), True),
}

Document = dict[str, Any]


def versions(site: str) -> Document:
    """Return the versions of the API."""
    return {"data": [{"version": "0", "url:base": f"{site}/api/v0/"}]}


def addresses(site: str) -> Document:
    """Return the address of each kind of thing.

    ``url:login`` must be there for QuPath, which requests that address only for a person who logs in.
    """
    base = f"{site}/api/v0/"
    return {
        **{f"url:{kind}": f"{base}m/{kind}/" for kind in _WITH_ADDRESSES},
        **{f"url:{name}": f"{base}{name}/" for name in ("token", "servers", "login")},
        "url:schema": SCHEMA,
    }


def servers(site: str) -> Document:
    """Return the only server, this one; there is no OMERO.server behind it."""
    origin = urlsplit(site)
    port = origin.port or (443 if origin.scheme == "https" else 80)
    return {"data": [{"id": 1, "host": origin.hostname, "port": port, "server": "slides"}]}


def page(items: list[Document], offset: int, limit: int) -> Document:
    """Return a part of a list."""
    limit = min(limit, MAX_LIMIT)
    meta = {"offset": offset, "limit": limit, "maxLimit": MAX_LIMIT, "totalCount": len(items)}
    return {"data": items[offset : offset + limit], "meta": meta}


def experimenter(site: str) -> Document:
    """Return the single user."""
    base = f"{site}/api/v0/m/experimenters/{USER}/"
    document = _marshalled("Experimenter", int(USER), **_PERSON)
    return {**document, "url:experimenter": base, "url:experimentergroups": f"{base}experimentergroups/"}


def group(site: str) -> Document:
    """Return the single group, whose members may read."""
    base = f"{site}/api/v0/m/experimentergroups/{GROUP}/"
    document = _marshalled("ExperimenterGroup", int(GROUP), Name=_GROUP_NAME)
    return {**document, "url:experimentergroup": base, "url:experimenters": f"{base}experimenters/"}


def image(
    site: str, grid: Grid, metadata: SlideMetadata, shown: ShownChannels = RGB, planes: int = 1
) -> Document:
    """Return an image of some focal planes; ``imgData`` describes its channels."""
    scanned = scanned_s(metadata)
    base = f"{site}/api/v0/m/images/{metadata.number}/"
    document = _marshalled(
        "Image", metadata.number, Name=metadata.name, Pixels=_pixels(grid, metadata, shown, planes)
    )
    document["omero:details"] = {
        "@type": "TBD#Details",
        "owner": {"@type": f"{SCHEMA}#Experimenter", "@id": int(USER), **_PERSON},
        "group": {"@type": f"{SCHEMA}#ExperimenterGroup", "@id": int(GROUP), "Name": _GROUP_NAME},
        "permissions": _PERMISSIONS,
    }
    if scanned is not None:
        document["AcquisitionDate"] = round(scanned * 1000)
    return {**document, "url:datasets": f"{base}datasets/", "url:rois": f"{base}rois/"}


def _pixels(grid: Grid, metadata: SlideMetadata, shown: ShownChannels, planes: int) -> Document:
    count = len(shown.channels)
    sizes = {"SizeX": grid.width_px, "SizeY": grid.height_px, "SizeZ": planes, "SizeC": count, "SizeT": 1}
    return {
        "@type": f"{SCHEMA}#Pixels",
        "@id": metadata.number,
        **(
            {}
            if metadata.mpp is None
            else dict.fromkeys(("PhysicalSizeX", "PhysicalSizeY"), _length(metadata.mpp))
        ),
        "SignificantBits": (shown.limits[1] - shown.limits[0]).bit_length(),
        **sizes,
        "DimensionOrder": {"@type": "TBD#DimensionOrder", "value": "XYZCT"},
        "Type": {"@type": "TBD#PixelsType", "value": shown.pixel_type},
    }


def _length(um: float) -> Document:
    return {"@type": "TBD#LengthI", "Unit": "MICROMETER", "Symbol": "µm", "Value": um}


def _marshalled(kind: str, number: int, **more: Any) -> Document:
    details = {"@type": "TBD#Details", "permissions": _PERMISSIONS}
    return {"@type": f"{SCHEMA}#{kind}", "@id": number, "omero:details": details, **more}
