"""The head of a script is its signature."""

import pytest
from redis.exceptions import NoScriptError

from dtq_site.foundation.lua import LuaScript, load_script

SOURCE = """\
-- sum: add numbers up.
-- KEYS total seen
-- ARGV amount:number names:json note
-- RETURNS the sum
return redis.call('INCRBY', KEYS.total, amount)
"""


class Calls:
    """Stands for a client; a script is unknown to it until it was sent in full."""

    def __init__(self) -> None:
        self.calls = []
        self.known = False

    def evalsha(self, sha, count, *values):
        self.calls.append(("evalsha", count, *values))
        if not self.known:
            raise NoScriptError
        return "answer"

    def eval(self, text, count, *values):
        self.calls.append(("eval", count, *values))
        self.known = True
        return "answer"


def test_the_head_becomes_locals_before_the_script():
    assert LuaScript("sum", SOURCE).text == (
        "local KEYS = {total = KEYS[1], seen = KEYS[2]}\n"
        "local amount = tonumber(ARGV[1])\n"
        "local names = cjson.decode(ARGV[2])\n"
        "local note = ARGV[3]\n" + SOURCE
    )


def test_values_are_sent_in_the_order_of_the_head_and_the_text_only_when_it_is_unknown():
    client, script = Calls(), LuaScript("sum", SOURCE)

    for _ in range(2):
        answer = script(client, keys={"seen": "k2", "total": "k1"}, note="n", names=["a"], amount=3)

    assert answer == "answer"
    values = (2, "k1", "k2", 3, '["a"]', "n")
    assert client.calls == [("evalsha", *values), ("eval", *values), ("evalsha", *values)]


@pytest.mark.parametrize(
    ("keys", "arguments", "message"),
    [
        ({"total": "k"}, {"amount": 1, "names": [], "note": ""}, "script sum: keys are"),
        ({"total": "k", "seen": "k", "x": "k"}, {"amount": 1, "names": [], "note": ""}, "script sum: keys are"),
        ({"total": "k", "seen": "k"}, {"amount": 1, "names": []}, "script sum: arguments are"),
        ({"total": "k", "seen": "k"}, {"amount": 1, "name": [], "note": ""}, "script sum: arguments are"),
    ],
)
def test_a_wrong_name_is_an_error_before_redis_is_called(keys, arguments, message):
    client = Calls()

    with pytest.raises(TypeError, match=message):
        LuaScript("sum", SOURCE)(client, keys=keys, **arguments)

    assert client.calls == []


@pytest.mark.parametrize("line", ["-- KEYS total seen\n", "-- ARGV amount:number names:json note\n"])
def test_a_script_without_its_head_is_refused(line):
    with pytest.raises(ValueError, match="the script's head has no line"):
        LuaScript("sum", SOURCE.replace(line, ""))


def test_a_file_s_name_is_the_script_s(tmp_path):
    path = tmp_path / "sum.lua"
    path.write_text(SOURCE)

    assert load_script(path).name == "sum"
