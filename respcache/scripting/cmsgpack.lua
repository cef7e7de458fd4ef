-- The library cmsgpack as scripts know it from Redis: lua-cmsgpack 0.4, with its limits and its words.
return function(pack_double, unpack_double)
  local error, type, next, select, unpack = error, type, next, select, unpack
  local tostring, tonumber = tostring, tonumber
  local char, byte, sub, concat, floor = string.char, string.byte, string.sub, table.concat, math.floor

  local NESTING_MAX = 16
  local ROOM = 2000 -- values that a call may return
  local BAD, SHORT = "Bad data format in input.", "Missing bytes in input."

  local function bad_argument(position, name, text)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. text .. ")", 3)
  end

  local function bytes(number, count)
    local digits = {}
    for at = count, 1, -1 do
      digits[at] = char(number % 256)
      number = floor(number / 256)
    end
    return concat(digits)
  end

  local function integer_text(number)
    if number >= 0 then
      if number <= 127 then return char(number) end
      if number <= 0xFF then return "\204" .. char(number) end
      if number <= 0xFFFF then return "\205" .. bytes(number, 2) end
      if number <= 0xFFFFFFFF then return "\206" .. bytes(number, 4) end
      return "\207" .. bytes(number, 8)
    end
    if number >= -32 then return char(256 + number) end
    if number >= -128 then return "\208" .. char(256 + number) end
    if number >= -32768 then return "\209" .. bytes(65536 + number, 2) end
    if number >= -2147483648 then return "\210" .. bytes(4294967296 + number, 4) end
    local high = floor(number / 4294967296)
    return "\211" .. bytes(4294967296 + high, 4) .. bytes(number - high * 4294967296, 4)
  end

  local function head(count, small, small_max, eight, sixteen, thirty_two)
    if count <= small_max then return char(small + count) end
    if eight and count <= 0xFF then return eight .. char(count) end
    if count <= 0xFFFF then return sixteen .. bytes(count, 2) end
    return thirty_two .. bytes(count, 4)
  end

  local function is_array(value)
    local greatest, count = 0, 0
    for name in next, value do
      if type(name) ~= "number" or name <= 0 or floor(name) ~= name or name > 2147483647 then return false end
      if name > greatest then greatest = name end
      count = count + 1
    end
    return greatest == count, count
  end

  local function pack_value(value, out, level)
    local kind = type(value)
    if kind == "string" then
      out[#out + 1] = head(#value, 160, 31, "\217", "\218", "\219")
      out[#out + 1] = value
    elseif kind == "number" then
      if value == floor(value) and value >= -2 ^ 63 and value < 2 ^ 63 then
        out[#out + 1] = integer_text(value)
      else
        out[#out + 1] = pack_double(value)
      end
    elseif kind == "boolean" then
      out[#out + 1] = value and "\195" or "\194"
    elseif kind == "table" and level < NESTING_MAX then
      local array, count = is_array(value)
      if array then
        out[#out + 1] = head(count, 144, 15, nil, "\220", "\221")
        for at = 1, count do pack_value(value[at], out, level + 1) end
      else
        count = 0
        for _ in next, value do count = count + 1 end
        out[#out + 1] = head(count, 128, 15, nil, "\222", "\223")
        for name, element in next, value do
          pack_value(name, out, level + 1)
          pack_value(element, out, level + 1)
        end
      end
    else
      out[#out + 1] = "\192"
    end
  end

  local function unsigned(text, at, count)
    local number = 0
    for place = at, at + count - 1 do number = number * 256 + byte(text, place) end
    return number
  end

  local SIGNED = {[208] = 1, [209] = 2, [210] = 4, [211] = 8}
  local UNSIGNED = {[204] = 1, [205] = 2, [206] = 4, [207] = 8}
  local TEXTS = {[217] = 1, [218] = 2, [219] = 4}
  local ARRAYS, MAPS = {[220] = 2, [221] = 4}, {[222] = 2, [223] = 4}

  local unpack_value

  local function unpack_table(text, at, count, is_map)
    local result = {}
    for place = 1, count do
      local failure, name, element = nil, place, nil
      if is_map then
        failure, at, name = unpack_value(text, at)
        if failure then return failure end
      end
      failure, at, element = unpack_value(text, at)
      if failure then return failure end
      if name ~= nil and name == name then result[name] = element end
    end
    return nil, at, result
  end

  -- Gives what is wrong, or nil; where the next value begins; the value.
  function unpack_value(text, at)
    local left = #text - at + 1
    if left < 1 then return SHORT end
    local code = byte(text, at)
    if code <= 127 then return nil, at + 1, code end
    if code >= 224 then return nil, at + 1, code - 256 end
    if code >= 160 and code <= 191 then
      local length = code - 160
      if left < 1 + length then return SHORT end
      return nil, at + 1 + length, sub(text, at + 1, at + length)
    end
    if code >= 144 and code <= 159 then return unpack_table(text, at + 1, code - 144, false) end
    if code >= 128 and code <= 143 then return unpack_table(text, at + 1, code - 128, true) end
    if code == 192 then return nil, at + 1, nil end
    if code == 194 or code == 195 then return nil, at + 1, code == 195 end
    local size = UNSIGNED[code] or SIGNED[code]
    if size then
      if left < 1 + size then return SHORT end
      local number = unsigned(text, at + 1, size)
      if SIGNED[code] and byte(text, at + 1) >= 128 then
        if size == 8 then
          number = (unsigned(text, at + 1, 4) - 4294967296) * 4294967296 + unsigned(text, at + 5, 4)
        else
          number = number - 256 ^ size
        end
      end
      return nil, at + 1 + size, number
    end
    if code == 202 or code == 203 then
      size = code == 202 and 4 or 8
      if left < 1 + size then return SHORT end
      return nil, at + 1 + size, unpack_double(sub(text, at + 1, at + size))
    end
    size = TEXTS[code]
    if size then
      if left < 1 + size then return SHORT end
      local length = unsigned(text, at + 1, size)
      if left < 1 + size + length then return SHORT end
      return nil, at + 1 + size + length, sub(text, at + 1 + size, at + size + length)
    end
    size = ARRAYS[code] or MAPS[code]
    if size then
      if left < 1 + size then return SHORT end
      return unpack_table(text, at + 1 + size, unsigned(text, at + 1, size), MAPS[code] ~= nil)
    end
    return BAD
  end

  -- What C makes of 64 bits where it writes an int.
  local function int(number) return (number + 2147483648) % 4294967296 - 2147483648 end

  -- Gives what is wrong, or nil and the values.
  local function unpack_some(limit, offset, text)
    if offset < 0 or limit < 0 then
      return "Invalid request to unpack with offset of " .. int(offset) .. " and limit of " .. #text .. "."
    end
    if offset > #text then return "Start offset " .. int(offset) .. " greater than input length " .. #text .. "." end
    local full = limit == 0 and offset == 0
    if full then limit = 2147483647 end
    local found, count, at = {}, 0, offset + 1
    while at <= #text and count < limit do
      local failure, following, value = unpack_value(text, at)
      if failure then return failure end
      count, at = count + 1, following
      if count > ROOM then return "too many results to unpack" end
      found[count] = value
    end
    if full then return nil, unpack(found, 1, count) end
    return nil, at > #text and -1 or at - 1, unpack(found, 1, count)
  end

  local function delivered(failure, ...)
    if failure then error(failure, 3) end -- in place of the caller, so its caller is two above
    return ...
  end

  local function expected(position, name, kind, count, value)
    local given = position > count and "no value" or type(value)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. kind .. " expected, got " .. given .. ")", 4)
  end

  local function text_of(name, count, value)
    if type(value) == "number" then return tostring(value) end
    if type(value) ~= "string" then expected(1, name, "string", count, value) end
    return value
  end

  local function integer_of(name, position, count, value, default)
    if value == nil and default then return default end
    local number = (type(value) == "number" or type(value) == "string") and tonumber(value)
    if not number then expected(position, name, "number", count, value) end
    if not (number >= -2 ^ 63 and number < 2 ^ 63) then return -2 ^ 63 end
    return number < 0 and -floor(-number) or floor(number)
  end

  local cmsgpack = {
    _NAME = "cmsgpack", _VERSION = "lua-cmsgpack 0.4.0",
    _COPYRIGHT = "Copyright (C) 2012, Salvatore Sanfilippo", _DESCRIPTION = "MessagePack C implementation for Lua",
  }

  function cmsgpack.pack(...)
    local count = select("#", ...)
    if count == 0 then bad_argument(0, "pack", "MessagePack pack needs input.") end
    local out = {}
    for at = 1, count do pack_value((select(at, ...)), out, 0) end
    return concat(out)
  end

  function cmsgpack.unpack(...)
    return delivered(unpack_some(0, 0, text_of("unpack", select("#", ...), (...))))
  end

  -- Redis looks at the numbers first.
  function cmsgpack.unpack_one(...)
    local count, text, offset = select("#", ...), ...
    offset = integer_of("unpack_one", 2, count, offset, 0)
    return delivered(unpack_some(1, offset, text_of("unpack_one", count, text)))
  end

  function cmsgpack.unpack_limit(...)
    local count, text, limit, offset = select("#", ...), ...
    limit = integer_of("unpack_limit", 2, count, limit)
    offset = integer_of("unpack_limit", 3, count, offset, 0)
    return delivered(unpack_some(limit, offset, text_of("unpack_limit", count, text)))
  end

  return cmsgpack
end
