"""The IRIs that kg knows, each once, and the plain names that stand for IRIs."""

import re
from urllib.parse import quote, unquote

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
XSD = "http://www.w3.org/2001/XMLSchema#"
SHACL = "http://www.w3.org/ns/shacl#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
PROV = "http://www.w3.org/ns/prov#"
DCTERMS = "http://purl.org/dc/terms/"
DC = "http://purl.org/dc/elements/1.1/"
FOAF = "http://xmlns.com/foaf/0.1/"
PAV = "http://purl.org/pav/"
VANN = "http://purl.org/vocab/vann/"
CC = "http://creativecommons.org/ns#"
VOID = "http://rdfs.org/ns/void#"
VAEM = "http://www.linkedmodel.org/schema/vaem#"
VOAF = "http://purl.org/vocommons/voaf#"
POWDER = "http://www.w3.org/2007/05/powder-s#"
OPEN_VOCAB = "http://open.vocab.org/terms/"
OBO_IN_OWL = "http://www.geneontology.org/formats/oboInOwl#"

BASE = "urn:kg:"  # what plain names are put after, unless another base is given
KG = f"{BASE}vocabulary#"  # kg: in queries and files: what is said of predictions, and the functions of a model
RUN = f"{BASE}run#"  # of searches for candidates, and of the candidates they found
DECISION = f"{BASE}decision#"  # of what people said of candidates
PREDICTIONS = f"{BASE}predictions"  # the graph of what models hold for true
DECISIONS = f"{BASE}decisions"  # the graph of what people said of candidates, line by line
ACCEPTED = f"{BASE}accepted"  # the graph of candidates that people accepted: facts like any other
APART = (PREDICTIONS, DECISIONS)  # graphs that are about facts: nobody learns from them, or counts them

_ABSOLUTE = re.compile(r"https?://|urn:", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"<([A-Za-z][A-Za-z0-9+.-]*:.*)>", re.DOTALL)
# what an IRI may hold (RFC 3987, ipchar and /), less % and the byte order mark
_NOT_IN_IRI = re.compile(
    r"[^A-Za-z0-9\-._~!$&'()*+,;=:@/\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\ufefe\uff00-\uffef"
    + "".join(f"{chr(plane << 16)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 14))
    + f"{chr(0xE1000)}-{chr(0xEFFFD)}]"
)


def iri_of(name: str, base: str = BASE) -> str:
    """The IRI of a plain name: base + name, with %XX for what an IRI may not hold.

    A name that begins as an http, https or urn IRI does is that IRI; in <>, as an IRI of any scheme does.
    """
    if _ABSOLUTE.match(name):
        return name
    written_out = _IN_BRACKETS.fullmatch(name)
    if written_out:
        return written_out[1]
    return base + _NOT_IN_IRI.sub(lambda found: quote(found[0], safe=""), name)


def name_of(iri: str, base: str = BASE) -> str:
    """What iri_of turns into this IRI: a plain name if it can be, else the IRI, in <> where it needs them."""
    if iri.startswith(base):
        name = unquote(iri[len(base) :])
        if name.strip() and not name.startswith("_:") and iri_of(name, base) == iri:
            return name
    return iri if _ABSOLUTE.match(iri) else f"<{iri}>"


def local_name(term: str) -> str:
    """`http://example.org/x#Berlin` -> `Berlin`; a blank node or a plain name, also one of a table, stays as it is."""
    if term.startswith(BASE):
        return name_of(term)
    if "://" not in term and not term.startswith("urn:"):
        return term
    return re.split(r"[/#:]", term.rstrip("/#"))[-1] or term
