"""Presets that read the graph itself, similarity, path ranking and rules, as `kg train` has them on umls and codex-s.

    kg bench $KG_DATA/codex-s --preset experiments/presets/observed.py --seeds 1 --out bench/observed

The data: data/README.md says where to get it; $KG_DATA is the folder that it lies in.
"""

from functools import partial

from kg.models.frequency import Frequency
from kg.models.path_ranking import PathRanking
from kg.models.rules import RuleScorer
from kg.models.similarity import AdamicAdar, CommonNeighbours, Katz, PageRank, PreferentialAttachment
from kg.training.algorithms.counting import Counting
from kg.training.algorithms.mining import Mining
from kg.training.algorithms.path_regression import PathRegression
from kg.training.run import Run


def common_neighbours() -> Run:
    return Run(partial(CommonNeighbours, known_weight=0.01), Counting())


def adamic_adar() -> Run:
    return Run(partial(AdamicAdar, known_weight=0.01), Counting())


def katz() -> Run:
    return Run(partial(Katz, known_weight=0.01), Counting())


def pagerank() -> Run:
    return Run(partial(PageRank, known_weight=0.01), Counting())


def preferential_attachment() -> Run:
    return Run(partial(PreferentialAttachment), Counting())


def frequency() -> Run:
    return Run(partial(Frequency), Counting())


def path_ranking() -> Run:
    return Run(partial(PathRanking), PathRegression())


def rules() -> Run:
    return Run(partial(RuleScorer), Mining(max_length=2))
