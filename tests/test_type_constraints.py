"""Who may stand where: fits worked out by hand, and what an ontology says in a few words."""

import math

import pytest
import torch
from torch import Tensor

from kg.graph.dataset import Dataset
from kg.graph.known import asked
from kg.graph.schema import Schema
from kg.graph.vocabulary import Vocabulary
from kg.namespaces import OWL, RDFS
from kg.search import type_constraints
from kg.search.type_constraints import DeclaredTypes, ObservedTypes, observed_line


def tensor(*facts: tuple[int, int, int]) -> Tensor:
    return torch.tensor(facts, dtype=torch.long).reshape(-1, 3)


# Observed: five entities, relations 0 and 1, inverses 2 and 3; entity 4 stands in nothing.
FACTS = tensor((0, 0, 2), (0, 0, 3), (1, 0, 2), (0, 1, 1))
# heads of 0: {0, 1}; of 1: {0}; of 2 (inverse of 0): {2, 3}; of 3: {1}


def observed(facts: Tensor = FACTS) -> ObservedTypes:
    return ObservedTypes(asked(facts, 2), 2, 5)


def test_fit_by_hand() -> None:
    """A head of 1 is one in two heads of 0, and one in five of all. Entity 1 stands in two relations, 2 and 3 in one,
    4 in none. No head of 2 is one of 1, nor is the one of 3."""
    inf = math.inf
    assert observed().fit(1).tolist() == pytest.approx([inf, (0.2 + 0.5 + 0) / 3, 0.2 / 2, 0.2 / 2, 0.2])
    # Heads of 0 are two in five; every head of 1, and every head of 3, is one.
    assert observed().fit(0).tolist() == pytest.approx([inf, inf, 0.4 / 2, 0.4 / 2, 0.4])
    assert observed().fit(3).tolist() == pytest.approx([(0.2 + 0.5 + 0) / 3, inf, 0.2 / 2, 0.2 / 2, 0.2])


def test_a_relation_without_facts_fits_nobody_well() -> None:
    assert observed(FACTS[:3]).fit(1).tolist() == [0, 0, 0, 0, 0]
    assert observed(tensor()).fit(0).tolist() == [0, 0, 0, 0, 0]


def test_a_fact_fits_as_its_worse_end_does() -> None:
    found = observed().of_facts(tensor((0, 1, 0), (1, 1, 1), (4, 1, 2), (0, 0, 2), (3, 0, 4)))
    # (0, 1, 0): 0 as a head of 3. (1, 1, 1): 1 as a head of 1. (4, 1, 2): 2 as a head of 3.
    assert found.tolist() == pytest.approx([0.7 / 3, 0.7 / 3, 0.1, math.inf, 0.2])
    assert observed().of_facts(tensor()).shape == (0,)


def data(valid: Tensor, train: Tensor = FACTS) -> Dataset:
    return Dataset(train, valid, tensor(), Vocabulary([f"e{i}" for i in range(5)], ["p", "q"]))


def test_the_line_by_hand() -> None:
    assert observed_line(data(tensor())) == 0
    assert observed_line(data(tensor((0, 1, 0)))) == pytest.approx(0.7 / 3)
    assert observed_line(data(tensor((0, 1, 0), (4, 1, 2), (0, 0, 2)))) == pytest.approx(0.1)


def of_training(dataset: Dataset) -> ObservedTypes:
    return ObservedTypes(dataset.known("train").questions, dataset.num_relations, dataset.num_entities)


