"""A model's parameters beside their terms, for other tools."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from kg.bundle import Bundle
from kg.errors import UserError
from kg.files import replacing, write_lines
from kg.models.scorer import Scorer
from kg.models.tables import EntityTable, RelationWeights


def write_embeddings(bundle: Bundle, out: Path | str) -> None:
    """Entity and relation parameters with their terms: `.npz` or `.tsv`, by the suffix.

    .npz: `entity_terms` (N,), `relation_terms` (2R,), and every parameter under its name. The rows of an
    EntityTable are entities; those of RelationWeights are R or 2R relations, from R on inverses, whose terms are marked
    `^`; others are layers.
    .tsv: a line a row: parameter, term (for a layer the row's number), values.
    UserError for another suffix, or where the file cannot be written.
    """
    path = Path(out)
    if path.suffix not in (".npz", ".tsv"):
        raise UserError(f"{path}: embeddings are written as .npz or .tsv")
    names = bundle.dataset.vocabulary
    entities = tuple(names.entities)
    relations = names.relations + tuple(f"^{term}" for term in names.relations)
    parameters = {name: value.detach().cpu().numpy() for name, value in bundle.scorer.named_parameters()}
    if path.suffix == ".tsv":
        write_lines(path, _lines(bundle.scorer, {EntityTable: entities, RelationWeights: relations}, parameters))
        return
    terms = {"entity_terms": np.array(entities), "relation_terms": np.array(relations)}
    with replacing(path) as stream:
        np.savez(cast("IO[bytes]", stream), **terms, **parameters)  # type: ignore[arg-type]


def _lines(scorer: Scorer, terms: dict[type, tuple[str, ...]], parameters: dict[str, Any]) -> Iterator[str]:
    for name, rows in parameters.items():
        holder = scorer.get_submodule(name.rpartition(".")[0])
        for term, row in zip(terms.get(type(holder), range(len(rows))), rows, strict=False):  # tied: R rows, 2R terms
            values = "\t".join(f"{value:.7g}" for value in row.reshape(-1).tolist())
            yield f"{name}\t{term}\t{values}"
