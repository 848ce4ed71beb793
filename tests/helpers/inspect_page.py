"""Pages of ``pylstm inspect``, as their tests read them."""

import base64
from html.parser import HTMLParser

import numpy as np

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What is on a page; tags must close in their order, and nothing may come from elsewhere."""

    def __init__(self, path):
        super().__init__()
        self.alts = []
        self.open, self.images, self.found, self.headings, self.well = [], [], [], [], 0
        self.source = path.read_text()
        self.feed(self.source)
        assert not self.open and self.source.startswith("<!DOCTYPE html>")
        assert not {"<script", "<link", "@import", "url("} & {
            each for each in ("<script", "<link", "@import", "url(") if each in self.source
        }

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        assert not {"href", "srcset", "onload"} & attributes.keys()
        if tag == "img":
            kind, _, data = attributes["src"].partition(";base64,")
            assert kind == "data:image/svg+xml" and attributes["alt"]
            self.alts.append(attributes["alt"])
            self.images.append(base64.b64decode(data).decode())
        if tag not in VOID:
            self.open.append((tag, attributes.get("class")))
        self.well += attributes.get("class") == "well"
        if attributes.get("class") == "found":
            self.found.append("")
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == ("p", "found"):
            self.found[-1] += data
        if self.open and self.open[-1][0] == "h2":
            self.headings[-1] += data


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)
