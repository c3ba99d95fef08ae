function eventmarker(code)
  if ~isscalar(code) || code ~= round(code) || code < 1 || code > 65535, error('expected an event code from 1 to 65535, got %s', mat2str(code)); end
  say('code %d', code);
end
