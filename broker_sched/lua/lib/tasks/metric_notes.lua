-- What happens is noted for /metrics (docs/metrics.md) by one command, and added up later (metric_counts.lua): by
-- whoever asks for the metrics, at the latest when there are so many notes that a script should not do more of them.
--
--   metric_notes  list, oldest first: <kind><seconds, '' for none> <family>. Kinds:
--                 S  handed out, by itself, after so long in READY
--                 s  handed out anew, since its first hand-out was lost
--                 W  handed out in a batch, after so long in READY
--                 D  its run, of so long, has ended DONE
--                 d, f, x  it became DONE otherwise, FAILED, DISABLED; so long after it was handed out last
--                 k  a worker that was woken asks for work, so long after that. No family

-- @include lib/core/header.lua
-- @rarely lib/tasks/metric_counts.lua

local MAX_NOTES = 500

-- The kind of a note that a task got this status; nil when none is made.
local function kind_of_end(status)
  return status == 'DONE' and 'd' or status == 'FAILED' and 'f' or status == 'DISABLED' and 'x' or nil
end

-- since: when what took so long has begun (s); nil for unknown
local function note_of(kind, family, since)
  return kind .. (since and string.format('%.6f', math.max(NOW - since, 0)) or '') .. ' ' .. family
end

-- Notes, as note_of makes them.
local function keep_notes(...)
  if call('RPUSH', key('metric_notes', ''), ...) >= MAX_NOTES then count_metric_notes(MAX_NOTES) end
end

local function note_metric(kind, family, since)
  keep_notes(note_of(kind, family, since))
end
