-- Modules and families as they stand in labels (see labels.lua): characters that mean something there are codes.

local function plain(text)
  return (string.gsub(text, '[%%:!|]', function(char) return string.format('%%%02X', string.byte(char)) end))
end

local function readable(label)
  return (string.gsub(label, '%%(%x%x)', function(code) return string.char(tonumber(code, 16)) end))
end
