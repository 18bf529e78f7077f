-- Posts JSON bodies in rotation and checks status and body of every answer.
-- The first argument after `--` is a Lua file that returns {path=, bodies={...}, expected={[body]=true, ...}}.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  spec = dofile(args[1])
  bad_status, bad_body, first_bad, seen = 0, 0, "", {}
  for answer in pairs(spec.expected) do seen[answer] = 0 end
  local headers = { ["Content-Type"] = "application/json" }
  requests = {}
  for index, body in ipairs(spec.bodies) do
    requests[index] = wrk.format("POST", spec.path, headers, body)
  end
  turn = 0
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function response(status, headers, body)
  if status ~= 200 then
    bad_status = bad_status + 1
    if first_bad == "" then first_bad = status .. " " .. string.sub(body or "", 1, 100) end
  elseif seen[body] then
    seen[body] = seen[body] + 1
  else
    bad_body = bad_body + 1
    if first_bad == "" then first_bad = string.sub(body or "", 1, 100) end
  end
end

local function quoted(text)
  return '"' .. string.gsub(text, '[%c"\\]', function(c) return string.format("\\u%04x", string.byte(c)) end) .. '"'
end

function done(summary, latency, all_requests)
  local status, body, first = 0, 0, ""
  local counts = {}
  for _, thread in ipairs(threads) do
    status = status + thread:get("bad_status")
    body = body + thread:get("bad_body")
    if first == "" then first = thread:get("first_bad") end
    for answer, count in pairs(thread:get("seen")) do counts[answer] = (counts[answer] or 0) + count end
  end
  local shares = {}
  for answer, count in pairs(counts) do table.insert(shares, quoted(answer) .. ":" .. count) end
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"duration_us":%d,"p50_us":%.0f,"p99_us":%.0f,"max_us":%.0f,"bad_status":%d,"bad_body":%d,'
      .. '"connect":%d,"read":%d,"write":%d,"timeout":%d,"first_bad":%s,"counts":{%s}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max, status, body,
    errors.connect, errors.read, errors.write, errors.timeout, quoted(first), table.concat(shares, ",")))
end
