-- reserve_attempt: count one attempt for two keys, unless either has used up its window.
-- KEYS first second
-- ARGV attempt:text first_limit:number second_limit:number window_ms:number now_ms:number
-- RETURNS 0 when it is counted, else the milliseconds until the next one can be
-- KEEPS an attempt is counted for both or for neither; a key is gone one window after its last attempt
--
-- A key is a sorted set of attempts by time; the same key given twice is one key. An empty now_ms means the server's own time.

local time = redis.call("TIME")
local now = now_ms or time[1] * 1000 + math.floor(time[2] / 1000)

local function wait_ms(key, limit)
  redis.call("ZREMRANGEBYSCORE", key, "-inf", now - window_ms)
  if redis.call("ZCARD", key) < limit then
    return 0
  end
  local blocking = redis.call("ZRANGE", key, -limit, -limit, "WITHSCORES")
  return tonumber(blocking[2]) + window_ms - now
end

local wait = math.max(wait_ms(KEYS.first, first_limit), wait_ms(KEYS.second, second_limit))
if wait > 0 then
  return wait
end
for _, key in ipairs({KEYS.first, KEYS.second}) do
  redis.call("ZADD", key, now, attempt)
  redis.call("PEXPIRE", key, window_ms)
end
return 0
