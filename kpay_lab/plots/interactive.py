"""A figure with sliders in JupyterLab, and its picture wherever nobody can move them."""

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from kpay_lab.plots.style import relabel


@dataclass(frozen=True)
class Interactive:
    """Draw a figure anew whenever a slider moves.

    It offers two forms of itself: a widget, which JupyterLab prefers, and a PNG of the figure
    at the sliders' starts, which a report page shows.

    Parameters
    ----------
    draw : callable
        Takes the sliders' values by name, returns a figure.
    sliders : mapping
        Name → (lowest, highest, step, start).
    words : mapping, optional
        Labels in another language, for figure and sliders.
    """

    draw: Callable[..., Figure]
    sliders: Mapping[str, tuple[float, float, float, float]]
    words: Mapping[str, str] = field(default_factory=dict)

    def figure(self, **values: float) -> Figure:
        """Return the figure for some values; the others stand at their starts."""
        starts = {name: start for name, (*_, start) in self.sliders.items()}
        figure = relabel(self.draw(**starts | values), self.words)
        plt.close(figure)  # else the inline backend would draw it a second time
        return figure

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        knobs = {
            name: ipywidgets.FloatSlider(start, min=low, max=high, step=step)
            for name, (low, high, step, start) in self.sliders.items()
        }
        for name, knob in knobs.items():
            knob.description, knob.continuous_update = self.words.get(name, name), False
        panel = ipywidgets.interactive(lambda **values: display(self.figure(**values)), **knobs)
        picture = io.BytesIO()
        self.figure().savefig(picture, format="png", dpi=144, metadata={"Software": ""})
        coded = base64.b64encode(picture.getvalue()).decode()
        return {**panel._repr_mimebundle_(), "image/png": coded}
