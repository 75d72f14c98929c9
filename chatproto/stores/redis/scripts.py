"""Scripts that change one aggregate in Redis in one step. They contain no rules: those are in Python.

All keys of an aggregate have one hash tag. It is changed only if its version is the one on which the
decision was made. A script that must not run twice stores its result for `TOKEN_LIFE` under a token, in
the same step: a retry after a lost reply finds it there, even if the aggregate has changed meanwhile.

Lists of all rooms or clients are changed with `pcall`: if another program has put something else in
their place, the aggregate is changed nevertheless.
"""

from __future__ import annotations

from hashlib import sha1

from chatproto.wire.values import value_class

TOKEN_LIFE = 60
"""Seconds for which the result of a script is stored for a retry."""
CONFLICT, FULL = 0, -1
"""Results of a script that found another version, or no room."""


@value_class
class Script:
    """Lua script. `text` is what Redis runs, `sha` its name in Redis."""

    text: str
    sha: str


def _script(text: str) -> Script:
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest())


_SEND = """
local function send(node, text)
  if redis.call('HEXISTS', 'chatproto:nodes', node) == 0 then return 0 end
  local inbox = 'chatproto:inbox:' .. node
  local last = redis.call('XREVRANGE', inbox, '+', '-', 'COUNT', 1)[1]
  local number = string.format('%.0f', last and string.match(last[1], '^%d+') + 1 or 1)
  redis.call('XADD', inbox, 'MAXLEN', '~', '10000', number .. '-0', 'b', text)
  return 1
end
"""
"""Put a notice into the inbox of a node, if it exists: 10,000 to 10,100 notices are stored.

Entries are numbered, so that the reader notices if one was removed before it was read.
"""

_PUT_OUT = """
local function put_out(first)
  local gone = 0
  for n = first, #ARGV, 3 do
    if redis.call('HGET', KEYS[2], ARGV[n]) == ARGV[n + 1] then
      redis.call('HDEL', KEYS[2], ARGV[n])
      local event = redis.call('HINCRBY', KEYS[1], 'event', 1)
      local text = event .. ' left ' .. ARGV[n] .. ' ' .. ARGV[n + 2]
      redis.call('PUBLISH', ARGV[1] .. KEYS[1], text)
      if ARGV[n + 2] ~= '[""]' then
        redis.call('RPUSH', KEYS[4], text)
        redis.call('LTRIM', KEYS[4], -100, -1)
      end
      gone = gone + 1
    end
  end
  if gone > 0 and redis.call('HLEN', KEYS[2]) == 0 then
    redis.pcall('ZADD', KEYS[3], ARGV[2], ARGV[3])
  end
  return gone
end
"""
"""Remove members from a room, if their seats are unchanged; a second run does nothing.

KEYS begin with: room, members, rooms by use, last events. ARGV begin with: prefix of channels, time,
name in the rooms by use. From the argument `first` on, for each: id, member, reason as JSON. Returns
how many were removed.
"""

COMMIT = _script(
    _SEND
    + """
local token = redis.call('GET', KEYS[2])
if token then return token end
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return '0' end
local gone = redis.pcall('ZSCORE', KEYS[3], ARGV[5])
if gone and type(gone) ~= 'table' then return '0' end
if ARGV[6] ~= '' then
  local owned = redis.pcall('ZCARD', KEYS[4])
  if type(owned) ~= 'table' and owned >= tonumber(ARGV[6]) then return '-1' end
end
local result = ARGV[2]
if ARGV[3] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'version', result, 'data', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
local function change(what, key, score, member)
  if what == '+' then redis.call('ZADD', key, score, member) end
  if what == '=' then redis.call('ZADD', key, 'XX', score, member) end
  if what == '-' then redis.call('ZREM', key, member) end
end
for n = 7, #ARGV, 4 do
  local done, why
  if ARGV[n] == '>' then
    done, why = pcall(send, ARGV[n + 2], ARGV[n + 3])
  else
    done, why = pcall(change, ARGV[n], KEYS[tonumber(ARGV[n + 1])], ARGV[n + 2], ARGV[n + 3])
  end
  if not done and not string.find(result, ' ') then
    result = result .. ' ' .. tostring(type(why) == 'table' and why.err or why)
  end
end
redis.call('SET', KEYS[2], result, 'EX', 60)
return result
"""
)
"""Replace the data of an aggregate, and its entries in lists.

KEYS: aggregate, token, stopped nodes, ids owned by keys, then lists. ARGV: version; new version; data
("" removes it); its life in milliseconds; node that makes the change; limit of ids owned by keys ("":
none); then groups of four: `+`, `=` or `-` (`ListChange`), the number of the list among KEYS, score,
member; or `>`, "", node and a notice for its inbox. Returns the new version; 0 for a conflict, also if
the node was removed; -1 for too many ids. Then why a list or an inbox could not be changed, which does
not prevent the rest.
"""

