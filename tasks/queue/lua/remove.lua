-- remove: take entries that have no ready task out of their lanes, unless they have been added anew meanwhile.
-- ARGV lane_prefix entries:json
-- KEYS lanes
--      entries is a list of {name, rank, id}; ranks are text, for cjson would round them
-- RETURNS how many were removed
-- KEEPS an entry with another rank than the one that was looked at stays

local removed = 0
for _, entry in ipairs(entries) do
    local lane, rank, id = lane_prefix .. entry[1], entry[2], entry[3]
    local score = redis.call('ZSCORE', lane, id)
    if score and tonumber(score) == tonumber(rank) then
        removed = removed + redis.call('ZREM', lane, id)
    end
end
return removed
