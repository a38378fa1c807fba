"""The XMP packet of a result: what its content's says of the picture, and one step of history."""

import logging
from typing import Any
from xml.dom import Node, minidom
from xml.parsers.expat import ExpatError

LOG = logging.getLogger(__name__)

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MM = "http://ns.adobe.com/xap/1.0/mm/"
_EVENT = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_XMLNS = "http://www.w3.org/2000/xmlns/"
_OF_THE_FILE = {
    "http://ns.adobe.com/tiff/1.0/",
    "http://ns.adobe.com/exif/1.0/",
    "http://cipa.jp/exif/1.0/",
}
"""Namespaces that describe how the content was stored and taken, which the result was not."""
_STALE = {
    (_PHOTOSHOP, "History"),
    (_PHOTOSHOP, "DocumentAncestors"),
    (_PHOTOSHOP, "ColorMode"),
    (_PHOTOSHOP, "ICCProfile"),
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://purl.org/dc/elements/1.1/", "format"),
}
_EMPTY = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='{_RDF}'/></x:xmpmeta>"
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = '\n<?xpacket end="w"?>'


def carried(packet: bytes, event: dict[str, str], *, name: str) -> bytes:
    """The packet of the result.

    Args:
        packet: That of the content; empty for none.
        event: Fields of the step that is added to xmpMM:History, of type ResourceEvent.
        name: The content's name, for remarks.

    Returns:
        UTF-8. What tells how the content was stored is left out (tiff:, exif:, Photoshop's log,
        thumbnails); all else is as it was. A packet that cannot be read is left out, with a remark.
    """
    document = _parsed(packet, name)
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    for description in _children(rdf):
        _strip(description)
    _add_event(document, rdf, event)
    return f"{_BEGIN}{document.documentElement.toxml()}{_END}".encode()


def _parsed(packet: bytes, name: str) -> Any:
    if packet:
        # A document type could define entities that grow without bound; XMP has none.
        try:
            if b"<!DOCTYPE" in packet:
                raise ExpatError("it has a document type")
            document = minidom.parseString(packet.strip(b"\0 \r\n\t"))  # noqa: S318
            if document.getElementsByTagNameNS(_RDF, "RDF"):
                return document
            raise ExpatError("it holds no RDF")
        except (ExpatError, ValueError, LookupError) as error:
            LOG.warning("%s: its XMP is left out (%s)", name, error)
    return minidom.parseString(_EMPTY)  # noqa: S318


def _children(node: Any) -> list[Any]:
    return [child for child in node.childNodes if child.nodeType == Node.ELEMENT_NODE]


def _strip(description: Any) -> None:
    for child in _children(description):
        if _is_stale(child):
            description.removeChild(child)
    for attribute in list(description.attributes.values()):
        if _is_stale(attribute):
            description.removeAttributeNode(attribute)


def _is_stale(node: Any) -> bool:
    return node.namespaceURI in _OF_THE_FILE or (node.namespaceURI, node.localName) in _STALE


def _add_event(document: Any, rdf: Any, event: dict[str, str]) -> None:
    step = document.createElementNS(_RDF, "rdf:li")
    step.setAttributeNS(_XMLNS, "xmlns:rdf", _RDF)
    step.setAttributeNS(_XMLNS, "xmlns:stEvt", _EVENT)
    step.setAttributeNS(_RDF, "rdf:parseType", "Resource")
    for field, value in event.items():
        element = document.createElementNS(_EVENT, f"stEvt:{field}")
        element.appendChild(document.createTextNode(value))
        step.appendChild(element)
    _history(document, rdf).appendChild(step)


def _history(document: Any, rdf: Any) -> Any:
    """The sequence of past steps; made where there is none."""
    for found in rdf.getElementsByTagNameNS(_MM, "History"):
        if sequences := found.getElementsByTagNameNS(_RDF, "Seq"):
            return sequences[0]
        found.parentNode.removeChild(found)
    description = document.createElementNS(_RDF, "rdf:Description")
    description.setAttributeNS(_XMLNS, "xmlns:rdf", _RDF)
    description.setAttributeNS(_XMLNS, "xmlns:xmpMM", _MM)
    description.setAttributeNS(_RDF, "rdf:about", _about(rdf))
    history = document.createElementNS(_MM, "xmpMM:History")
    sequence = document.createElementNS(_RDF, "rdf:Seq")
    history.appendChild(sequence)
    description.appendChild(history)
    rdf.appendChild(description)
    return sequence


def _about(rdf: Any) -> str:
    """What the packet is about: all its descriptions have to say the same."""
    return next((str(child.getAttributeNS(_RDF, "about")) for child in _children(rdf)), "")
