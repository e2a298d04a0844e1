-- reserve_login: count one login for an account and for an address, unless either has used up its window.
-- KEYS account address
-- ARGV attempt:text account_limit:number address_limit:number window_ms:number now_ms:number
-- RETURNS 0 when it is counted, else the milliseconds until the next one can be
-- KEEPS a login is counted for both or for neither; a key is gone one window after its last login
--
-- A key is a sorted set of attempts by time. An empty now_ms means the server's own time.

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

local wait = math.max(wait_ms(KEYS.account, account_limit), wait_ms(KEYS.address, address_limit))
if wait > 0 then
  return wait
end
for _, key in ipairs({KEYS.account, KEYS.address}) do
  redis.call("ZADD", key, now, attempt)
  redis.call("PEXPIRE", key, window_ms)
end
return 0
