"""A figure with sliders in JupyterLab, and a still picture of it everywhere else."""

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
    translations : mapping, optional
        Labels in another language, for figure and sliders.
    """

    draw: Callable[..., Figure]
    sliders: Mapping[str, tuple[float, float, float, float]]
    translations: Mapping[str, str] = field(default_factory=dict)

    def figure(self, **values: float) -> Figure:
        """Return the figure for some values; the other sliders stand at their starts."""
        starts = {name: start for name, (*_, start) in self.sliders.items()}
        fig = self.draw(**starts | values)
        relabel(fig, self.translations)
        plt.close(fig)  # else the inline backend would draw it a second time
        return fig

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        sliders = {name: self._slider(name) for name in self.sliders}
        widget = ipywidgets.interactive(self._show, **sliders)
        return {**widget._repr_mimebundle_(), "image/png": self._png()}

    def _slider(self, name: str) -> ipywidgets.FloatSlider:
        low, high, step, start = self.sliders[name]
        return ipywidgets.FloatSlider(
            start,
            min=low,
            max=high,
            step=step,
            description=self.translations.get(name, name),
            continuous_update=False,
        )

    def _show(self, **values: float) -> None:
        display(self.figure(**values))

    def _png(self) -> str:
        """Return the figure at the sliders' starts as base64."""
        picture = io.BytesIO()
        self.figure().savefig(picture, format="png", dpi=144, metadata={"Software": ""})
        return base64.b64encode(picture.getvalue()).decode()
