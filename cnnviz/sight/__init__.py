"""What a network sees: backward rules, projections to the pixels, filters, maps, top images."""

from cnnviz.sight.backward.projection import Projection, project
from cnnviz.sight.backward.rules import RULES, Rule, backward_rule
from cnnviz.sight.evidence.correspondence import Box, Correspondence, correspondence
from cnnviz.sight.evidence.gradcam import grad_cam
from cnnviz.sight.evidence.invariance import Invariance, invariance
from cnnviz.sight.evidence.occlusion import Occlusion, occlude
from cnnviz.sight.evidence.sanity import SanityStep, sanity_check
from cnnviz.sight.filters import Filters, convolutions, filters
from cnnviz.sight.maps import Activity, feature_maps
from cnnviz.sight.picture import contrast, signed_colours, signed_picture, tiled
from cnnviz.sight.units.activity import UnitActivations, unit_activations
from cnnviz.sight.units.evolution import Evolution, Moment, evolution
from cnnviz.sight.units.figures import UnitFigures, unit_figures
from cnnviz.sight.units.patches import patch_boxes, row_of
from cnnviz.sight.units.top import TopActivations, top_activations

__all__ = [
    "RULES",
    "Activity",
    "Box",
    "Correspondence",
    "Evolution",
    "Filters",
    "Invariance",
    "Moment",
    "Occlusion",
    "Projection",
    "Rule",
    "SanityStep",
    "TopActivations",
    "UnitActivations",
    "UnitFigures",
    "backward_rule",
    "contrast",
    "convolutions",
    "correspondence",
    "evolution",
    "feature_maps",
    "filters",
    "grad_cam",
    "invariance",
    "occlude",
    "patch_boxes",
    "project",
    "row_of",
    "sanity_check",
    "signed_colours",
    "signed_picture",
    "tiled",
    "top_activations",
    "unit_activations",
    "unit_figures",
]
