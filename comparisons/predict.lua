-- For wrk: a drawing of 784 bytes.
wrk.method = "POST"
wrk.path = "/predict"
wrk.body = string.rep("\0", 300) .. string.rep("\255", 100) .. string.rep("\0", 384)
wrk.headers["Content-Type"] = "application/octet-stream"
