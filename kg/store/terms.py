"""Terms as text: as the store lists them, and as a person writes them."""

from collections.abc import Mapping

from pyoxigraph import BlankNode, NamedNode, Triple

from kg.errors import UserError


def term_text(term: NamedNode | BlankNode | Triple) -> str:
    """An entity as Store.terms() writes it."""
    return term.value if isinstance(term, NamedNode) else str(term)


def node(text: str) -> NamedNode | BlankNode:
    """The entity that term_text wrote so. ValueError where none is."""
    return BlankNode(text[2:]) if text.startswith("_:") else NamedNode(text)


def term_of(text: str, prefixes: Mapping[str, str]) -> NamedNode | BlankNode:
    """The term a person wrote: an IRI (in <> or not), `prefix:name` with one of these prefixes, or `_:label`.

    UserError for anything else.
    """
    prefix, colon, name = text.partition(":")
    try:
        if prefix == "_":
            return BlankNode(name)
        if colon and prefix in prefixes and not name.startswith("//"):
            return NamedNode(prefixes[prefix] + name)
        return NamedNode(text.removeprefix("<").removesuffix(">"))
    except ValueError as error:
        raise UserError(f"{text!r} is no IRI, prefix:name or _:label ({error})") from None
