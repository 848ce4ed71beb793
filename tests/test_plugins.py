"""Plugins: found by real distributions on sys.path, loaded once, broken ones isolated and reported."""

from __future__ import annotations

import functools
import inspect
import json
import re
import signal
import sys
import threading
import warnings
from pathlib import Path

import pytest

import pylstm
from pylstm import hookspecs, plugins
from pylstm.plugins import HOOKS, Plugins

DOCS = Path(__file__).resolve().parents[1] / "docs"

CELL = """
import pylstm
from pylstm.cells import tanh

class Made(pylstm.Cell):
    name = "{name}"
    states = ("h",)
    gates = {{"a": "x+h"}}
    def forward(z):
        h = tanh(z.a)
        return {{"a": h, "h": h}}
    def backward(d, y):
        return {{"a": d.h * (1 - y.h**2)}}
"""
HOOK = """
@pylstm.hookimpl
def pylstm_register_cells(registry):
    registry.register(Made)
"""
GOOD = CELL + HOOK


def good(name):
    return GOOD.format(name=name)


def load(*broken):
    """A loaded `Plugins`; exactly the plugins named `broken` are warned about."""
    loaded = Plugins()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loaded.load()
    found = [re.search(r"plugin '(.*?)'", str(warning.message)).group(1) for warning in caught]
    assert sorted(found) == sorted(broken), [str(warning.message) for warning in caught]
    assert {warning.category for warning in caught} <= {RuntimeWarning}
    return loaded


def record(loaded, name):
    (found,) = [each for each in loaded.records if each.name == name]
    return found


def test_a_good_plugin(site):
    site.install("good_one", good("one"), plugin="first", version="2.7")
    loaded = load()
    found = record(loaded, "first")
    assert (found.distribution, found.version, found.status, found.cells) == ("good_one", "2.7", "ok", ("one",))
    assert loaded.registry.get("one", certified=False).__module__ == "good_one"
    owner = loaded.registry.entry("one").owner
    assert (owner.package, owner.plugin, owner.distribution, owner.version) == ("good_one", "first", "good_one", "2.7")


def test_lstm_is_a_plugin_like_any_other():
    found = record(load(), "pylstm_lstm")
    assert (found.distribution, found.status, found.cells) == ("pylstm", "ok", ("lstm",))