NOTIFY = _script(_SEND + "return send(ARGV[1], ARGV[2])")
"""Put a notice into an inbox. ARGV: node, notice. Returns 1, or 0 if there is no such node."""

RESERVE = _script("""
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and
    redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
""")
"""Reserve a place for an item. KEYS: count. ARGV: item, most items, time. Returns 1, or 0 if it is
full.

A second reservation of an item renews the first.
"""

RELEASE = _script("""
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
return redis.call('HDEL', KEYS[1], ARGV[1])
""")
"""Remove a reservation unless it was renewed meanwhile. KEYS: count. ARGV: item, its time."""

CROWD = _script("""
local last = ARGV[1] - 1
return {
  redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]),
  redis.call('ZRANGE', KEYS[1], 0, last), redis.call('ZRANGE', KEYS[2], 0, last)
}
""")
"""Read the number of members of two lists, and the first members. KEYS: the lists. ARGV: most members."""

PAIRING = _script("""
local function first(key, reverse)
  local found = redis.call(reverse and 'ZREVRANGE' or 'ZRANGE', key, 0, 2)
  local others = {}
  for _, one in ipairs(found) do
    if one ~= ARGV[1] and #others < 2 then others[#others + 1] = one end
  end
  return others
end
return {redis.call('HGET', KEYS[3], ARGV[1]) or '', first(KEYS[2], false), first(KEYS[1], true)}
""")
"""Read the ids on which a pair is decided. KEYS: free, waiting, partners. ARGV: asker.

Returns its partner ("" for none), the first two other waiting clients, and the last two other free
ones.
"""

PAIR = _script("""
local asker, peer, place = ARGV[1], ARGV[2], ARGV[3]
local there = {
  waiting = redis.call('ZSCORE', KEYS[2], peer),
  free = redis.call('ZSCORE', KEYS[1], peer),
  partner = redis.call('HGET', KEYS[3], asker) == peer
}
if not there[place] then return 0 end
redis.call('ZREM', KEYS[1], asker, peer)
redis.call('ZREM', KEYS[2], asker, peer)
redis.call('HSET', KEYS[3], asker, peer, peer, asker)
redis.call('ZADD', KEYS[4], ARGV[4], asker, ARGV[4], peer)
for _, old in ipairs(redis.call('ZRANGE', KEYS[4], 0, redis.call('ZCARD', KEYS[4]) - ARGV[5] - 1)) do
  redis.call('ZREM', KEYS[4], old)
  redis.call('HDEL', KEYS[3], old)
end
return 1
""")
"""Make two clients partners, neither free nor waiting.

KEYS: free, waiting, partners, pairs by time. ARGV: asker, peer, where it was found (waiting, free or
partner), time, limit of clients with a partner. Returns 1, or 0 if the peer is no longer there.
"""

