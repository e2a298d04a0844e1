-- add: put ready tasks into their lanes and ring the bells of each lane: its own, and that of its name in all queues.
-- KEYS lanes inflight
-- ARGV queue lane_prefix bell_prefix bells_of_all bell_seconds:number most_rings:number rings events entries:json
--      entries is {name: [rank, id, rank, id, …]}; ranks are text, for cjson would round them; `rings` is a channel, on which
--      the bells are named that rang; with 0 for `most_rings` there are no bells here
-- RETURNS how many entries were new, and how many listen to the channel `events`
-- KEEPS a task is in its lane or in flight, never in both; adding twice is adding once

local listeners = redis.call('PUBSUB', 'NUMSUB', rings, events)
local some_fly = redis.call('ZCARD', KEYS.inflight) > 0

local function without_flying(name, members)
    local kept = {}
    for i = 1, #members, 2 do
        local rank, id = members[i], members[i + 1]
        if not redis.call('ZSCORE', KEYS.inflight, rank .. ':' .. id .. ':' .. name) then
            kept[#kept + 1] = rank
            kept[#kept + 1] = id
        end
    end
    return kept
end

local function ring(bell, new)
    for _ = redis.call('LLEN', bell) + 1, math.min(new, most_rings) do
        redis.call('RPUSH', bell, queue)
    end
    redis.call('EXPIRE', bell, bell_seconds)
end

local added = 0
for name, members in pairs(entries) do
    if some_fly then
        members = without_flying(name, members)
    end
    if #members > 0 then
        redis.call('SADD', KEYS.lanes, name)
        local new = redis.call('ZADD', lane_prefix .. name, unpack(members)) -- Lua passes 8,000 values at most
        added = added + new
        if new > 0 and most_rings > 0 then
            ring(bell_prefix .. name, new)
            ring(bells_of_all .. name, new)
            if listeners[2] > 0 then
                redis.call('PUBLISH', rings, bell_prefix .. name)
            end
        end
    end
end
return {added, listeners[4]}