BROKEN = {
    "import": ("import not_there_at_all", "it cannot be imported: ModuleNotFoundError: No module named 'not_there"),
    "exit": ("raise SystemExit('bye')", "it cannot be imported: SystemExit: bye"),
    "base": ("class Odd(BaseException): pass\nraise Odd('any')", "it cannot be imported: Odd: any"),
    "hook_base": (GOOD + "    raise GeneratorExit", "pylstm_register_cells failed: GeneratorExit"),
    "raises": (
        GOOD + "    registry.nothing",
        "pylstm_register_cells failed: AttributeError: 'Registry' object has no attribute 'nothing'",
    ),
    "typo": (
        GOOD.replace("pylstm_register_cells", "pylstm_registr_cell"),
        "unknown hook 'pylstm_registr_cell': did you mean pylstm_register_cells?",
    ),
    "default": (GOOD.replace("(registry)", "(registry, dtype=None)", 1), "argument 'dtype' of its pylstm_register_cel"),
    "unknown": (
        GOOD.replace("(registry)", "(registry, dtype)", 1),
        "asks for the unknown argument 'dtype' (known: registry)",
    ),
    "unmarked": (GOOD.replace("@pylstm.hookimpl", ""), "mark pylstm_register_cells with @pylstm.hookimpl"),
    "empty": ("", "it does not implement any hook: known hooks are pylstm_register_cells"),
    "no_cell": (GOOD + "    registry.register(3)", "TypeError: cell must be a subclass of pylstm.Cell, got 3"),
    "collision": (
        GOOD + "    Made.name = 'lstm'\n    registry.register(type('Again', (Made,), {{'name': 'lstm'}}))",
        "the name is taken by plugin 'pylstm_lstm' of pylstm",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_isolated(site, kind):
    source, reason = BROKEN[kind]
    site.install("aaa_before", good("before"))
    site.install(f"bbb_{kind}", source.format(name="partial"))
    site.install("ccc_after", good("after"))
    loaded = load(f"bbb_{kind}")
    found = record(loaded, f"bbb_{kind}")
    assert found.status.startswith("broken: ")
    assert reason in found.status
    assert found.cells == ()
    assert "Traceback" in found.traceback or "Error" in found.traceback
    names = loaded.registry.names()
    assert {"before", "after", "lstm"} <= set(names)
    assert "partial" not in names
    assert f"bbb_{kind}" not in [name for name, _ in loaded.manager.list_name_plugin()]
    loaded.manager.check_pending()


def test_two_plugins_collide_and_the_first_keeps_the_name(site):
    site.install("coll_a", good("same"))
    site.install("coll_b", good("same"))
    loaded = load("coll_b")
    assert "cell 'same' of plugin 'coll_b' of coll_b 1.5" in record(loaded, "coll_b").status
    assert "taken by plugin 'coll_a' of coll_a 1.5" in record(loaded, "coll_b").status
    assert loaded.registry.get("same", certified=False).__module__ == "coll_a"


def test_two_distributions_with_one_plugin_name(site):
    site.install("twin_a", good("a"), plugin="twin")
    site.install("twin_b", good("b"), plugin="twin")
    loaded = load("twin")
    assert [each.status for each in loaded.records if each.name == "twin"] == [
        "ok",
        "broken: another distribution has a plugin named 'twin': rename one entry point",
    ]
    assert "a" in loaded.registry.names() and "b" not in loaded.registry.names()


def test_entry_point_names_the_same_object_twice_or_a_class(site):
    points = "[pylstm]\np1 = several\np2 = several\np3 = several:Plugin\np4 = several:nothing\np5 = several:plugin\n"
    source = good("s") + "\nclass Plugin:\n    @pylstm.hookimpl\n    def pylstm_register_cells(self): pass\n"
    site.install("several", source + "\nplugin = Plugin()\n", entry_points=points)
    loaded = load("p2", "p3", "p4")
    assert record(loaded, "p2").status == "broken: entry point 'p1' refers to the same object: remove one"
    assert "must refer to a module or an instance, got the class Plugin" in record(loaded, "p3").status
    assert "cannot be imported: AttributeError" in record(loaded, "p4").status
    assert record(loaded, "p5").status == "ok"


def test_entry_points_that_cannot_be_parsed(site):
    site.install("malformed", "", entry_points="[pylstm]\nno equals sign\n")
    site.install("fine", good("fine"))
    loaded = Plugins()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded.load()
    assert "fine" in loaded.registry.names()
    assert all(each.status.startswith("broken") for each in loaded.records if each.distribution == "malformed")
    assert [each for each in loaded.records if each.distribution == "malformed"]


@pytest.mark.parametrize(
    ("value", "gone", "kept"),
    [
        ("third_a", {"a"}, {"b", "lstm"}),
        (" third_a , third_b,", {"a", "b"}, {"lstm"}),
        ("all", {"a", "b"}, {"lstm"}),
        ("all,pylstm_lstm", {"a", "b", "lstm"}, set()),
        ("", set(), {"a", "b", "lstm"}),
    ],
)
def test_disabled(site, monkeypatch, value, gone, kept):
    site.install("third_a", "import sys; sys.third_a_was_imported = True" + good("a"))
    site.install("third_b", good("b"))
    monkeypatch.setenv("PYLSTM_DISABLE_PLUGINS", value)
    monkeypatch.delattr(sys, "third_a_was_imported", raising=False)
    loaded = load()
    assert kept <= set(loaded.registry.names())
    assert not gone & set(loaded.registry.names())
    assert hasattr(sys, "third_a_was_imported") == ("a" in kept)
    assert {each.name for each in loaded.records if each.status == "disabled"} == {
        {"a": "third_a", "b": "third_b", "lstm": "pylstm_lstm"}[name] for name in gone
    }
    monkeypatch.delattr(sys, "third_a_was_imported", raising=False)


def test_disabling_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setenv("PYLSTM_DISABLE_PLUGINS", "lstmm")
    assert record(load(), "lstmm").status == "disabled: named in PYLSTM_DISABLE_PLUGINS, but not installed"


def test_a_warning_turned_into_an_error_does_not_stop_the_others(site):
    site.install("aaa_broken", "1/0")
    site.install("fine", good("fine"))
    loaded = Plugins()
    with pytest.raises(RuntimeWarning, match=r"'aaa_broken' of aaa_broken 1\.5 is left out: .*ZeroDivisionError"):
        loaded.load()
    loaded.load()  # the warning came once
    assert "fine" in loaded.registry.names()


def test_an_interrupt_leaves_nothing_half_loaded(site):
    site.install("aaa_first", good("first"))
    site.install("interrupted", "raise KeyboardInterrupt")
    loaded = Plugins()
    with pytest.raises(KeyboardInterrupt):
        loaded.load()
    assert loaded.registry.names() == ()
    (site.folder / "interrupted.py").write_text(good("second"))
    loaded.load()
    assert {"first", "second", "lstm"} <= set(loaded.registry.names())


class Leaving:
    """Handlers of a signal, of every form that Python takes."""

    def __init__(self, error):
        self.error = error

    def __call__(self, *_):
        raise self.error

    def method(self, *_):
        raise self.error

    def function(self):
        def handle(*_):
            raise self.error

        return handle

    def restoring(self):
        def handle(number, _):
            signal.signal(number, signal.SIG_IGN)
            raise self.error

        return handle


@pytest.mark.parametrize("error", [SystemExit(143), TimeoutError("late")], ids=repr)
@pytest.mark.parametrize(
    "handler",
    [
        lambda made: made,
        lambda made: made.method,
        Leaving.function,
        Leaving.restoring,
        lambda made: functools.partial(made.method, 1),
    ],
    ids=["object", "method", "function", "restoring", "partial"],
)
def test_what_a_signal_handler_raises_meanwhile_is_not_the_plugins(site, handler, error):
    site.install("aaa_first", good("first"))
    site.install("signalled", "import os, signal\nos.kill(os.getpid(), signal.SIGUSR1)\n" + good("second"))
    loaded, before = Plugins(), signal.signal(signal.SIGUSR1, handler(Leaving(error)))
    try:
        with pytest.raises(type(error)) as caught:
            loaded.load()
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    assert caught.value is error and loaded.registry.names() == ()
    try:
        loaded.load()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert {"first", "second", "lstm"} <= set(loaded.registry.names())


def test_threads_load_once(site):
    count = "    import sys, time; sys.pylstm_loads.append(1); time.sleep(0.05)\n"
    site.install("counted", good("counted") + count)
    sys.pylstm_loads = []
    loaded, seen = Plugins(), []

    def use():
        loaded.load()
        seen.append("counted" in loaded.registry.names())

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 6
    assert sys.pylstm_loads == [1]
    del sys.pylstm_loads


def test_a_plugin_may_ask_for_the_registry_while_it_loads(site, monkeypatch):
    site.install("curious", "import pylstm.plugins\nnames = pylstm.plugins.registry().names()" + good("curious"))
    loaded = Plugins()
    monkeypatch.setattr(plugins, "_plugins", loaded)
    loaded.load()
    assert record(loaded, "curious").status == "ok"
    assert "lstm" in sys.modules["curious"].names  # the bundled ones come first


def test_register_certifies_and_decorates(monkeypatch, certify):
    loaded = Plugins()
    monkeypatch.setattr(plugins, "_plugins", loaded)
    cell = type("Mine", (pylstm.Cell,), {"states": ("h",), "gates": {"a": "x+h"}, "name": "mine"})
    assert pylstm.register(cell) is cell
    assert certify == [cell]
    assert plugins.registry().get("mine") is cell
    assert certify == [cell]
    wrong = type("Wrong", (pylstm.Cell,), {"states": ("h",), "gates": {"a": "x+h"}, "name": "wrong"})
    with pytest.raises(ValueError, match="dh/da"):
        pylstm.register(wrong)
    assert "wrong" not in plugins.registry().names()


def test_import_loads_no_plugin_and_the_warning_comes_once(site):
    site.install("loud", "print('loud is imported'); 1/0")
    code = "import pylstm, pylstm.plugins as p; print('imported'); p.status(); p.registry(); p.status()"
    done = site.run("-W", "default", "-c", code)
    assert done.stdout.split("\n") == ["imported", "loud is imported", ""]
    assert done.stderr.count("RuntimeWarning") == 1
    assert done.returncode == 0


def test_status_of_the_process(site):
    site.install("shown", good("shown"))
    done = site.run(
        "-c", "import json, dataclasses, pylstm.plugins as p; print(json.dumps([*map(dataclasses.asdict, p.status())]))"
    )
    shown = {each["name"]: each for each in json.loads(done.stdout)}
    assert shown["shown"]["status"] == "ok"
    assert shown["pylstm_lstm"]["distribution"] == "pylstm"
    assert list(shown)[-1] == "shown"  # bundled ones first


def test_all_installed_plugins_work():
    assert [each for each in plugins.status() if each.status != "ok"] == []


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented(hook):
    specification = getattr(hookspecs, hook)
    assert hasattr(specification, "pylstm_spec"), "not marked with @hookspec"
    text = inspect.getdoc(specification) or ""
    assert "\nParameters\n----------\n" in text and "\nReturns\n-------\n" in text
    code = specification.__code__
    for argument in code.co_varnames[: code.co_argcount]:
        assert f"\n{argument} : " in text, f"argument {argument} is not described"
    assert f"`{hook}(" in (DOCS / "plugins.md").read_text(), "not named in docs/plugins.md"


def test_there_are_hooks():
    assert "pylstm_register_cells" in HOOKS
