-- wrk -s predict.lua http://127.0.0.1:8080/predict: a drawing of a 1, by POST. A client that is refused comes back when
-- it was told to.
wrk.method = "POST"
local rows = {}
for y = 0, 27 do
  local ink = y >= 4 and y < 24
  rows[#rows + 1] = string.rep("\0", 13) .. string.rep(ink and "\255" or "\0", 2) .. string.rep("\0", 13)
end
wrk.body = table.concat(rows)

local wait = 0
function response(status, headers) wait = 1000 * tonumber(headers["Retry-After"] or 0) end
function delay() return wait end
