"""Open files in napari, as a user does, and save what its layers hold. It runs in the environment of napari.

python layers.py RESULT.json FILE …
"""

import json
import sys

import napari
import numpy as np

viewer = napari.Viewer()  # on the screen of xvfb
for file in sys.argv[2:]:
    viewer.open(file, plugin="napari-ome-zarr" if file.endswith(".zarr") else "napari")
found = []
for layer in viewer.layers:
    data = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    statistics = {"sum": float(data.sum(dtype=np.float64)), "max": float(data.max())}
    found.append({"type": type(layer).__name__, "shape": data.shape, "scale": layer.scale.tolist(), **statistics})
shot = viewer.screenshot(canvas_only=True)
with open(sys.argv[1], "w") as result:
    json.dump({"layers": found, "colours": len(np.unique(shot.reshape(-1, shot.shape[-1]), axis=0))}, result)
viewer.close()
