-- Each request is for another of 4,000 apps.
local at = 0
function request()
  at = (at + 1) % 4000
  local name = at == 0 and "bench" or "bench-" .. at
  return "GET / HTTP/1.1\r\nHost: " .. name .. ".localhost\r\n\r\n"
end
