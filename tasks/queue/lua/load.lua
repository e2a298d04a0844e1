-- load: put entries into one lane, whatever stands there and whatever is being handed over.
-- KEYS lanes lane
-- ARGV name entries
--      entries is one text "rank id rank id …"
-- RETURNS nothing of use
-- KEEPS it rings no bell: for a rebuild, after which workers look by themselves

local AT_ONCE = 4000 -- what `unpack` can bear, and an even number

local values = {}
for value in string.gmatch(entries, '%S+') do
    values[#values + 1] = value
    if #values == AT_ONCE then
        redis.call('ZADD', KEYS.lane, unpack(values))
        values = {}
    end
end
if #values > 0 then
    redis.call('ZADD', KEYS.lane, unpack(values))
end
redis.call('SADD', KEYS.lanes, name)
return 1
