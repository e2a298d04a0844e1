-- add: put ready tasks into their lanes and ring the bell of each lane.
-- KEYS lanes inflight
-- ARGV lane_prefix bell_prefix bell_seconds:number entries:json
--      entries is a list of {name, rank, id}; ranks are text, for cjson would round them
-- RETURNS how many entries were new
-- KEEPS a task is in its lane or in flight, never in both; adding twice is adding once

local MAX_RINGS = 32

local added = 0
local rings = {}
for _, entry in ipairs(entries) do
    local name, rank, id = entry[1], entry[2], entry[3]
    if not redis.call('ZSCORE', KEYS.inflight, rank .. ':' .. id .. ':' .. name) then
        local new = redis.call('ZADD', lane_prefix .. name, rank, id)
        added = added + new
        rings[name] = (rings[name] or 0) + new
    end
end
for name, count in pairs(rings) do
    redis.call('SADD', KEYS.lanes, name)
    if count > 0 then
        local bell = bell_prefix .. name
        for _ = redis.call('LLEN', bell) + 1, math.min(count, MAX_RINGS) do
            redis.call('RPUSH', bell, '1')
        end
        redis.call('EXPIRE', bell, bell_seconds)
    end
end
return added
