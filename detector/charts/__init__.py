"""Every chart of the project: a Vega-Lite specification, a plain dict, made into SVG without browser or network.

``scores`` and ``figures`` say what a chart shows, ``svg`` draws it.
"""
