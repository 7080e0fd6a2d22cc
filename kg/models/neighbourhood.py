"""A transformer over the neighbourhood of the entity that is asked about."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kg.errors import check_choice
from kg.graph.graph import Graph, Neighbours
from kg.models.complex import moduli, product
from kg.models.dropout import dropout, row_dropout
from kg.models.encoder import Encoded, GraphEncoder, Vectors, chosen
from kg.models.scorer import AttentionWeights, Queries, QueryVectors, Scorer, Tails
from kg.models.tables import RelationWeights
from kg.models.tokens import Tokens
from kg.models.transformer_blocks import MixingBlock, ReadingBlock, mixed

_MOST_READ = 1 << 20  # tokens read at once for the scores of all relations, beyond one pair of entities


@dataclass(frozen=True, eq=False)
class VotingState(Encoded):
    """The state: with votes[i] of question row[i] for the entity tail[i]."""

    row: Int[Tensor, " M"]
    tail: Int[Tensor, " M"]
    votes: Float[Tensor, " M"]

    def among(self, ids: Int[Tensor, " K"]) -> "VotingState":
        """The votes for these entities alone, which rise, numbered by their places."""
        found = torch.isin(self.tail, ids)
        place = torch.searchsorted(ids, self.tail[found])
        return replace(self, row=self.row[found], tail=place, votes=self.votes[found])

    def counted(self, scores: Float[Tensor, "B N"]) -> Float[Tensor, "B N"]:
        return scores.index_put((self.row, self.tail), self.votes.to(scores.dtype), accumulate=True)


@final
class NeighbourhoodTransformer(GraphEncoder):
    """score(h, r, t) = Re((x_h w_r + W y) . conj(x_t)) + sum of the votes of h's edges (h, r_i, t) for their own end t.

    A question reads the tokens v_i = LN(scale(r_i) * T x_i + shift(r_i)) of the edges (h, r_i, e_i), without those of
    the relation asked for: these are known answers, and in training would tell which one is hidden. Its query token
    starts as q_r + L (x_h w_r), passes `num_layers` pre-norm blocks (attention, then a feed-forward layer), and ends as
    y. An edge's vote is (U y) . v_i / sqrt(width). With `vote_hops` 2 it also lends (V y) . v_i / sqrt(width), in equal
    shares, to the edges (e_i, r_j, t) of its end, which vote with their share times (Z y)_{r_j}: so a path of two edges
    counts for its end. An edge of h to itself lends nothing: beyond it lie the known answers.

    x_h w_r is the complex product: without context and with readout 'votes' this is ComplEx (Trouillon et al., 2016).
    x_e is the entity's row in the table; an entity without a row is what y makes of its neighbours in answer to the
    question "who is it?", W y, where neighbours without a row are tokens of their relation alone, then, num_hops - 1
    times, of theirs. So it answers for entities it was not trained with, if identity_dropout or MaskedEntity taught it
    to; if nothing did, with readout 'votes' alone, W is 0, and only votes speak of them. One without edges has no
    vector.

    dim: complex numbers a row. width: of tokens. attention: how tokens attend to each other before the query token
    reads them: a class of kg.attention with its arguments, as in partial(Performer, num_features=64); None: they do
    not, only the query token attends, exactly and in O(edges). feed_forward: whether blocks have that layer. context:
    False leaves all edges out. num_neighbours: at most so many edges an entity are drawn in training; without a
    generator it reads all. readout: 'votes', 'vector' (W y), or 'both'.
    identity_dropout: the share of entities whose rows are not read in a step of training (source masking); with 1 none
    ever is, and every entity is encoded as a new one is.
    neighbour_dropout, token_dropout: the shares of tokens left out, and of those (the query token too) that show their
    relation alone. output_dropout: of W y.
    """

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 128,
        width: int = 64,
        num_heads: int = 4,
        num_layers: int = 2,
        attention: "partial[Any] | None" = None,
        feed_forward: bool = True,
        context: bool = True,
        num_neighbours: int = 64,
        num_hops: int = 2,
        readout: Literal["votes", "vector", "both"] = "both",
        vote_hops: Literal[1, 2] = 1,
        entity_dropout: float = 0.0,
        relation_dropout: float = 0.0,
        identity_dropout: float = 0.0,
        neighbour_dropout: float = 0.0,
        token_dropout: float = 0.0,
        hidden_dropout: float = 0.0,
        output_dropout: float = 0.0,
        init: float = 0.1,
    ) -> None:
        super().__init__(num_entities, num_relations, 2 * dim, entity_dropout, relation_dropout, init)
        check_choice("readout", readout, ("votes", "vector", "both"))
        check_choice("vote_hops", vote_hops, (1, 2))
        self.context = context
        self.num_neighbours = num_neighbours
        self.num_hops = num_hops
        self.readout = readout
        self.identity_dropout = identity_dropout
        self.neighbour_dropout = neighbour_dropout
        self.token_dropout = token_dropout
        self.output_dropout = output_dropout
        self.question = nn.Embedding(2 * num_relations + 1, width)  # the last: who is it?
        self.lift = nn.Linear(2 * dim, width)
        self.token = nn.Linear(2 * dim, width, bias=False)
        self.scale = RelationWeights(num_relations, width)
        self.shift = RelationWeights(num_relations, width)
        self.token_norm = nn.LayerNorm(width)
        shape = width, num_heads, feed_forward, hidden_dropout
        self.mixing = nn.ModuleList(MixingBlock(*shape, attention) for _ in range(num_layers if attention else 0))
        self.reading = nn.ModuleList(ReadingBlock(*shape) for _ in range(1 if attention else num_layers))
        self.norm = nn.LayerNorm(width)
        self.answer = nn.Linear(width, 2 * dim)
        if readout == "votes" and not identity_dropout:
            # Only MaskedEntity teaches W then: drawn at random, it would drown the votes among newcomers.
            nn.init.zeros_(self.answer.weight)
            nn.init.zeros_(self.answer.bias)
        self.vote = nn.Linear(width, width)
        self.lend = nn.Linear(width, width) if vote_hops == 2 else None
        self.onward = nn.Linear(width, 2 * num_relations) if vote_hops == 2 else None
        nn.init.normal_(self.question.weight, std=0.5)
        self.scale.assign(1.0)
        self.shift.draw(0.5)

    # Entities

    def layers_over(self, x: Float[Tensor, "N D"], graph: Graph, generator: torch.Generator | None) -> Vectors:
        num = graph.num_entities
        masked = torch.arange(num, device=x.device) >= (self.num_entities if self.identity_dropout < 1 else 0)
        if generator is not None and self.identity_dropout:
            masked |= torch.rand(num, generator=generator, device=x.device) < self.identity_dropout
        ids = masked.nonzero()[:, 0]
        rows = x.masked_fill(masked[:, None], 0) if len(ids) else x
        x = rows
        for _ in range(self.num_hops if len(ids) else 0):
            x = rows.index_add(0, ids, self._identity(ids, x, graph, generator))
        return Vectors(x, self.diagonal.every())

    def _identity(
        self, ids: Int[Tensor, " B"], x: Float[Tensor, "N D"], graph: Graph, generator: torch.Generator | None
    ) -> Float[Tensor, "B D"]:
        """What their neighbours, with vectors x, make of these entities: an edge to itself counts for nothing."""
        tokens = self._tokens(ids, graph, generator)
        who = self.question.weight[-1].expand(len(ids), -1)
        y, _ = self._read(who, tokens.at(tokens.tail != ids[tokens.row]), x, generator)
        vector: Tensor = self.answer(y)
        return vector

    def identify(self, ids: Int[Tensor, " B"], graph: Graph, generator: torch.Generator | None) -> Float[Tensor, "B N"]:
        """Scores of all rows of the table for being the entities that have these neighbours."""
        rows = self.table.whole()
        x = nn.functional.pad(rows, (0, 0, 0, graph.num_entities - self.num_entities))
        return self._identity(ids, x, graph, generator) @ rows.T

    # Questions

    def encode(self, queries: Queries) -> VotingState:
        graph, generator = queries.graph, queries.generator
        x, composed, asked, tokens = self._start(queries)
        y, tokens = self._read(asked, tokens, x, generator)
        vector = composed
        if self.readout != "votes":
            vector = vector + dropout(self.answer(y), self.output_dropout, generator)
        row, tail, votes = tokens.row, tokens.tail, tokens.vector.new_zeros(len(tokens.tail))
        if self.readout != "vector":
            votes = tokens.match(self.vote(y))
        if self.readout != "vector" and self.lend and self.onward:
            via, further = self._edges(tail, graph, generator)
            lent = tokens.match(self.lend(y)) / further.offsets.diff().clamp(min=1)  # a share to each edge
            lent = lent.masked_fill(tail == queries.head[row], 0)
            lent = lent[via] * self.onward(y)[row[via], further.relation]
            row, tail, votes = torch.cat([row, row[via]]), torch.cat([tail, further.tail]), torch.cat([votes, lent])
        return VotingState(vector, graph, x, row, tail, votes)

    def _start(
        self, queries: Queries
    ) -> tuple[Float[Tensor, "N D"], Float[Tensor, "B D"], Float[Tensor, "B W"], Tokens]:
        """The vectors of all entities; x_h w_r; the query tokens; and the tokens they may read, without vectors yet."""
        graph, generator = queries.graph, queries.generator
        x, relation = self.vectors(graph, generator)
        self._check_rows(graph, queries.head)
        head = dropout(chosen(x, queries.head), self.entity_dropout, generator)
        weight = dropout(chosen(relation, queries.relation), self.relation_dropout, generator)
        composed = product(head, weight)
        tokens = self._tokens(queries.head, graph, generator)
        tokens = tokens.at(tokens.relation != queries.relation[tokens.row])
        asked = self.question(queries.relation) + row_dropout(self.lift(composed), self.token_dropout, generator)
        return x, composed, asked, tokens

    @torch.no_grad()
    def attention_weights(self, queries: Queries) -> AttentionWeights | None:
        """The weights with which the query token reads its edges' tokens in the last block, the mean of its heads.

        With an `attention` these tokens have attended to each other before, and stand for other edges too.
        """
        if not self.reading:
            return None
        x, _, asked, tokens = self._start(queries)
        asked, vector, offsets = self._readable(asked, tokens, x, queries.generator)
        *before, last = self.reading
        for block in before:
            asked = block(asked, vector, offsets, queries.generator)
        assert isinstance(last, ReadingBlock)
        _, weights = last.weights(asked, vector, offsets)
        return AttentionWeights(tokens.row, tokens.relation, tokens.tail, weights.mean(1))

    def compare(self, state: QueryVectors, tails: Tails = None) -> Float[Tensor, "B K"]:
        assert isinstance(state, VotingState)
        scores = super().compare(state, tails)
        if self.readout == "vector":
            return scores
        if tails is None:
            return state.counted(scores)
        if isinstance(tails, slice):
            tails = torch.arange(state.graph.num_entities, device=scores.device)[tails]
        unique, place = torch.unique(tails, return_inverse=True)  # often few of N: of the others no vote is counted
        votes = state.among(unique).counted(scores.new_zeros(len(scores), len(unique)))
        return scores + (votes[:, place] if tails.ndim == 1 else votes.gather(1, place))

    def score_relations(self, head: Int[Tensor, " B"], tail: Int[Tensor, " B"], graph: Graph) -> Float[Tensor, "B R2"]:
        self._check_rows(graph, head, tail)
        tokens = 2 * self.num_relations * graph.degree()[head]  # each relation reads all edges anew
        _, sizes = torch.unique_consecutive(tokens.cumsum(0) // _MOST_READ, return_counts=True)
        heads, tails = (torch.split(ids, sizes.tolist() or [0]) for ids in (head, tail))
        return torch.cat([Scorer.score_relations(self, *part, graph) for part in zip(heads, tails, strict=True)])

    def factors(self, queries: Queries, tail: Int[Tensor, " B"]) -> tuple[Float[Tensor, "B _"], ...]:
        """The moduli of the rows, as ComplEx's."""
        return tuple(moduli(row) for row in super().factors(queries, tail))

    # Tokens

    def _edges(
        self, ids: Int[Tensor, " B"], graph: Graph, generator: torch.Generator | None
    ) -> tuple[Int[Tensor, " M"], Neighbours]:
        """The edges of these entities, some of them in training, and the row of each."""
        found = graph.neighbours(ids, None if generator is None else self.num_neighbours, generator)
        return torch.repeat_interleave(torch.arange(len(ids), device=ids.device), found.offsets.diff()), found

    def _tokens(self, ids: Int[Tensor, " B"], graph: Graph, generator: torch.Generator | None) -> Tokens:
        """The edges of these entities in one order: by relation, falling degree, id; without vectors yet."""
        row, found = self._edges(ids, graph, generator)
        tokens = Tokens(row, found.relation, found.tail, torch.zeros(len(row), 0, device=row.device))
        if self.mixing:  # what the question must not see is gone from the graph, and so from these degrees
            degree = graph.degree()
            place = (row * 2 * self.num_relations + found.relation + 1) * (degree.max() + 1) - degree[found.tail]
            tokens = tokens.at(place.argsort(stable=True))
        kept = torch.full_like(row, self.context, dtype=torch.bool)
        if generator is not None and self.neighbour_dropout:
            kept &= torch.rand(len(row), generator=generator, device=row.device) >= self.neighbour_dropout
        return tokens.at(kept)

    def _read(
        self,
        asked: Float[Tensor, "B W"],
        tokens: Tokens,
        x: Float[Tensor, "N D"],
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, "B W"], Tokens]:
        """The query tokens after all blocks, and the tokens that they read."""
        asked, vector, offsets = self._readable(asked, tokens, x, generator)
        for block in self.reading:
            asked = block(asked, vector, offsets, generator)
        return self.norm(asked), tokens._replace(vector=vector)

    def _readable(
        self,
        asked: Float[Tensor, "B W"],
        tokens: Tokens,
        x: Float[Tensor, "N D"],
        generator: torch.Generator | None,
    ) -> tuple[Float[Tensor, "B W"], Float[Tensor, "M W"], Int[Tensor, " B1"]]:
        """The query tokens, and the vectors of the tokens that they are to read, those of row b from offsets[b] on."""
        unique, place = torch.unique(tokens.tail, return_inverse=True)  # often few: their rows are projected once
        entity = row_dropout(chosen(self.token(chosen(x, unique)), place), self.token_dropout, generator)
        vector = self.token_norm(entity * self.scale.rows(tokens.relation) + self.shift.rows(tokens.relation))
        if self.mixing and len(asked):
            asked, vector = mixed(self.mixing, asked, tokens.row, vector, generator)
        offsets = torch.searchsorted(tokens.row, torch.arange(len(asked) + 1, device=tokens.row.device))
        return asked, vector, offsets
