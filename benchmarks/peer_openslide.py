"""Run OpenSlide's Deep Zoom server as in openslide-python's example, for gunicorn; the slide is $SLIDE."""

import io
import os

from flask import Flask, Response, abort, make_response
from openslide import OpenSlide
from openslide.deepzoom import DeepZoomGenerator

app = Flask(__name__)
generator = DeepZoomGenerator(OpenSlide(os.environ["SLIDE"]), tile_size=int(os.environ["TILE"]), overlap=0)


@app.route("/<int:level>/<int:col>_<int:row>.jpeg")
def tile(level: int, col: int, row: int) -> Response:
    """Return a tile, encoded at the example's quality."""
    try:
        found = generator.get_tile(level, (col, row))
    except ValueError:
        abort(404)
    encoded = io.BytesIO()
    found.save(encoded, "jpeg", quality=75)
    response = make_response(encoded.getvalue())
    response.mimetype = "image/jpeg"
    return response
