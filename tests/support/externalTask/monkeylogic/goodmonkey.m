function goodmonkey(duration)
  pause(duration / 1000);
end
