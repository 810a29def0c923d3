-- Families of which nobody is handed out a task (pause_family). Which they are says the field `paused_families` of
-- `config`, which each script reads with its options: JSON, family → since when (s); '' while there are none.
-- Their ready tasks stand in ready queues with the family's label (labels.lua), which whoever asks for work passes over
-- by the name: so they keep nothing from others, and nobody looks at them again and again.

-- @include lib/core/header.lua
-- @include lib/hand_out/label_texts.lua

local paused_families -- by family, as decoded in this script

local function is_paused(family)
  if OPTIONS.paused_families == '' then return false end
  paused_families = paused_families or cjson.decode(OPTIONS.paused_families)
  return paused_families[family] ~= nil
end

local function is_paused_queue(queue)
  local family = string.match(queue, '^%d+@[^|!:]*:([^|!]*)')
  return family ~= nil and is_paused(readable(family))
end
