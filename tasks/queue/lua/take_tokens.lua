-- take_tokens: take tokens out of buckets, or give back what was not needed; `tasks/domain/rates.py` says how buckets work.
-- KEYS
-- ARGV prefix wants:json now_us:number
--      wants is a list of {bucket, interval, burst, grace, count}, times in microseconds; a negative count gives back, 0 only
--      looks; now_us 0 means Redis's own time
-- RETURNS a list: for each bucket how many were taken, and in how many microseconds it is full (negative: since when)
-- KEEPS a bucket that nobody has touched since it was full is no key after a while; moments are whole numbers, exact in a double

if now_us == 0 then
    local time = redis.call('TIME')
    now_us = time[1] * 1000000 + time[2]
end

local SHORTEST_MS = 1000 -- for which a bucket is kept

local answer = {}
for _, want in ipairs(wants) do
    local key, interval, burst, grace, count = prefix .. want[1], want[2], want[3], want[4], want[5]
    local full_at = tonumber(redis.call('GET', key) or 0)
    if full_at <= now_us - grace then
        full_at = now_us
    end
    full_at = math.min(full_at, now_us + burst * interval)
    local taken = math.min(count, math.max(0, burst - math.ceil((full_at - now_us) / interval)))
    full_at = full_at + taken * interval
    if taken ~= 0 then
        local useful_ms = math.max(SHORTEST_MS, math.ceil((full_at + grace - now_us) / 1000))
        redis.call('SET', key, string.format('%.0f', full_at), 'PX', useful_ms)
    end
    answer[#answer + 1] = taken
    answer[#answer + 1] = full_at - now_us
end
return answer
