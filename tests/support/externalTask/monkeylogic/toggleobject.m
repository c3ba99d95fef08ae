% Turns objects on or off with the next frame, and sends an event code with it.
function toggleobject(which_, varargin)
  global ML
  for k = which_(:)'
    ML.isOn(k) = ~ML.isOn(k);
    object = ML.objects{k};
    if ~strcmp(object.kind, 'pic'), continue, end
    if ML.isOn(k), say('lit %d %d', object.imageId, object.presentationId); else, say('blank'); end
  end
  if ~isempty(varargin)
    if ~strcmp(varargin{1}, 'eventmarker'), error('expected eventmarker, got %s', varargin{1}); end
    eventmarker(varargin{2});
  end
end
