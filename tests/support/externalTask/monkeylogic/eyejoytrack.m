% A subject that mostly looks at the spot: acquires it at once or not at all, and leaves it now and then.
function ok = eyejoytrack(what, object, radius, duration)
  global ML
  if ~ML.isOn(object), error('expected the fixation spot to be on'); end
  switch what
    case 'acquirefix'
      ok = rand() >= ML.lookAwayShare;
      pause(0.05);
    case 'holdfix'
      ok = rand() >= ML.breakShare;
      if ok, pause(duration / 1000); else, pause(duration / 2000); end
    otherwise
      error('expected acquirefix or holdfix, got %s', what);
  end
end
