"""Against how many entities an answer is told: all of them, or, where that takes too long, some that are drawn."""

from dataclasses import replace

from kg.errors import UserError
from kg.graph.dataset import Dataset
from kg.models.declaration import declared
from kg.models.tables import EntityTable
from kg.progress import duration
from kg.training.gradient_descent import GradientDescent
from kg.training.objectives import NegativeSampling, OneVsAll
from kg.training.run import Run

_A_SECOND = 2e11  # floating-point operations of fp32 products: two cores of 2024, where an epoch on wn18rr takes 55 s
_LONG = 600.0  # seconds of an epoch against all entities: above it some must do
_NEGATIVES = 512
_ROWS = 512  # of a batch against all
_FEWEST, _MOST = 1024, 8192  # facts of a batch against negatives, which are shared by it ...
_STEPS = 500  # ... of which there are so many an epoch, or more


def seconds_against_all(run: Run, dataset: Dataset) -> float:
    """What an epoch would take at most on two cores: every fact, asked in both directions, against every entity.

    6 (2 T) N D / 2e11: three products, two operations a number; D numbers an entity. Of models that multiply vectors:
    others take longer.
    """
    bare = declared(run.scorer, dataset.num_entities, dataset.num_relations)
    tables = [module for module in bare.modules() if isinstance(module, EntityTable)]
    numbers = sum(array.numel() for table in tables for array in table.parameters())
    return 6 * 2 * len(dataset.train) * numbers / _A_SECOND


def scaled(run: Run, dataset: Dataset) -> Run:
    """A run against all entities as it is; against negatives where an epoch of it would take more than ten minutes.

    By arithmetic, so that the same graph gives the same run on every machine.
    """
    return run if seconds_against_all(run, dataset) <= _LONG else against(run, _NEGATIVES, len(dataset.train))


def against(run: Run, negatives: int, num_facts: int = 0) -> Run:
    """The run whose answers are told from so many negatives, drawn by degree for each batch (0: from all entities).

    num_facts: in training, which decides the size of the batch. UserError where its objective has no such choice.
    """
    descent = run.algorithm
    if negatives < 0:
        raise UserError(f"negatives must be at least 0: got {negatives}", "negatives")
    if not isinstance(descent, GradientDescent) or not isinstance(descent.objective, OneVsAll | NegativeSampling):
        kind = type(descent.objective if isinstance(descent, GradientDescent) else descent).__name__
        raise UserError(f"negatives: {kind} has no such setting", "negatives")
    is_sampled = isinstance(descent.objective, NegativeSampling)
    if isinstance(descent.objective, NegativeSampling) and negatives:
        return replace(run, algorithm=replace(descent, objective=replace(descent.objective, num_negatives=negatives)))
    if is_sampled == bool(negatives):
        return run
    if not negatives:
        return replace(run, algorithm=replace(descent, objective=OneVsAll(max_answers=8), batch_size=_ROWS))
    sampling = NegativeSampling(negatives, loss="corrected_softmax", candidates="by_degree")
    size = max(_FEWEST, min(_MOST, num_facts // _STEPS))
    return replace(run, algorithm=replace(descent, objective=sampling, batch_size=size))


def choice(run: Run, dataset: Dataset) -> str | None:
    """What `scaled` chose because of the graph's size, for a person; None where all entities are asked."""
    descent = run.algorithm
    if not isinstance(descent, GradientDescent) or not isinstance(descent.objective, NegativeSampling):
        return None
    takes = duration(seconds_against_all(run, dataset))
    return (
        f"Against all {dataset.num_entities:,} entities an epoch would take up to {takes} on two cores: "
        f"each {descent.batch_size:,} answers are told from {descent.objective.num_negatives:,} negatives "
        "(negatives 0: from all)"
    )