SAY = _script("""
local numbers = {}
local channel = ARGV[1] .. KEYS[1]
for n = 4, #KEYS do
  local sender, seat, body = unpack(ARGV, 3 * n - 7, 3 * n - 5)
  local number = redis.call('GET', KEYS[n])
  local facts = redis.call('HMGET', KEYS[1], 'version', 'last', 'event')
  if not number and facts[1] == ARGV[2] and
      seat ~= '' and redis.call('HGET', KEYS[3], sender) ~= seat then
    number = '-1'
    redis.call('SET', KEYS[n], number, 'EX', 60)
  elseif not number and facts[1] == ARGV[2] then
    number = string.format('%.0f', math.max(facts[2], ARGV[4]) + 1)
    if ARGV[3] == '0' then
      redis.call('DEL', KEYS[2])
    else
      redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], number .. '-0', 'b', body)
    end
    local event = string.format('%.0f', (facts[3] or 0) + 1)
    redis.call('PUBLISH', channel, event .. ' said ' .. number .. ' ' .. body)
    redis.call('HSET', KEYS[1], 'last', number, 'event', event)
    redis.call('SET', KEYS[n], number, 'EX', 60)
  end
  numbers[n - 3] = number or '0'
end
return numbers
""")
"""Store lines of a room, in their order.

KEYS: room, stream, members, then the token of each line. ARGV: prefix of channels, version, number of
lines in the history (0: none), a number below all new ones, then for each: id, member ("": not
checked), line. Returns their numbers; 0 for a conflict; -1 for a line whose speaker no longer has that
seat: a server that was stopped for a while still has lines of clients that have moved to another one.
"""

ENTER = _script("""
local token = redis.call('GET', KEYS[4])
if token then return token end
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[2] then return '0' end
local gone = redis.pcall('ZSCORE', KEYS[5], ARGV[7])
if gone and type(gone) ~= 'table' then return '0' end
local former = redis.call('HGET', KEYS[2], ARGV[3])
if (former or '') ~= ARGV[8] then return '0' end
if not former and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) then return '-1' end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.pcall('ZADD', KEYS[3], '+inf', ARGV[6])
local event = redis.call('HINCRBY', KEYS[1], 'event', 1)
local what = former and ' moved ' or ' entered '
redis.call('PUBLISH', ARGV[1] .. KEYS[1], event .. what .. ARGV[3] .. ' ' .. ARGV[4])
redis.call('SET', KEYS[4], event, 'EX', 60)
return event
""")
"""Add a member to a room.

KEYS: room, members, rooms by use, token, stopped nodes. ARGV: prefix of channels, version, id, member,
most members, name in the rooms by use, node of the member, and the member that it replaces ("": the id
is not in the room). Returns the number of the event; 0 for a conflict, also if another member has that
seat or the node was removed; -1 if the room is full.
"""

LEAVE = _script(
    _PUT_OUT
    + """
local gone = put_out(4)
return {gone, redis.call('HGET', KEYS[1], 'event') or 0}
"""
)
"""Remove members from a room; a second run does nothing.

KEYS: room, members, rooms by use, last events. ARGV: prefix of channels, time, name in the rooms by
use, then for each: id, member, reason as JSON. Returns how many were removed, and the number of the
last event.
"""

POLICY = _script(
    _PUT_OUT
    + """
local token = redis.call('GET', KEYS[5])
if token then return token end
local version = redis.call('HGET', KEYS[1], 'version')
if (version or '0') ~= ARGV[4] then return '0' end
if ARGV[11] ~= '' and redis.call('HGET', KEYS[2], ARGV[10]) ~= ARGV[11] then return '0' end
if ARGV[5] == '' then
  version = ARGV[4]
else
  version = string.format('%.0f', ARGV[4] + 1)
  redis.call('HSET', KEYS[1], 'version', version, 'policy', ARGV[5])
  redis.call('HSETNX', KEYS[1], 'last', ARGV[6])
  redis.pcall('ZADD', KEYS[3], 'NX', ARGV[2], ARGV[3])
  if ARGV[7] == '1' then
    redis.pcall('ZADD', KEYS[6], 0, ARGV[3])
  else
    redis.pcall('ZREM', KEYS[6], ARGV[3])
  end
end
local event = redis.call('HINCRBY', KEYS[1], 'event', 1)
redis.call('PUBLISH', ARGV[1] .. KEYS[1], event .. ' policy ' .. version .. ' ' .. ARGV[8])
if ARGV[9] ~= '' then
  redis.call('RPUSH', KEYS[4], event .. ' policy ' .. version .. ' ' .. ARGV[9])
  redis.call('LTRIM', KEYS[4], -100, -1)
end
local result = event .. ' ' .. put_out(12)
redis.call('SET', KEYS[5], result, 'EX', 60)
return result
"""
)
"""Replace the policy of a room, or create a room (version 0), publish it, and remove some members.

KEYS: room, members, rooms by use, last events, token, list of open rooms. ARGV: prefix of channels,
time, name in the list, version, policy ("": unchanged), first number of a new room, 1 for an open room,
policy and news as JSON, the news alone ("": nothing is published), id and seat of the member who makes
the change ("": not checked), then for each removed member: id, member, reason as JSON. Returns the
number of the event, and how many were removed after it, each with the next number; 0 for a conflict,
also if the member who makes the change is no longer in the room.
"""

