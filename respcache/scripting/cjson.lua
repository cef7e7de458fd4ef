-- The library cjson as scripts know it from Redis: lua-cjson, with its limits and its words.
return function(null)
  local error, type, next, pairs, select, tostring, tonumber = error, type, next, pairs, select, tostring, tonumber
  local format, gsub, byte, find, sub, char = string.format, string.gsub, string.byte, string.find, string.sub, string.char
  local lower, match, concat, floor = string.lower, string.match, table.concat, math.floor
  local rawget, huge = rawget, math.huge

  local function bad_argument(position, name, text)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. text .. ")", 3)
  end

  local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\127"] = "\\u007f"}
  for code = 0, 31 do escapes[char(code)] = format("\\u%04x", code) end
  escapes["\b"], escapes["\t"], escapes["\n"], escapes["\f"], escapes["\r"] = "\\b", "\\t", "\\n", "\\f", "\\r"

  local unescapes = {['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", t = "\t", n = "\n", f = "\f", r = "\r"}

  local function hexadecimal(digits) return digits and tonumber(digits, 16) end

  local function utf8(code)
    if code < 0x80 then return char(code) end
    if code < 0x800 then return char(0xC0 + floor(code / 64), 0x80 + code % 64) end
    if code < 0x10000 then
      return char(0xE0 + floor(code / 4096), 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
    end
    return char(0xF0 + floor(code / 262144), 0x80 + floor(code / 4096) % 64, 0x80 + floor(code / 64) % 64, 0x80 + code % 64)
  end

  local function library()
    local convert_sparse, sparse_ratio, sparse_safe = false, 2, 10
    local encode_max_depth, decode_max_depth = 1000, 1000
    local number_format, precision = "%.14g", 14
    local encode_invalid, decode_invalid, keep_buffer = false, true, true

    -- texts to Lua and back; both recurse in Lua alone and raise through `fail`, at the caller of the library

    local failure = nil

    local function fail(text)
      failure = text
      return nil
    end

    local function cannot(value, reason) return fail("Cannot serialise " .. type(value) .. ": " .. reason) end

    local function number_text(number)
      if number ~= number or number == huge or number == -huge then
        if encode_invalid == "null" then return "null" end
        if not encode_invalid then return cannot(number, "must not be NaN or Inf") end
      end
      return (format(number_format, number))
    end

    local function array_length(value)
      local greatest, count = 0, 0
      for name in next, value do
        if type(name) ~= "number" or name < 1 or floor(name) ~= name then return -1 end
        if name > greatest then greatest = name end
        count = count + 1
      end
      if sparse_ratio > 0 and greatest > count * sparse_ratio and greatest > sparse_safe then
        if not convert_sparse then return cannot(value, "excessively sparse array") end
        return -1
      end
      return greatest
    end

    local encode_table

    local function encode_value(value, out, at, depth)
      local kind = type(value)
      if kind == "string" then
        out[at] = '"' .. gsub(value, '[%c"\\/\127]', escapes) .. '"'
      elseif kind == "number" then
        local text = number_text(value)
        if not text then return nil end
        out[at] = text
      elseif kind == "boolean" then
        out[at] = value and "true" or "false"
      elseif kind == "nil" or value == null then
        out[at] = "null"
      elseif kind == "table" then
        return encode_table(value, out, at, depth + 1)
      else
        return cannot(value, "type not supported")
      end
      return at + 1
    end

    function encode_table(value, out, at, depth)
      if depth > encode_max_depth then return fail("Cannot serialise, excessive nesting (" .. depth .. ")") end
      local length = array_length(value)
      if not length then return nil end
      if length > 0 then
        out[at], at = "[", at + 1
        for place = 1, length do
          if place > 1 then out[at], at = ",", at + 1 end
          at = encode_value(rawget(value, place), out, at, depth)
          if not at then return nil end
        end
        out[at] = "]"
        return at + 1
      end
      out[at], at = "{", at + 1
      local first = true
      for name, element in next, value do
        if not first then out[at], at = ",", at + 1 end
        first = false
        if type(name) == "number" then
          local text = number_text(name)
          if not text then return nil end
          out[at] = '"' .. text .. '":'
        elseif type(name) == "string" then
          out[at] = '"' .. gsub(name, '[%c"\\/\127]', escapes) .. '":'
        else
          return cannot(name, "table key must be a number or string")
        end
        at = encode_value(element, out, at + 1, depth)
        if not at then return nil end
      end
      out[at] = "}"
      return at + 1
    end

    local function raised()
      local text = failure
      failure = nil
      error(text, 3)
    end

    -- a parser of tokens: kind, value, where the token began, where the next one begins

    local single = {
      ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END", [":"] = "T_COLON",
      [","] = "T_COMMA", [""] = "T_END", ["\0"] = "T_END",
    }

    local function string_token(text, at)
      local pieces, from = {}, at + 1
      while true do
        local stop = find(text, '["\\%z]', from)
        local found = stop and sub(text, stop, stop) or ""
        if found == "" or found == "\0" then
          return "T_ERROR", "unexpected end of string", stop or #text + 1
        end
        pieces[#pieces + 1] = sub(text, from, stop - 1)
        if found == '"' then return "T_STRING", concat(pieces), at, stop + 1 end
        local escape = sub(text, stop + 1, stop + 1)
        if escape == "u" then
          local code = hexadecimal(match(text, "^%x%x%x%x", stop + 2))
          local length = 6
          if code and code >= 0xD800 and code < 0xE000 then
            local low = hexadecimal(match(text, "^\\u(%x%x%x%x)", stop + 6))
            if code >= 0xDC00 or not low or low < 0xDC00 or low >= 0xE000 then
              code = nil
            else
              code, length = 0x10000 + (code - 0xD800) * 1024 + low - 0xDC00, 12
            end
          end
          if not code then return "T_ERROR", "invalid unicode escape code", stop end
          pieces[#pieces + 1] = utf8(code)
          from = stop + length
        else
          local plain = unescapes[escape]
          if not plain then return "T_ERROR", "invalid escape code", stop end
          pieces[#pieces + 1] = plain
          from = stop + 2
        end
      end
    end

    local function number_end(text, at)
      local _, stop = find(text, "^[+-]?0[xX]%x+%.?%x*", at)
      if stop then
        local _, power = find(text, "^[pP][+-]?%d+", stop + 1)
        return power or stop
      end
      _, stop = find(text, "^[+-]?%d+%.?%d*", at)
      if not stop then _, stop = find(text, "^[+-]?%.%d+", at) end
      if stop then
        local _, power = find(text, "^[eE][+-]?%d+", stop + 1)
        return power or stop
      end
      local word = lower(sub(text, at, at + 8))
      _, stop = find(word, "^[+-]?infinity")
      if not stop then _, stop = find(word, "^[+-]?inf") end
      if not stop then _, stop = find(word, "^[+-]?nan") end
      return stop and at + stop - 1
    end

    local function invalid_number(text, at)
      local word = lower(sub(text, at, at + 4))
      if sub(word, 1, 1) == "+" then return true end
      word = gsub(word, "^%-", "")
      if sub(word, 1, 1) == "0" then return find(word, "^0[x%d]") ~= nil end
      if sub(word, 1, 1) <= "9" then return false end
      return find(word, "^inf") ~= nil or find(word, "^nan") ~= nil
    end

    local function number_token(text, at)
      local stop = number_end(text, at)
      if not stop then return "T_ERROR", "invalid number", at end
      local word = lower(sub(text, at, stop))
      local number = tonumber(word)
      if find(word, "inf", 1, true) then
        number = sub(word, 1, 1) == "-" and -huge or huge
      elseif find(word, "nan", 1, true) then
        number = 0 / 0 -- which is negative on x86
        if sub(word, 1, 1) ~= "-" then number = -number end
      elseif not number then
        return "T_ERROR", "invalid number", at
      end
      return "T_NUMBER", number, at, stop + 1
    end

    local function token(text, from)
      local at = find(text, "[^ \t\n\r]", from) or #text + 1
      local first = sub(text, at, at)
      local kind = single[first]
      if kind then return kind, nil, at, at + 1 end
      if first == '"' then return string_token(text, at) end
      if find(first, "[%-%d]") then
        if not decode_invalid and invalid_number(text, at) then return "T_ERROR", "invalid number", at end
        return number_token(text, at)
      end
      if sub(text, at, at + 3) == "true" then return "T_BOOLEAN", true, at, at + 4 end
      if sub(text, at, at + 4) == "false" then return "T_BOOLEAN", false, at, at + 5 end
      if sub(text, at, at + 3) == "null" then return "T_NULL", null, at, at + 4 end
      if decode_invalid and find(first, "[+iInN]") and invalid_number(text, at) then return number_token(text, at) end
      return "T_ERROR", "invalid token", at
    end

    local function expected(what, kind, value, at)
      local found = kind == "T_ERROR" and value or kind
      return fail("Expected " .. what .. " but found " .. found .. " at character " .. at)
    end

    local values = {T_STRING = true, T_NUMBER = true, T_BOOLEAN = true, T_NULL = true}

    local function decode_value(text, depth, kind, value, at, following)
      if values[kind] then return true, value, following end
      if kind == "T_ARR_BEGIN" or kind == "T_OBJ_BEGIN" then
        depth = depth + 1
        if depth > decode_max_depth then
          return fail("Found too many nested data structures (" .. depth .. ") at character " .. at)
        end
        local result, count = {}, 0
        local is_array = kind == "T_ARR_BEGIN"
        local last = is_array and "T_ARR_END" or "T_OBJ_END"
        kind, value, at, following = token(text, following)
        if kind == last then return true, result, following end
        while true do
          local name
          if not is_array then
            if kind ~= "T_STRING" then return expected("object key string", kind, value, at) end
            name = value
            kind, value, at, following = token(text, following)
            if kind ~= "T_COLON" then return expected("colon", kind, value, at) end
            kind, value, at, following = token(text, following)
          else
            count = count + 1
            name = count
          end
          local ok, element
          ok, element, following = decode_value(text, depth, kind, value, at, following)
          if not ok then return nil end
          result[name] = element
          kind, value, at, following = token(text, following)
          if kind == last then return true, result, following end
          if kind ~= "T_COMMA" then
            return expected(is_array and "comma or array end" or "comma or object end", kind, value, at)
          end
          kind, value, at, following = token(text, following)
        end
      end
      return expected("value", kind, value, at)
    end

    local function at_most(count, name, ...)
      if select("#", ...) > count then
        error("bad argument #" .. count + 1 .. " to '" .. name .. "' (found too many arguments)", 3)
      end
    end

    local function integer_option(position, name, value, lowest, highest)
      local number = tonumber(value)
      if type(value) ~= "number" and not (type(value) == "string" and number) then
        error("bad argument #" .. position .. " to '" .. name .. "' (number expected, got " .. type(value) .. ")", 3)
      end
      if not (number >= lowest and number < highest + 1) then -- NaN is neither
        error("bad argument #1 to '" .. name .. "' (expected integer between " .. lowest .. " and " .. format("%d", highest) .. ")", 3)
      end
      return floor(number)
    end

    local SWITCH, SWITCH_OR_NULL = {off = false, on = true}, {off = false, on = true, null = "null"}

    local function named_option(name, value, names)
      if type(value) == "boolean" then return value end
      if type(value) ~= "string" and type(value) ~= "number" then
        error("bad argument #1 to '" .. name .. "' (string expected, got " .. type(value) .. ")", 3)
      end
      local meant = names[tostring(value)]
      if meant == nil then error("bad argument #1 to '" .. name .. "' (invalid option '" .. value .. "')", 3) end
      return meant
    end

    local INTEGER_MAX = 2147483647
    local cjson = {_NAME = "cjson", _VERSION = "2.1.0", null = null, new = library}

    function cjson.encode(...)
      if select("#", ...) ~= 1 then bad_argument(1, "encode", "expected 1 argument") end
      local value = ...
      failure = nil
      local out = {}
      if not encode_value(value, out, 1, 0) then raised() end
      return concat(out)
    end

    function cjson.decode(...)
      if select("#", ...) ~= 1 then bad_argument(1, "decode", "expected 1 argument") end
      local text = ...
      if type(text) == "number" then text = tostring(text) end
      if type(text) ~= "string" then bad_argument(1, "decode", "string expected, got " .. type(text)) end
      if #text >= 2 and (byte(text, 1) == 0 or byte(text, 2) == 0) then
        error("JSON parser does not support UTF-16 or UTF-32", 2)
      end
      failure = nil
      local ok, value, following = decode_value(text, 0, token(text, 1))
      if not ok then raised() end
      local kind, found, at = token(text, following)
      if kind ~= "T_END" then
        expected("the end", kind, found, at)
        raised()
      end
      return value
    end

    function cjson.encode_sparse_array(...)
      at_most(3, "encode_sparse_array", ...)
      local convert, ratio, safe = ...
      if convert ~= nil then convert_sparse = named_option("encode_sparse_array", convert, SWITCH) end
      if ratio ~= nil then sparse_ratio = integer_option(2, "encode_sparse_array", ratio, 0, INTEGER_MAX) end
      if safe ~= nil then sparse_safe = integer_option(3, "encode_sparse_array", safe, 0, INTEGER_MAX) end
      return convert_sparse, sparse_ratio, sparse_safe
    end

    function cjson.encode_max_depth(...)
      at_most(1, "encode_max_depth", ...)
      local depth = ...
      if depth ~= nil then encode_max_depth = integer_option(1, "encode_max_depth", depth, 1, INTEGER_MAX) end
      return encode_max_depth
    end

    function cjson.decode_max_depth(...)
      at_most(1, "decode_max_depth", ...)
      local depth = ...
      if depth ~= nil then decode_max_depth = integer_option(1, "decode_max_depth", depth, 1, INTEGER_MAX) end
      return decode_max_depth
    end

    function cjson.encode_number_precision(...)
      at_most(1, "encode_number_precision", ...)
      local digits = ...
      if digits ~= nil then
        precision = integer_option(1, "encode_number_precision", digits, 1, 14)
        number_format = "%." .. precision .. "g"
      end
      return precision
    end

    function cjson.encode_keep_buffer(...)
      at_most(1, "encode_keep_buffer", ...)
      local keep = ...
      if keep ~= nil then keep_buffer = named_option("encode_keep_buffer", keep, SWITCH) end
      return keep_buffer
    end

    function cjson.encode_invalid_numbers(...)
      at_most(1, "encode_invalid_numbers", ...)
      local allowed = ...
      if allowed ~= nil then encode_invalid = named_option("encode_invalid_numbers", allowed, SWITCH_OR_NULL) end
      return encode_invalid
    end

    function cjson.decode_invalid_numbers(...)
      at_most(1, "decode_invalid_numbers", ...)
      local allowed = ...
      if allowed ~= nil then decode_invalid = named_option("decode_invalid_numbers", allowed, SWITCH) end
      return decode_invalid
    end

    return cjson
  end

  return library()
end
