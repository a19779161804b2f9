"""What a network sees: backward rules, projections to the pixels, filters, maps, top images."""

from cnnviz.sight.filters import Filters, convolutions, filters
from cnnviz.sight.gradcam import grad_cam
from cnnviz.sight.maps import feature_maps
from cnnviz.sight.occlusion import Occlusion, occlude
from cnnviz.sight.picture import contrast, signed_picture
from cnnviz.sight.projection import Projection, project
from cnnviz.sight.rules import RULES, Rule, backward_rule
from cnnviz.sight.sanity import SanityStep, sanity_check
from cnnviz.sight.top import TopActivations, top_activations

__all__ = [
    "RULES",
    "Filters",
    "Occlusion",
    "Projection",
    "Rule",
    "SanityStep",
    "TopActivations",
    "backward_rule",
    "contrast",
    "convolutions",
    "feature_maps",
    "filters",
    "grad_cam",
    "occlude",
    "project",
    "sanity_check",
    "signed_picture",
    "top_activations",
]
