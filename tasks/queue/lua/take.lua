-- take: hand over the first `limit` ready tasks of the lanes that the caller names, or fewer if the line is short.
-- KEYS inflight lanes whole takers
-- ARGV lane_prefix names:json limit:number taker taker_ms:number visibility_ms:number now_ms:number events
--      now_ms 0 means Redis's own time; a taker without a name stands for nobody and shares with nobody
-- RETURNS one text "listeners rank id name rank id name …", how many listen to the channel `events` before the tasks; or
--         LOST when the index is not whole
-- KEEPS a task is in its lane or in flight, never in both; late hand-overs go back with their own rank; a line that is
--       shorter than all that its takers of late could hold is shared among them, so that none of them stands idle

local marker = redis.call('GET', KEYS.whole)
if not marker or string.sub(marker, 1, 6) ~= 'whole:' then
    return 'LOST'
end
if now_ms == 0 then
    local time = redis.call('TIME')
    now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
end

local late = redis.call('ZRANGEBYSCORE', KEYS.inflight, '-inf', now_ms, 'LIMIT', 0, 1000)
for _, member in ipairs(late) do
    local rank, id, name = string.match(member, '^(%d+):([^:]+):(.*)$')
    redis.call('ZADD', lane_prefix .. name, rank, id)
    redis.call('SADD', KEYS.lanes, name)
    redis.call('ZREM', KEYS.inflight, member)
end

if taker ~= '' then
    redis.call('ZADD', KEYS.takers, now_ms, taker)
    redis.call('ZREMRANGEBYSCORE', KEYS.takers, '-inf', now_ms - taker_ms)
    local ready = 0
    for _, name in ipairs(names) do
        ready = ready + redis.call('ZCARD', lane_prefix .. name)
    end
    limit = math.min(limit, math.ceil(ready / redis.call('ZCARD', KEYS.takers)))
end

-- The first `limit` of every lane hold the first `limit` of all lanes together.
local found = {}
for _, name in ipairs(limit > 0 and names or {}) do
    local lane = redis.call('ZRANGE', lane_prefix .. name, 0, limit - 1, 'WITHSCORES')
    for i = 1, #lane, 2 do
        found[#found + 1] = {tonumber(lane[i + 1]), lane[i], name}
    end
end
table.sort(found, function(a, b)
    if a[1] ~= b[1] then
        return a[1] < b[1]
    end
    return a[2] < b[2]
end)

local answer, deadlines, taken = {redis.call('PUBSUB', 'NUMSUB', events)[2]}, {}, {}
for i = 1, math.min(limit, #found) do
    local rank, id, name = string.format('%.0f', found[i][1]), found[i][2], found[i][3]
    answer[#answer + 1] = rank .. ' ' .. id .. ' ' .. name
    deadlines[#deadlines + 1] = now_ms + visibility_ms
    deadlines[#deadlines + 1] = rank .. ':' .. id .. ':' .. name
    taken[name] = taken[name] or {}
    table.insert(taken[name], id)
end
if #deadlines > 0 then
    redis.call('ZADD', KEYS.inflight, unpack(deadlines))
end
for name, ids in pairs(taken) do
    redis.call('ZREM', lane_prefix .. name, unpack(ids))
end
return table.concat(answer, ' ')
