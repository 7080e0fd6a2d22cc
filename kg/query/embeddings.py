"""A model's parameters beside their terms, for other tools."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from kg.bundle import Bundle
from kg.errors import UserError
from kg.files import replacing, write_lines


def write_embeddings(bundle: Bundle, out: Path | str) -> None:
    """Entity and relation parameters with their terms: `.npz` or `.tsv`, by the suffix.

    .npz: `entity_terms` (N,), `relation_terms` (2R,), and every parameter under its name. The rows of a `table` are
    entities; R or 2R rows are relations, those from R on their inverses, with terms marked `^`; others are layers.
    .tsv: a line a row: parameter, term (for a layer the row's number), values.
    UserError for another suffix, or where the file cannot be written.
    """
    path = Path(out)
    if path.suffix not in (".npz", ".tsv"):
        raise UserError(f"{path}: embeddings are written as .npz or .tsv")
    names = bundle.dataset.vocabulary
    parameters = {name: value.detach().cpu().numpy() for name, value in bundle.scorer.named_parameters()}
    relations = names.relations + tuple(f"^{term}" for term in names.relations)
    if path.suffix == ".tsv":
        write_lines(path, _lines(names.entities, relations, parameters))
        return
    terms = {"entity_terms": np.array(names.entities), "relation_terms": np.array(relations)}
    with replacing(path) as stream:
        np.savez(cast("IO[bytes]", stream), **terms, **parameters)  # type: ignore[arg-type]


def _lines(entities: tuple[str, ...], relations: tuple[str, ...], parameters: dict[str, Any]) -> Iterator[str]:
    for name, rows in parameters.items():
        # Embeddings, and the matrices of relations; all else is layers, whatever the number of their rows.
        has_terms = name.endswith((".weight", "matrix", "matrices")) and "." not in name.removesuffix(".weight")
        known = entities if "table" in name else relations
        terms = known[: len(rows)] if has_terms and len(rows) <= len(known) else range(len(rows))
        for term, row in zip(terms, rows, strict=False):
            values = "\t".join(f"{value:.7g}" for value in row.reshape(-1).tolist())
            yield f"{name}\t{term}\t{values}"
