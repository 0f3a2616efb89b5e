#!/usr/bin/env bash
# matplotlib 3.11.2: in a figure that came out of a pickle, a colorbar does not follow its image.
#
# set_clim, set_cmap and autoscale change an image and, by a callback, its colorbar. Pickles of figures leave
# callbacks out, and none is made anew when one is loaded. The pixels are drawn with the new limits and
# colours all the same, and the bar beside them explains the old ones. Image and bar still know each
# other (image.colorbar, colorbar.mappable), and nothing warns. image.colorbar.update_normal(image) puts
# it right, and has to be called after each change.
#
# Seen (Python 3.11):
#   before: image 0 to 10 in gray, colorbar 0 to 10 in gray
#   pickled: image 0 to 10 in gray, colorbar 0 to 3 in viridis
#   pickled, update_normal: image 0 to 10 in gray, colorbar 0 to 10 in gray
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "matplotlib==3.11.2"

cat >"$folder/try.py" <<'PYTHON'
import pickle

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt


def show(name, figure):
    figure.canvas.draw()
    image = figure.axes[0].images[0]
    bar = image.colorbar
    assert bar.mappable is image
    limits = "{:.0f} to {:.0f}"
    drawn = f"image {limits.format(*image.get_clim())} in {image.cmap.name}"
    print(f"{name}: {drawn}, colorbar {limits.format(*bar.ax.get_ylim())} in {bar.cmap.name}")


figure, axes = plt.subplots()
figure.colorbar(axes.imshow([[0, 1], [2, 3]]))
back = pickle.loads(pickle.dumps(figure))
for one in (figure, back):
    one.axes[0].images[0].set_clim(0, 10)
    one.axes[0].images[0].set_cmap("gray")
show("before", figure)
show("pickled", back)
back.axes[0].images[0].colorbar.update_normal(back.axes[0].images[0])
show("pickled, update_normal", back)
PYTHON

seen=$(MPLCONFIGDIR="$folder" "$folder/venv/bin/python" "$folder/try.py")
printf '%s\n' "$seen"
[ "$seen" = "before: image 0 to 10 in gray, colorbar 0 to 10 in gray
pickled: image 0 to 10 in gray, colorbar 0 to 3 in viridis
pickled, update_normal: image 0 to 10 in gray, colorbar 0 to 10 in gray" ]
