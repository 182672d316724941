-- Requests for wrk: VARIANTS different ones, made before the round, so that making them costs the round nothing.
--
--     wrk -s requests.lua URL -- PATH METHOD BODY CLOSE STICKY [FILE]
--
-- With FILE they are also written there, each behind its length and a line end, for clients other than wrk. PATH is the prefix of the paths, BODY the bytes of a request's body, CLOSE and STICKY are 0 or 1. Paths, queries, the
-- number and length of header fields, cookies and bodies differ from request to request: a client is a browser, a
-- program, or a script. One visitor in four has no server cookie yet; one request in eight is for the other host.
-- Ends with one line of JSON behind the mark "RESULT ".

local VARIANTS = 2003
local browsers = {
  "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
}
local hosts = { "apple.prod.viettq.com", "Apple.Prod.viettq.com", "www.viettq.com", "apple.prod.viettq.com:80" }
local requests, at = {}, 0

local function headers_of(n, sticky, close)
  local headers = { ["Host"] = hosts[n % 4 + 1] }
  if n % 8 == 0 then headers["Host"] = "rancher.monitor.viettq.com" end
  local cookies = {}
  if n % 5 < 4 then cookies[1] = "sid=" .. string.format("%x", n * 7919) .. "; theme=dark" end
  if sticky and n % 4 > 0 then cookies[#cookies + 1] = "SRVNAME=p" .. (n % 3 + 1) end
  if n % 5 == 2 then cookies[#cookies + 1] = "lang=en-US; seen=" .. string.rep("a1", n % 40) end
  if #cookies > 0 then headers["Cookie"] = table.concat(cookies, "; ") end
  if close then headers["Connection"] = "close" end
  if n % 10 < 6 then
    headers["User-Agent"] = browsers[n % 3 + 1]
    headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    headers["Accept-Encoding"] = "gzip, deflate, br"
    headers["Accept-Language"] = "vi,en-US;q=0.7,en;q=0." .. n % 9
    headers["Referer"] = "https://apple.prod.viettq.com/shop/" .. n % 1009
    if n % 3 == 0 then headers["Cache-Control"] = "max-age=0"; headers["Upgrade-Insecure-Requests"] = "1" end
  elseif n % 10 < 9 then
    headers["User-Agent"] = "okhttp/4." .. n % 12
    headers["Accept"] = "application/json"
    headers["Authorization"] = "Bearer " .. string.rep("x" .. n % 7, 60)
    headers["X-Request-Id"] = string.format("%08x-%04x", n * 104729, n)
  else
    headers["User-Agent"] = "curl/7.88.1"
    headers["Accept"] = "*/*"
  end
  return headers
end

function init(args)
  local path, method, size = args[1], args[2], tonumber(args[3])
  for n = 1, VARIANTS do
    local headers, body = headers_of(n, args[5] == "1", args[4] == "1"), nil
    if size > 0 then
      body = "order=" .. n .. "&text="
      body = body .. string.rep(string.char(97 + n % 26), size - #body)
      headers["Content-Type"] = "application/x-www-form-urlencoded"
    end
    local query = n % 3 == 0 and "" or "?page=" .. n % 17 .. "&sort=" .. string.rep("p", n % 11)
    requests[n] = wrk.format(method, path .. n .. query, headers, body)
  end
  if args[6] then
    local file = assert(io.open(args[6], "wb"))
    for n = 1, VARIANTS do file:write(#requests[n], "\n", requests[n]) end
    file:close()
  end
end

function request()
  at = at % VARIANTS + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "seconds": %.6f, "bytes": %d, "p50": %d, "p99": %d, "not_ok": %d, ' ..
    '"connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