def test_a_fit_is_the_same_of_all_entities_of_some_and_of_facts(
    random_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = of_training(random_dataset)
    every = torch.stack([whole.fit(relation) for relation in range(6)], 1)
    for name, value in (("_ROWS", 7), ("_QUESTIONS", 3), ("_TOGETHER", 2)):
        monkeypatch.setattr(type_constraints, name, value)
    types = of_training(random_dataset)
    assert torch.equal(torch.stack([types.fit(relation) for relation in range(6)], 1), every)
    chosen = torch.tensor([5, 0, 3])
    assert torch.equal(types.of_entities(slice(20, 33), chosen), every[20:33, chosen])
    head, relation, tail = random_dataset.valid.T
    assert torch.equal(types.of_facts(random_dataset.valid), every[head, relation].minimum(every[tail, relation + 3]))


def test_98_in_100_of_valid_fit(random_dataset: Dataset) -> None:
    line = observed_line(random_dataset)
    fit = of_training(random_dataset).of_facts(random_dataset.valid)
    assert (fit >= line).float().mean() >= 0.98
    few = Dataset(
        random_dataset.train, random_dataset.train[:100].roll(1, 0), tensor(), random_dataset.vocabulary
    )  # of which all are known
    assert observed_line(few) == math.inf


@pytest.mark.parametrize("count", [1, 2, 49, 50, 51, 99, 100, 101, 149])
def test_at_least_98_in_100_whatever_their_number(count: int, random_dataset: Dataset) -> None:
    generator = torch.Generator().manual_seed(count)
    valid = torch.stack([torch.randint(0, n, (count,), generator=generator) for n in (50, 3, 50)], 1)
    given = Dataset(random_dataset.train[:30], valid, tensor(), random_dataset.vocabulary)
    line = observed_line(given)
    fits = of_training(given).of_facts(valid)
    assert int((fits >= line).sum()) >= 0.98 * count
    assert int((fits > line).sum()) <= 0.98 * count + 1  # and no lower a line than that


# Declared

ENTITIES = ("ann", "rex", "oslo", "thing", "blank")
EVERY = dict.fromkeys(ENTITIES, True)


def allowed(relation: int = 0, **said: dict[str, tuple[str, ...]]) -> dict[str, bool]:
    types = {"ann": ("Woman",), "rex": ("Dog",), "oslo": ("City",), "thing": ("Dog", "City")}
    schema = Schema(**{"types": types, **said})
    found = DeclaredTypes(schema, Vocabulary(ENTITIES, ["livesIn", "other"])).allowed(relation)
    return dict(zip(ENTITIES, found.tolist(), strict=True))


BELOW = {"Woman": ("Person",), "Person": ("Animal",), "Dog": ("Animal",), "City": ("Place",)}


def test_nothing_declared_is_nothing_forbidden() -> None:
    assert allowed() == allowed(subclass_of=BELOW) == EVERY
    assert allowed(1, domain={"livesIn": ("Animal",)}) == EVERY
    assert allowed(2, domain={"livesIn": ("Animal",)}) == EVERY  # a domain says nothing of objects


def test_domain_and_range() -> None:
    animals = {"ann": True, "rex": True, "oslo": False, "thing": True, "blank": True}
    assert allowed(domain={"livesIn": ("Animal",)}, subclass_of=BELOW) == animals
    places = {"ann": False, "rex": False, "oslo": True, "thing": True, "blank": True}
    assert allowed(2, range={"livesIn": ("Place",)}, subclass_of=BELOW) == places
    assert allowed(0, range={"livesIn": ("Place",)}, subclass_of=BELOW) == EVERY


def test_a_class_above_the_domain_may_be_it() -> None:
    """Of what is told to be an animal no more, it is not known that it is no dog."""
    types = {"ann": ("Animal",), "rex": ("Dog",), "oslo": ("City",)}
    found = allowed(types=types, domain={"livesIn": ("Dog",)}, subclass_of=BELOW)
    assert found == EVERY | {"oslo": False}


def test_every_domain_must_let_it() -> None:
    found = allowed(domain={"livesIn": ("Animal", "Place")}, subclass_of=BELOW)
    assert found == {"ann": False, "rex": False, "oslo": False, "thing": True, "blank": True}


def test_disjoint_classes() -> None:
    """A dog that is a city may be an animal, but not where animals are no places; above the two, too."""
    apart = {"Animal": ("Place",), "Place": ("Animal",)}
    found = allowed(domain={"livesIn": ("Animal",)}, subclass_of=BELOW, disjoint=apart)
    assert found == {"ann": True, "rex": True, "oslo": False, "thing": False, "blank": True}
    found = allowed(domain={"livesIn": ("Dog",)}, subclass_of=BELOW, disjoint=apart)
    assert found == {"ann": False, "rex": True, "oslo": False, "thing": False, "blank": True}


def test_circles_of_subclasses() -> None:
    circle = {"Woman": ("Person",), "Person": ("Human",), "Human": ("Woman", "Human"), "City": ("City",)}
    for domain in ("Woman", "Person", "Human"):
        found = allowed(domain={"livesIn": (domain,)}, subclass_of=circle)
        assert found == {"ann": True, "rex": False, "oslo": False, "thing": False, "blank": True}


@pytest.mark.parametrize("everything", [OWL + "Thing", RDFS + "Resource"])
def test_what_everything_is_says_nothing(everything: str) -> None:
    """As a range, as a type, and as the only thing that is said above a class."""
    assert allowed(domain={"livesIn": (everything,)}, subclass_of=BELOW) == EVERY
    types = {"ann": ("Woman", everything), "rex": (everything,), "oslo": ("City", everything)}
    above = BELOW | {"Animal": (everything,), "Place": (everything,)}
    found = allowed(types=types, domain={"livesIn": ("Animal",)}, subclass_of=above)
    assert found == EVERY | {"oslo": False}


@pytest.mark.parametrize("kind", [OWL + "NamedIndividual", OWL + "Class", RDFS + "Class"])
def test_what_an_editor_notes_of_every_entity_is_no_type(kind: str) -> None:
    types = {"ann": ("Woman", kind), "rex": (kind,), "oslo": ("City", kind)}
    found = allowed(types=types, domain={"livesIn": ("Animal",)}, subclass_of=BELOW)
    assert found == EVERY | {"oslo": False}


def test_a_class_without_a_name_is_no_type_and_no_domain() -> None:
    """It stands for a union or a restriction, which nobody looks into."""
    assert allowed(domain={"livesIn": ("_:union",)}, subclass_of=BELOW) == EVERY
    types = {"ann": ("Woman", "_:some"), "rex": ("_:some",), "oslo": ("City",)}
    found = allowed(types=types, domain={"livesIn": ("_:union", "Animal")}, subclass_of=BELOW)
    assert found == EVERY | {"oslo": False}


def test_what_an_entity_clashes_with() -> None:
    schema = Schema(types={"oslo": ("City",)}, subclass_of=BELOW, domain={"livesIn": ("Place", "Animal", "Dog")})
    said = DeclaredTypes(schema, Vocabulary(ENTITIES, ["livesIn"]))
    assert [said.clash(entity, 0) for entity in range(5)] == [None, None, "Animal", None, None]
    assert said.clash(2, 1) is None
