-- take_permits: take permits out of a client's bucket, which refills at `rate` a second up to `burst`.
-- KEYS bucket
-- ARGV owed:number wanted:number rate:number burst:number now_us:number
-- RETURNS how many permits are left; or, if those that are wanted are not there, minus the milliseconds until they are
-- KEEPS what is owed is taken in any case, what is wanted whole or not at all; the key is gone once the bucket is full
--
-- The bucket is one number: the moment, in microseconds, at which it is full again. An empty now_us means the server's
-- own time.

local time = redis.call("TIME")
local now = now_us or time[1] * 1000000 + time[2]
local interval = 1000000 / rate
local capacity = burst * interval
local missing = math.max(tonumber(redis.call("GET", KEYS.bucket) or 0) - now, 0) + owed * interval

local wait = missing + wanted * interval - capacity
if wait <= 0 then
  missing = missing + wanted * interval
end
if missing > 0 then
  redis.call("SET", KEYS.bucket, string.format("%.0f", now + missing), "PX", math.ceil(missing / 1000))
end
if wait > 0 then
  return -math.ceil(wait / 1000)
end
return math.floor((capacity - missing) / interval)
