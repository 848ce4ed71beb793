"""Seconds until pylstm can be used, each in a new process: the import, and the first layer of a plugin's cell."""


def timeraw_import():
    return "import pylstm"


def timeraw_numpy():
    return "import numpy"  # what there is to compare with: pylstm needs it


def timeraw_first_layer():
    return "import pylstm; pylstm.GRU(3, 4)"


timeraw_import.repeat = timeraw_numpy.repeat = timeraw_first_layer.repeat = 10
