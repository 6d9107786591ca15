-- The strings of a Redis, with their expiry, as lines for `tuskv import`; all of one moment, and Redis does nothing else
-- meanwhile:
--   redis-cli --raw eval "$(cat examples/from_redis.lua)" 0 | tuskv import
-- Other types have no counterpart. Where there are any it fails, unless it is told to leave them out: `… 0 strings`.
local kLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

local function base64(bytes)
  local text = {}
  for i = 1, #bytes, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    local group = a * 65536 + (b or 0) * 256 + (c or 0)
    local given = c and 4 or b and 3 or 2
    for k = 1, 4 do
      local at = math.floor(group / 64 ^ (4 - k)) % 64 + 1
      text[#text + 1] = k <= given and kLetters:sub(at, at) or '='
    end
  end
  return table.concat(text)
end

-- A JSON text is UTF-8, and a string of Redis is any bytes.
local function json_of(bytes)
  return bytes:find('[\128-\255]') and {base64 = base64(bytes)} or bytes
end

local time = redis.call('time')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local lines = {}
for _, key in ipairs(redis.call('keys', '*')) do
  local kind = redis.call('type', key).ok
  if kind == 'string' then
    local entry = {key = json_of(key), value = json_of(redis.call('get', key))}
    local left_ms = redis.call('pttl', key)
    if left_ms >= 0 then entry.expires_at_ms = now_ms + left_ms end
    lines[#lines + 1] = cjson.encode(entry)
  elseif ARGV[1] ~= 'strings' then
    return redis.error_reply('ERR "' .. key .. '" is a ' .. kind .. ': only strings can be taken along')
  end
end
return lines
