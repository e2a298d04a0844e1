-- page: read the entries of all lanes behind one place and up to another, and what is being handed over.
-- KEYS lanes inflight
-- ARGV lane_prefix after_rank:number after_id upto_rank:number upto_id limit:number
-- RETURNS a list: the members in flight; then each lane's name and its entries, one text "id rank id rank …"
-- KEEPS a lane gives its first `limit` entries of that stretch, however many others have the same rank

local function count_up_to(lane, rank, id)
    local low, high = 0, redis.call('ZCARD', lane)
    while low < high do
        local middle = math.floor((low + high) / 2)
        local entry = redis.call('ZRANGE', lane, middle, middle, 'WITHSCORES')
        local score = tonumber(entry[2])
        if score < rank or (score == rank and entry[1] <= id) then
            low = middle + 1
        else
            high = middle
        end
    end
    return low
end

local answer = {redis.call('ZRANGE', KEYS.inflight, 0, -1)}
for _, name in ipairs(redis.call('SMEMBERS', KEYS.lanes)) do
    local lane = lane_prefix .. name
    local first = count_up_to(lane, after_rank, after_id)
    local last = math.min(count_up_to(lane, upto_rank, upto_id), first + limit) - 1
    if last >= first then
        answer[#answer + 1] = name
        answer[#answer + 1] = table.concat(redis.call('ZRANGE', lane, first, last, 'WITHSCORES'), ' ')
    end
end
return answer
