-- What scripts run in: made once for each node, out of the whole of Lua, of which scripts get a part.
--
-- Everything that Python does for scripts is called from here, behind `room`: a failed allocation
-- inside of such a call would unwind Python's own stack. Python answers with values and never raises.
return function(natives, limit_kb, first_instructions, most_instructions)
  local error, type, select, next, unpack, tostring = error, type, select, next, unpack, tostring
  local rawget, rawset, rawequal, setmetatable, getmetatable = rawget, rawset, rawequal, setmetatable, getmetatable
  local pcall, xpcall, pairs, loadstring, setfenv = pcall, xpcall, pairs, loadstring, setfenv
  local gcinfo, collectgarbage, newproxy, tonumber = gcinfo, collectgarbage, newproxy, tonumber
  local coroutine, debug, string, table = coroutine, debug, string, table
  local sub, concat, getinfo, dump = string.sub, table.concat, debug.getinfo, string.dump

  local OWN = "=respcache"
  local READONLY = "Attempt to modify a readonly table"
  local ENDED = {err = "ERR the script was ended"}
  local ended = false -- why the script has to end; no script can catch that

  local natives_call, natives_call_long, natives_tick = natives("call"), natives("call_long"), natives("tick")

  local function room()
    if gcinfo() > limit_kb then
      collectgarbage()
      if gcinfo() > limit_kb then error("not enough memory", 0) end
    end
  end

  local function typename(count, value) return count == 0 and "no value" or type(value) end

  local function bad_argument(position, name, text, level)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. text .. ")", (level or 1) + 2)
  end

  -- a function of Python that takes and gives values: one that fails gives REFUSED and an error

  local REFUSED = -1

  local function sound(first, ...)
    if first == REFUSED then error({err = (...)}, 0) end
    return first, ...
  end

  local function safely(name)
    local native = natives(name)
    return function(...)
      room()
      return sound(native(...))
    end
  end

  local natives_log, natives_sha1, natives_setresp = safely("log"), safely("sha1hex"), safely("setresp")
  local natives_pack, natives_unpack, natives_size = safely("pack"), safely("unpack"), safely("size")
  local natives_compiled, natives_known, natives_is_flag = safely("compiled"), safely("known"), safely("is_flag")
  local natives_is_straight = safely("is_straight")

  -- what is handed over is copied, each time that it is named
  local FEW = 8 -- values that are handed over unweighed

  local function light(...)
    local bytes, count = 0, select("#", ...)
    local values = {...}
    for at = 1, count do
      local value = values[at]
      if type(value) == "string" then bytes = bytes + #value end
    end
    if bytes > limit_kb * 1024 then error("not enough memory", 0) end
  end

  -- time and memory: looked at every so many instructions, in every coroutine

  local sethook = debug.sethook
  local instructions = most_instructions -- from one look to the next

  local is_running = false -- else it is our own code that is looked at
  local hook

  -- Ends the script. What is left until our caller has it takes fewer instructions than the next look is away, and
  -- nothing would catch an error that the hook raised there.
  local function stop()
    sethook(hook, "", most_instructions)
    error(ENDED, 0)
  end

  function hook()
    if not is_running then return end
    if not ended then
      if gcinfo() > limit_kb then
        collectgarbage()
        if gcinfo() > limit_kb then ended = "memory" end
      end
      if not ended then
        ended = "fault" -- should the call not come back
        local told = natives_tick() -- why the script has to end, or another number of instructions
        ended = false
        if type(told) == "number" then
          instructions = told
          sethook(hook, "", told) -- of the thread that runs
        elseif told then
          ended = told
        end
      end
    end
    if ended then stop() end
  end
  sethook(hook, "", instructions)

  local is_paced = false

  local function begin(is_straight)
    ended, is_running = false, true
    if is_straight then return end -- what has no loops needs no looking after
    is_paced, instructions = true, first_instructions
    sethook(hook, "", instructions)
  end

  local function calm()
    is_running = false
    if not is_paced then return end
    is_paced, instructions = false, most_instructions
    sethook(hook, "", instructions)
  end

  -- tables that scripts can read and not change

  local targets = setmetatable({}, {__mode = "k"}) -- what stands behind a proxy

  local function refuse() error(READONLY, 2) end

  local function readonly(target)
    local proxy = setmetatable({}, {__index = target, __newindex = refuse})
    targets[proxy] = target
    return proxy
  end

  local function table_expected(name, count, value)
    if type(value) ~= "table" then
      bad_argument(1, name, "table expected, got " .. typename(count, value), 2)
    end
    return targets[value] or value
  end

  local base = {
    _VERSION = _VERSION, assert = assert, error = error, gcinfo = gcinfo, ipairs = ipairs, rawequal = rawequal,
    select = select, tonumber = tonumber, tostring = tostring, type = type,
  }
  local G = readonly(base)
  base._G = G
  setmetatable(base, {
    __index = function(_, name)
      error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end,
  })

  function base.pairs(...) return pairs(table_expected("pairs", select("#", ...), ...)) end

  function base.next(...)
    local found = table_expected("next", select("#", ...), ...)
    return next(found, (select(2, ...)))
  end

  local RESULTS_MAX = 8000 -- what Lua's stack has room for (LUAI_MAXCSTACK)

  local function int(position, name, value, default) -- as C casts a number to int
    if value == nil then return default end
    local number = (type(value) == "number" or type(value) == "string") and tonumber(value)
    if not number then bad_argument(position, name, "number expected, got " .. type(value), 2) end
    if not (number > -2 ^ 63 and number < 2 ^ 63) then return 0 end
    number = number < 0 and math.ceil(number) or math.floor(number)
    return (number + 2 ^ 31) % 2 ^ 32 - 2 ^ 31
  end

  -- Lua's own counts in an int, which overflows, and then reads what is before its memory: that ends the process.
  function base.unpack(...)
    local target, first, last = ...
    if type(target) ~= "table" then
      bad_argument(1, "unpack", "table expected, got " .. typename(select("#", ...), target))
    end
    first, last = int(2, "unpack", first, 1), int(3, "unpack", last, #target)
    if last - first + 1 + 3 > RESULTS_MAX then error("too many results to unpack", 2) end
    return unpack(target, first, last)
  end

  function base.rawget(...)
    local found = table_expected("rawget", select("#", ...), ...)
    return rawget(found, (select(2, ...)))
  end

  function base.rawset(...)
    local found, name, value = table_expected("rawset", select("#", ...), ...), select(2, ...)
    if targets[(...)] then error(READONLY, 0) end
    if select("#", ...) < 3 then bad_argument(select("#", ...) + 1, "rawset", "value expected") end
    return rawset(found, name, value)
  end

  function base.setmetatable(...)
    local target = table_expected("setmetatable", select("#", ...), ...)
    local meta = select(2, ...)
    if meta ~= nil and type(meta) ~= "table" or select("#", ...) < 2 then
      bad_argument(2, "setmetatable", "nil or table expected")
    end
    if targets[(...)] then error(READONLY, 0) end
    local old = getmetatable(target)
    if type(old) == "table" and rawget(old, "__metatable") ~= nil then
      error("cannot change a protected metatable", 2)
    end
    return setmetatable(target, meta)
  end

  local of_globals, of_strings = readonly({__index = function() end}), nil

  function base.getmetatable(...)
    local value = ...
    if select("#", ...) == 0 then bad_argument(1, "getmetatable", "value expected") end
    if rawequal(value, G) then return of_globals end
    if type(value) == "table" and targets[value] then return nil end
    if type(value) == "userdata" then return nil end -- all objects of Python share one, natives among them
    return getmetatable(value)
  end

  -- what catches errors: as in Redis, an error of a command is caught as its text

  local function settled(ok, caught, ...)
    if ended then stop() end
    if ok then return true, caught, ... end
    if type(caught) == "table" then
      local text = rawget(caught, "err")
      if type(text) == "string" then caught = text end
    end
    return false, caught
  end

  local function passed(...)
    if ended then stop() end
    return ...
  end

  function base.pcall(...)
    if select("#", ...) == 0 then return false end
    return settled(pcall(...))
  end

  function base.xpcall(...)
    if select("#", ...) < 2 then bad_argument(2, "xpcall", "value expected") end
    local body, handler = ...
    return passed(xpcall(body, function(caught)
      if ended then return caught end -- no hook would end the handler of an error of the hook
      return handler(caught)
    end))
  end

  local function function_expected(name, count, value)
    if type(value) ~= "function" then bad_argument(1, name, "Lua function expected", 2) end
    return value
  end

  local function hooked(body)
    local thread = coroutine.create(body)
    sethook(thread, hook, "", instructions)
    return thread
  end

  local resume = coroutine.resume
  local threads = {running = coroutine.running, status = coroutine.status, yield = coroutine.yield}

  function threads.create(...) return hooked(function_expected("create", select("#", ...), ...)) end

  function threads.resume(...)
    if type((...)) ~= "thread" then bad_argument(1, "resume", "coroutine expected") end
    return passed(resume(...))
  end

  local function continued(ok, ...)
    if ended then stop() end
    if ok then return ... end
    error((...), 0)
  end

  function threads.wrap(...)
    local thread = hooked(function_expected("wrap", select("#", ...), ...))
    return function(...) return continued(resume(thread, ...)) end
  end

  -- Lua from text, and never from compiled code, which nobody could check

  local function compiled(text, name)
    if sub(text, 1, 1) == "\27" then return nil, "attempt to load a precompiled chunk" end
    local chunk, reason = loadstring(text, name)
    if not chunk then return nil, reason end
    return setfenv(chunk, G)
  end

  local function check_name(called, name)
    if name ~= nil and type(name) ~= "string" and type(name) ~= "number" then
      bad_argument(2, called, "string expected, got " .. type(name), 2)
    end
  end

  function base.loadstring(...)
    local text, name = ...
    if type(text) == "number" then text = tostring(text) end
    if type(text) ~= "string" then
      bad_argument(1, "loadstring", "string expected, got " .. typename(select("#", ...), text))
    end
    check_name("loadstring", name)
    return compiled(text, name == nil and text or tostring(name))
  end

  function base.load(...)
    local read, name = ...
    check_name("load", name)
    if type(read) ~= "function" then
      bad_argument(1, "load", "function expected, got " .. typename(select("#", ...), read))
    end
    local pieces = {}
    while true do
      local piece = read()
      if piece == nil or piece == "" then break end
      if type(piece) ~= "string" then return nil, "reader function must return a string" end
      pieces[#pieces + 1] = piece
    end
    return compiled(concat(pieces), name == nil and "=(load)" or tostring(name))
  end

  local collects = {collect = true, count = true, step = true}
  local ignored = {stop = true, restart = true, setpause = true, setstepmul = true}

  function base.collectgarbage(option, argument)
    option = option == nil and "collect" or option
    if ignored[option] then return 0 end -- the memory limit depends on it, and so do other scripts
    if not collects[option] then
      bad_argument(1, "collectgarbage", "invalid option '" .. tostring(option) .. "'")
    end
    return collectgarbage(option, argument)
  end

  -- Lua's own would go on for as long as it is told to, even if nothing comes of it
  local rep = string.rep

  function string.rep(...)
    local given, text, count = select("#", ...), ...
    if type(text) ~= "string" and type(text) ~= "number" then
      bad_argument(1, "rep", "string expected, got " .. typename(given, text))
    end
    count = type(count) == "number" and count or type(count) == "string" and tonumber(count)
    if not count then bad_argument(2, "rep", "number expected, got " .. typename(given - 1, (select(2, ...)))) end
    if text == "" or count < 1 then return "" end
    return (rep(text, count))
  end

  local function copied(library)
    local copy = {}
    for name, value in pairs(library) do copy[name] = value end
    return copy
  end

  local tables, insert = copied(table), table.insert
  local MOVES_MAX = 2 ^ 23 -- elements that one call may move; the memory holds fewer

  function tables.insert(...)
    local target, count = ..., select("#", ...)
    if type(target) ~= "table" then
      bad_argument(1, "insert", "table expected, got " .. typename(count, target))
    end
    if targets[target] then error(READONLY, 0) end
    if count ~= 2 and count ~= 3 then error("wrong number of arguments to 'insert'", 2) end
    if count == 3 and not tonumber((select(2, ...))) then
      bad_argument(2, "insert", "number expected, got " .. type((select(2, ...))))
    end
    if count == 3 and #target - tonumber((select(2, ...))) > MOVES_MAX then
      bad_argument(2, "insert", "position out of bounds")
    end
    return insert(...)
  end

  -- Lua goes through a pattern by calling itself for each of its items: 200,000 of them end the process.
  local PATTERN_MAX_BYTES = 4096
  local OF_PATTERNS = {
    "^malformed pattern", "^missing '%['", "^unbalanced pattern", "^unfinished capture", "^invalid capture",
    "^invalid pattern capture", "^too many captures", "^invalid replacement value",
  }

  -- Raises what a function of Lua's own has raised, as if it had been called by the script itself.
  local function raised_again(name, caller, caught)
    if type(caught) ~= "string" or not caller.name then error(caught, 0) end
    local position, text = string.match(caught, "^bad argument #(%d+) to '%?' (.*)$")
    if position then
      position = tonumber(position) - (caller.namewhat == "method" and 1 or 0)
      if position == 0 then error("calling '" .. name .. "' on bad self " .. text, 4) end
      error("bad argument #" .. position .. " to '" .. name .. "' " .. text, 4)
    end
    for _, pattern in next, OF_PATTERNS do
      if string.find(caught, pattern) then error(caught, 4) end
    end
    error(caught, 0)
  end

  local function matching(name, native)
    local function given(ok, ...)
      if ok then return ... end
      raised_again(name, getinfo(2, "n"), (...))
    end

    return function(...)
      local pattern = select(2, ...)
      if type(pattern) == "string" and #pattern > PATTERN_MAX_BYTES then
        error("pattern too complex (more than " .. PATTERN_MAX_BYTES .. " bytes)", 2)
      end
      return select(1, given(pcall(native, ...))) -- else a tail call, and nobody knew who has called
    end
  end

  local strings = copied(string)
  for _, name in next, {"find", "match", "gmatch", "gsub"} do strings[name] = matching(name, string[name]) end
  strings.gfind = strings.gmatch
  getmetatable("").__index = strings

  base.string, base.table, base.math = readonly(strings), readonly(tables), readonly(copied(math))
  base.coroutine = readonly(threads)
  of_strings = readonly({__index = base.string})
  getmetatable("").__metatable = of_strings

  local null = newproxy(true)
  getmetatable(null).__tostring = function() return "userdata: (nil)" end
  getmetatable(null).__metatable = false

  -- redis.*

  local function different(raises, kind, first, ...)
    if kind == 2 then return {ok = first} end
    if kind == 3 then return {first, ...} end
    if kind == 7 then -- of the words, not of the command
      if raises then error({err = first}, 0) end
      return {err = first}
    end
    if kind == 0 then
      local refusal = {err = first, ignore_error_stats_update = true}
      if raises then error(refusal, 0) end
      return refusal
    end
    if kind == 8 then
      ended = first
      stop()
    end
    error(first, 0) -- of the machine itself: not enough memory
  end

  local function answered(raises, answer, ...)
    if select("#", ...) == 0 then return answer end -- most answers are just a value
    return different(raises, answer, ...)
  end

  local redis = {
    LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
    REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
    REDIS_VERSION = natives("version"), REDIS_VERSION_NUM = natives("version_number"),
  }

  local MANY = 200 -- words that a call into Python has room for on its stack; more go in a table

  local function many(...)
    light(...)
    local count = select("#", ...)
    if count > MANY then return natives_call_long(count, {...}) end
    return natives_call(...)
  end

  function redis.call(...)
    if gcinfo() > limit_kb then room() end
    if select("#", ...) > FEW then return answered(true, many(...)) end
    return answered(true, natives_call(...))
  end

  function redis.pcall(...)
    if gcinfo() > limit_kb then room() end
    if select("#", ...) > FEW then return answered(false, many(...)) end
    return answered(false, natives_call(...))
  end

  local function refused(text) error({err = "ERR " .. text}, 0) end

  local function numeric(value) return (type(value) == "number" or type(value) == "string") and tonumber(value) or nil end

  function redis.error_reply(...)
    local text = ...
    if select("#", ...) ~= 1 or type(text) ~= "string" then return {err = "ERR wrong number or type of arguments"} end
    if sub(text, 1, 1) ~= "-" then text = "-" .. text end
    local code, rest = string.match(text, "^%-([^ ]*) (.*)$")
    if not code then code, rest = "ERR", sub(text, 2) end
    return {err = code .. " " .. (string.gsub(rest, "[\r\n]+$", "")), ignore_error_stats_update = true}
  end

  function redis.status_reply(...)
    local text = ...
    if select("#", ...) ~= 1 or type(text) ~= "string" then return {err = "ERR wrong number or type of arguments"} end
    return {ok = text}
  end

  function redis.sha1hex(...)
    if select("#", ...) ~= 1 then refused("wrong number of arguments") end
    local text = ...
    if type(text) == "number" then text = tostring(text) end
    return natives_sha1(type(text) == "string" and text or "")
  end

  function redis.log(...)
    local level = ...
    if select("#", ...) < 2 then refused("redis.log() requires two arguments or more.") end
    level = numeric(level)
    if not level then refused("First argument must be a number (log level).") end
    level = level > 0 and math.floor(level) or math.ceil(level)
    if not (level >= 0 and level <= 3) then refused("Invalid debug level.") end
    local words = {}
    for at = 2, select("#", ...) do
      local word = select(at, ...)
      if type(word) == "string" or type(word) == "number" then words[#words + 1] = word end
    end
    natives_log(level, concat(words, " "))
  end

  function redis.setresp(...)
    local version = ...
    if select("#", ...) ~= 1 then refused("redis.setresp() requires one argument.") end
    version = numeric(version)
    if version ~= 2 and version ~= 3 then refused("RESP version must be 2 or 3.") end
    natives_setresp(version)
  end

  function redis.set_repl(...)
    if select("#", ...) ~= 1 then refused("redis.set_repl() requires two arguments.") end
    local flags = numeric((...)) or 0
    if not (flags > -1 and flags < 4) then
      refused("Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
    end
  end

  function redis.acl_check_cmd(...)
    if select("#", ...) == 0 then refused("Please specify at least one argument for this redis lib call") end
    if select("#", ...) > FEW then light(...) end
    local known = natives_known(...)
    if type(known) == "string" then error({err = known}, 0) end
    if not known then refused("Invalid command passed to redis.acl_check_cmd()") end
    return true
  end

  if not natives("functions") then
    function redis.replicate_commands() return true end
    function redis.breakpoint() return false end
    function redis.debug() end
  end

  base.redis = readonly(redis)

  -- libraries of functions: while one is loaded it sees no more than this, and its functions see all

  local registering -- by name what the library has registered so far; nil while none is loaded
  local registered -- the same in order
  local BAD_NAME =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"

  local function text_of(value)
    local kind = type(value)
    return (kind == "string" or kind == "number") and tostring(value) or nil
  end

  local function flags_of(value)
    if type(value) ~= "table" then
      refused("flags argument to redis.register_function must be a table representing function flags")
    end
    local names, at = {}, 1
    while rawget(value, at) ~= nil do
      local name = rawget(value, at)
      if type(name) ~= "string" or not natives_is_flag(name) then refused("unknown flag given") end
      names[at], at = name, at + 1
    end
    return concat(names, ",")
  end

  local function named(arguments)
    local name, callback, description, flags
    for word, value in next, arguments do
      word = type(word) == "string" and string.lower(word)
      if word == "function_name" then
        name = text_of(value) or refused("function_name argument given to redis.register_function must be a string")
      elseif word == "description" then
        description = text_of(value) or refused("description argument given to redis.register_function must be a string")
      elseif word == "callback" then
        if type(value) ~= "function" then
          refused("callback argument given to redis.register_function must be a function")
        end
        callback = value
      elseif word == "flags" then
        flags = flags_of(value)
      else
        refused("unknown argument given to redis.register_function")
      end
    end
    if not name then refused("redis.register_function must get a function name argument") end
    if not callback then refused("redis.register_function must get a callback argument") end
    return name, callback, description, flags
  end

  local function register_function(...)
    local count, first, second = select("#", ...), ...
    if not registering then refused("redis.register_function can only be called on FUNCTION LOAD command") end
    if count < 1 or count > 2 then refused("wrong number of arguments to redis.register_function") end
    local name, callback, description, flags
    if count == 1 then
      if type(first) ~= "table" then
        refused(
          "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments)."
        )
      end
      name, callback, description, flags = named(targets[first] or first)
    else
      name, callback = text_of(first), second
      if not name then refused("first argument to redis.register_function must be a string") end
      if type(callback) ~= "function" then refused("second argument to redis.register_function must be a function") end
    end
    if not string.find(name, "^[%w_]+$") then refused(BAD_NAME) end
    if registering[name] then refused("Function already exists in the library") end
    registering[name] = true
    local at = #registered
    registered[at + 1], registered[at + 2] = name, description or false
    registered[at + 3], registered[at + 4] = flags or "", callback
    local is_lua, chunk = pcall(dump, callback)
    registered[at + 5] = is_lua and natives_is_straight(chunk)
  end

  local loading = setmetatable({
    redis = readonly(setmetatable({
      LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
      REDIS_VERSION = natives("version"), REDIS_VERSION_NUM = natives("version_number"),
      log = redis.log, register_function = register_function,
    }, getmetatable(base))),
  }, getmetatable(base))

  -- libraries in Python on strings and numbers alone

  local function given(name, ok, ...)
    if ok == true then return ... end
    if ok == false then error((...), 3) end
    bad_argument(ok, name, (...), 2)
  end

  base.struct = readonly({
    pack = function(...)
      if select("#", ...) > FEW then light(...) end
      return given("pack", natives_pack(...))
    end,
    unpack = function(...)
      return given("unpack", natives_unpack(...))
    end,
    size = function(...)
      return given("size", natives_size(...))
    end,
  })

  local bits = {}
  for name in string.gmatch("tobit tohex bnot band bor bxor lshift rshift arshift rol ror bswap", "%a+") do
    local native = safely("bit_" .. name)
    bits[name] = function(...)
      return given(name, native(...))
    end
  end
  base.bit = readonly(bits)

  -- running a script

  local function where(level)
    while true do
      local frame = getinfo(level, "Sl")
      if not frame then return "", -1 end
      if frame.what ~= "C" and frame.what ~= "tail" and frame.source ~= OWN then return frame.source, frame.currentline end
      level = level + 1
    end
  end

  local function located(caught)
    if type(caught) ~= "table" or targets[caught] then caught = {err = "ERR " .. tostring(caught)} end
    local source, line = where(3)
    rawset(caught, "source", source)
    rawset(caught, "line", line)
    return caught
  end

  -- A reply travels as a list: the kind of each value, then the value, or how many follow it.
  local STRING, NUMBER, BOOLEAN, NULL, ARRAY, ERROR, STATUS, DOUBLE, MAP, SET, BIG, VERBATIM = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
  local DEPTH_MAX = 200

  local flatten
  local VALUE_BYTES = 64
  local left -- bytes that a reply may still take: each value is copied, however often it is named

  local function weigh(bytes)
    left = left - VALUE_BYTES - bytes
    if left < 0 then
      ended = "reply"
      stop()
    end
  end

  local function flatten_table(value, list, depth)
    local text = rawget(value, "err")
    if type(text) == "string" then
      weigh(#text)
      list[#list + 1], list[#list + 2] = ERROR, text
      return
    end
    text = rawget(value, "ok")
    if type(text) == "string" then
      weigh(#text)
      list[#list + 1], list[#list + 2] = STATUS, text
      return
    end
    local number = rawget(value, "double")
    if type(number) == "number" then
      list[#list + 1], list[#list + 2] = DOUBLE, number
      return
    end
    local map, set = rawget(value, "map"), rawget(value, "set")
    if type(map) == "table" or type(set) == "table" then
      local at, count = #list + 2, 0
      list[at - 1], list[at] = type(map) == "table" and MAP or SET, 0
      for name, element in pairs(type(map) == "table" and map or set) do
        flatten(name, list, depth)
        if type(map) == "table" then flatten(element, list, depth) end
        count = count + 1
      end
      list[at] = count
      return
    end
    text = rawget(value, "big_number")
    if type(text) == "string" then
      weigh(#text)
      list[#list + 1], list[#list + 2] = BIG, (string.gsub(text, "[\r\n]", " "))
      return
    end
    local verbatim = rawget(value, "verbatim_string")
    if type(verbatim) == "table" then
      local form, body = rawget(verbatim, "format"), rawget(verbatim, "string")
      if type(form) == "string" and type(body) == "string" then
        weigh(#body)
        list[#list + 1], list[#list + 2] = VERBATIM, sub(form .. "   ", 1, 3) .. body
        return
      end
    end
    local at, count = #list + 2, 0
    list[at - 1], list[at] = ARRAY, 0
    while true do
      local element = rawget(value, count + 1)
      if element == nil then break end
      count = count + 1
      flatten(element, list, depth)
    end
    list[at] = count
  end

  function flatten(value, list, depth)
    local kind = type(value)
    local at = #list
    weigh(kind == "string" and #value or 0)
    if kind == "string" then
      list[at + 1], list[at + 2] = STRING, value
    elseif kind == "number" then
      list[at + 1], list[at + 2] = NUMBER, value
    elseif kind == "boolean" then
      list[at + 1], list[at + 2] = BOOLEAN, value
    elseif kind == "table" and depth < DEPTH_MAX then
      flatten_table(targets[value] or value, list, depth + 1)
    elseif kind == "table" then
      list[at + 1], list[at + 2] = ERROR, "ERR reached lua stack limit"
    else
      list[at + 1], list[at + 2] = NULL, false
    end
  end

  local function flattened(value)
    local list = {}
    left = limit_kb * 1024
    flatten(value, list, 0)
    return list
  end

  local FEW = 200 -- values that a call may return at once

  local function outcome(ok, value)
    if gcinfo() > limit_kb then collectgarbage() end -- the next script is handed its arguments without a look
    if ended then return "ended", ended, tostring(rawget(ENDED, "source") or ""), tostring(rawget(ENDED, "line") or -1) end
    if not ok then
      if type(value) ~= "table" then return "error", "ERR " .. tostring(value), "", -1 end
      local text = rawget(value, "err")
      local known = type(text) == "string" or type(text) == "number"
      local source, line = rawget(value, "source"), rawget(value, "line")
      return "error", known and tostring(text) or "ERR unknown error", tostring(source), tostring(line)
    end
    local kind = type(value)
    if kind == "string" or kind == "number" or kind == "boolean" then return value end
    if kind ~= "table" then return nil end
    local fine, list = pcall(flattened, value)
    if ended then return "ended", ended end
    if not fine then return "error", "ERR " .. tostring(list), "", -1 end
    if gcinfo() > limit_kb then
      collectgarbage()
      if gcinfo() > limit_kb then return "ended", "memory" end
    end
    if #list <= FEW then return "list", unpack(list) end
    return "long", list
  end

  local function finished(...)
    base.KEYS, base.ARGV = nil, nil
    calm()
    return ...
  end

  local function run(chunk, is_straight, count, ...)
    begin(is_straight)
    local keys, arguments
    if count == 0 then
      keys, arguments = {}, {...}
    elseif count == 1 then
      keys, arguments = {(...)}, {select(2, ...)}
    else
      local all = {...}
      keys, arguments = {}, {}
      for at = 1, count do keys[at] = all[at] end
      for at = count + 1, #all do arguments[at - count] = all[at] end
    end
    base.KEYS, base.ARGV = keys, arguments
    return finished(outcome(xpcall(chunk, located)))
  end

  local function run_long(chunk, is_straight, keys, arguments)
    begin(is_straight)
    base.KEYS, base.ARGV = keys, arguments
    return finished(outcome(xpcall(chunk, located)))
  end

  local function arranged(count, ...)
    local all, keys, arguments = {...}, {}, {}
    for at = 1, count do keys[at] = all[at] end
    for at = count + 1, #all do arguments[at - count] = all[at] end
    return keys, arguments
  end

  local function call(callback, is_straight, count, ...)
    begin(is_straight)
    local keys, arguments = arranged(count, ...)
    return finished(outcome(xpcall(function() return callback(keys, arguments) end, located)))
  end

  local function call_long(callback, is_straight, keys, arguments)
    begin(is_straight)
    return finished(outcome(xpcall(function() return callback(keys, arguments) end, located)))
  end

  -- Gives name, description, flags and body of each function that the library registers, or why it cannot be.
  local function load_library(chunk)
    begin(false)
    registering, registered = {}, {}
    local globals, functions = getmetatable(G), registered
    globals.__index = loading
    local kind, reason = finished(outcome(xpcall(chunk, located)))
    globals.__index, registering, registered = base, nil, nil
    if kind == "ended" or kind == "error" then return kind, reason end
    return "loaded", functions
  end

  -- A call in front of `return` leaves its caller on the stack, as calls of Redis' own functions do: an error
  -- has a line then.
  local function made(text, name)
    if sub(text, 1, 1) == "\27" then return nil, "attempt to load a precompiled chunk" end
    local chunk, reason = loadstring(text, name)
    if not chunk then return nil, reason end
    local final, is_straight = natives_compiled(dump(chunk))
    return setfenv(loadstring(final), G), is_straight
  end

  local function compile(text, name)
    calm() -- the last script may have ended in the midst of our own code, for want of memory
    ended = false
    return made(text, name)
  end

  -- Compiles while a script rests, which goes on afterwards as if nothing had been: it is looked after as before.
  local function compile_aside(text, name)
    local was_running = is_running
    is_running = false
    local ok, chunk, told = pcall(made, text, name)
    is_running = was_running
    if not ok then error(chunk, 0) end
    return chunk, told
  end

  local function install(name, library) base[name] = readonly(library) end

  if natives("functions") then run, run_long = call, call_long end
  return compile, compile_aside, run, run_long, load_library, install, safely, null
end
