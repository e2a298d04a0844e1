-- finish_rebuild: declare the index whole, unless its data were lost while it was being rebuilt.
-- KEYS whole
-- ARGV building finished
-- RETURNS 1 when the index is whole now, 0 when another flush took the mark away
-- KEEPS the mark shares the fate of the data: whoever loses the one loses the other

if redis.call('GET', KEYS.whole) ~= building then
    return 0
end
redis.call('SET', KEYS.whole, finished)
return 1