READ = _script("""
local facts = redis.call('HMGET', KEYS[1], 'version', 'policy', 'event', 'last')
local first = ARGV[1] == '' and '+' or ARGV[1]
local told = redis.call('LRANGE', KEYS[4], 0, -1)
return {facts, redis.call('HGETALL', KEYS[2]), redis.call('XRANGE', KEYS[3], first, '+'), told}
""")
"""Read a room at one moment.

KEYS: room, members, stream, last events. ARGV: first line wanted, "" for none. `told` holds the last
events that the state does not show: news of the policy, and why members have left.
"""

FORGET = _script("""
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[1] then return 0 end
if redis.call('HLEN', KEYS[2]) > 0 then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
redis.call('ZREM', KEYS[5], ARGV[2])
redis.call('ZREM', KEYS[6], ARGV[2])
redis.call('HDEL', KEYS[7], ARGV[3])
return 1
""")
"""Remove a room without members.

KEYS: room, members, stream, last events, list of open rooms, rooms by use, count of its owner. ARGV:
version, name in the list, item in the count. Returns 1, or 0 if it has changed or is in use.
"""

BEAT = _script("""
local removed = {}
for n, wanted in ipairs({'hash', 'string', 'zset'}) do
  local kind = redis.call('TYPE', KEYS[n])
  kind = type(kind) == 'table' and kind.ok or kind
  if kind ~= wanted and kind ~= 'none' then
    redis.call('DEL', KEYS[n])
    removed[#removed + 1] = KEYS[n]
  end
end
if ARGV[2] == '1' then
  redis.call('HSETNX', KEYS[1], ARGV[1], 0)
elseif redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
  return {redis.call('GET', KEYS[2]) or '', removed}
end
if type(redis.pcall('HINCRBY', KEYS[1], ARGV[1], 1)) == 'table' then
  redis.call('HSET', KEYS[1], ARGV[1], 1)
end
redis.call('SETNX', KEYS[2], ARGV[3])
local changed = {}
for n = 4, #KEYS do
  local event = redis.pcall('HGET', KEYS[n], 'event') or '0'
  if event ~= ARGV[n] then
    changed[#changed + 1] = n - 4
  end
end
local count = redis.call('ZCARD', KEYS[3])
return {redis.call('GET', KEYS[2]), removed, redis.call('HGETALL', KEYS[1]), changed, count}
""")
"""Record that a node is running, and check whether it missed events.

KEYS: nodes, epoch, rooms by use, then rooms. ARGV: node, 1 for its first beat, a new epoch if there is
none, then for each room the last known event. Returns the epoch, and which of the first three keys were
removed because another program had written them; unless the node was removed also the nodes with their
counters, the indexes of rooms that have other events, and the number of all rooms.
"""

GIVE_UP = _script("""
local counter = redis.call('HGET', KEYS[1], ARGV[1])
if not counter or (ARGV[2] ~= '' and counter ~= ARGV[2]) then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[3])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])
return 1
""")
"""Remove a node, unless its counter has increased.

KEYS: nodes, stopped nodes, inbox of the node. ARGV: node, counter ("": any), time, time before which
ends of nodes are removed. Returns 1, or 0.
"""

ALL = (
    *(COMMIT, NOTIFY, RESERVE, RELEASE, CROWD, PAIRING, PAIR),
    *(SAY, ENTER, LEAVE, POLICY, READ, FORGET, BEAT, GIVE_UP),
)
