-- begin_rebuild: say that the index is being rebuilt, and forget what it says until then.
-- KEYS lanes inflight whole
-- ARGV lane_prefix building
-- RETURNS nothing of use
-- KEEPS what is added from now on stays; what was added before has a committed row, which the rebuild will read

redis.call('SET', KEYS.whole, building)
for _, name in ipairs(redis.call('SMEMBERS', KEYS.lanes)) do
    redis.call('UNLINK', lane_prefix .. name)
end
redis.call('UNLINK', KEYS.lanes, KEYS.inflight)
return 1
