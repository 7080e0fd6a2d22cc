"""How tokens attend to each other: mechanisms by name, all called as (q, k, v, mask) -> out. Naming one imports it."""

ATTENTIONS = {
    "softmax": "kg.attention.softmax:Softmax",
    "performer": "kg.attention.performer:Performer",
    "induced": "kg.attention.induced:InducedPoints",
    "persistent": "kg.attention.persistent:Persistent",
    "star": "kg.attention.sparse:Star",
    "expander": "kg.attention.sparse:Expander",
    "fnet": "kg.attention.fnet:Fourier",
    "window": "kg.attention.window:DifferentiableWindow",
}
