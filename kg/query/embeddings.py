"""A model's parameters beside their terms, for other tools."""

from pathlib import Path

import numpy as np

from kg.bundle import Bundle
from kg.errors import UserError


def write_embeddings(bundle: Bundle, out: Path | str) -> None:
    """Entity and relation parameters with their terms: `.npz` or `.tsv`, by the suffix.

    .npz: `entity_terms` (N,), `relation_terms` (R or 2R), and every parameter under its name, rows in that order.
    .tsv: a line a row: parameter, term, values. Where a scorer has own inverses, relation rows R ... 2R - 1 are theirs,
    their terms marked `^`. UserError for another suffix.
    """
    path = Path(out)
    names = bundle.dataset.vocabulary
    relations = names.relations + tuple(f"^{term}" for term in names.relations)
    parameters = {name: value.detach().cpu().numpy() for name, value in bundle.scorer.named_parameters()}
    if path.suffix == ".npz":
        terms = {"entity_terms": np.array(names.entities), "relation_terms": np.array(relations)}
        np.savez(path, **terms, **parameters)  # type: ignore[arg-type]
    elif path.suffix == ".tsv":
        with path.open("w", encoding="utf-8") as file:
            for name, rows in parameters.items():
                for term, row in zip(names.entities if name.startswith("table") else relations, rows, strict=False):
                    values = "\t".join(f"{value:.7g}" for value in row.reshape(-1).tolist())
                    file.write(f"{name}\t{term}\t{values}\n")
    else:
        raise UserError(f"{path}: embeddings are written as .npz or .tsv")
